"""The published schema of records, as JSON Schema 2020-12: of a line of `audit export`, `audit query --json` and daily
files. Pure.

`SCHEMA_VERSION` grows when a field changes its meaning or goes; new fields come without: readers must pass over what
they don't know.
"""

from __future__ import annotations

from typing import Any, Final

from audit.record import FIELD_NAMES, ShadowDecision, Stage, Verdict

SCHEMA_VERSION: Final = 1
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_TEXT: Final[dict[str, Any]] = {"type": "string"}
_NUMBER: Final[dict[str, Any]] = {"type": ["integer", "null"], "minimum": 0}
_TEXTS: Final[dict[str, Any]] = {"type": "array", "items": {"type": "string"}}
_ID: Final[dict[str, Any]] = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
_HASH: Final[dict[str, Any]] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}

_FIELDS: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "id": (_ID, "Of the record: a UUID of version 7 without hyphens. Ids of one chain grow."),
    "stage": (
        {"enum": list(Stage)},
        "intent: before a statement ran, or instead of it when it was denied. outcome: after it. event: beside any.",
    ),
    "statement_id": (_TEXT, "Joins a statement's intent and its outcome; the intent's own id. Empty for events."),
    "at": ({"type": "string", "format": "date-time"}, "When the record was made, by the sidecar's clock, in UTC."),
    "tenant": (_TEXT, "The principal's tenant."),
    "team": (_TEXT, "The principal's team."),
    "user": (_TEXT, "The principal, or who claimed to be one (a failed login)."),
    "database": (_TEXT, "The database by the name that clients use."),
    "session": (_TEXT, "The session: the same for all records of one client connection."),
    "client_address": (_TEXT, "Where the client came from; empty for unix sockets."),
    "application": (_TEXT, "The session's application_name, as the client says it."),
    "workload": (_TEXT, "What asked: the tool that a comment names, else the application."),
    "trace_id": (_TEXT, "Of the trace that a comment names."),
    "shape": (_TEXT, "A statement without its literals, as a digest; an event's name."),
    "sql_text": (_TEXT, "The text as audit.sql_text says; one sentence for an event."),
    "decision": (
        {"enum": [*Verdict, None]},
        "allow: as it was sent. rewrite: filtered or masked. deny: refused. hold: kept waiting. null: no decision.",
    ),
    "rule_ids": (_TEXTS, "The rules that decided, by policy and place: analysts/masks[0]."),
    "policy_version": (_TEXT, "The fingerprint of the effective policy."),
    "tables": (_TEXTS, "Tables that the statement names, as schema.table."),
    "filtered_tables": (_TEXTS, "Those whose rows were filtered."),
    "masked_columns": (_TEXTS, "Columns that were masked, as schema.table.column."),
    "rows": (_NUMBER, "Rows sent or changed; null for intents."),
    "bytes_out": (_NUMBER, "Bytes of rows sent to the client."),
    "duration_us": (_NUMBER, "From the statement's start to its last answer, in microseconds."),
    "cost": ({"type": ["number", "null"]}, "By the price list, with 9 decimal places."),
    "currency": (_TEXT, "Of the cost."),
    "sqlstate": (_TEXT, "Of the error that the statement ended with; empty when it ended well."),
    "prev_hash": (_HASH, "The hash of the record before in the chain; zeros for a chain's first."),
    "hash": (_HASH, "SHA-256 of the hash before and this record's canonical bytes."),
    "server_error": (_TEXT, "What the server said and the client didn't read."),
    "shadow_decision": (
        {"enum": [*ShadowDecision, None]},
        "What policies in shadow mode would have decided; failed: they couldn't be asked.",
    ),
    "shadow_rule_ids": (_TEXTS, "The rules of those."),
    "raw_columns": (_TEXTS, "Masked columns whose real values the statement compared."),
    "plan_units": (_NUMBER, "The planner's estimate, in its own units."),
    "end_user": (_TEXT, "For whom a trusted principal spoke."),
    "lane": (_TEXT, "The workload lane that the statement ran in."),
    "queued_us": (_NUMBER, "How long it waited for its turn there, in microseconds."),
    "parameters": (
        {"type": "array", "items": {"type": ["string", "null"]}},
        "Bind values as text, where audit.parameters keeps them; null is NULL.",
    ),
}
_PLACE: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "schema": ({"const": SCHEMA_VERSION}, "The version of this schema; not in `audit query --json`."),
    "chain": (_TEXT, "The journal and worker that wrote the record; not in `audit query --json`."),
    "sequence": ({"type": "integer", "minimum": 1}, "Its number in that chain; not in `audit query --json`."),
}


def record_schema() -> dict[str, Any]:
    properties = {name: {**kind, "description": text} for name, (kind, text) in (_PLACE | _FIELDS).items()}
    return {
        "$schema": _DIALECT,
        "title": "A record of pgwarden's audit",
        "type": "object",
        "properties": properties,
        "required": list(FIELD_NAMES),
    }
