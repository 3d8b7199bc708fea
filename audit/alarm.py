"""What is worth telling somebody at once: which records, and what is told of them. Pure."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any, Final

import msgspec

from audit.record import Record, Stage, Verdict, at_datetime

VERSION: Final = 1
# A record without any of these in its bytes is none of ours: looked for before it is decoded.
MARKS: Final = (b"\xa4deny", b"\xa5event")
_LONGEST_TEXT: Final = 2_000
_AT: Final = "%Y-%m-%dT%H:%M:%S.%fZ"
_PLAIN: Final = ("tenant", "team", "user", "end_user", "database", "client_address", "application", "workload")
# Events that say nothing of the kind "somebody should look": all that went as it should.
_CALM: Final = frozenset(
    {"start", "stop", "reload", "audit_export", "server_report", "budgets_back", "keys_read", "key_created"}
    | {"key_revoked", "key_learned", "key_revocation_learned", "key_session_ended"}
)


class Choice(StrEnum):
    """`denials`: refused statements. `alarms`: events that went wrong, such as failed logins, bad policies, budgets.
    `events`: all events.
    """

    DENIALS = "denials"
    ALARMS = "alarms"
    EVENTS = "events"


class Level(StrEnum):
    """How bad it is."""

    ALARM = "alarm"
    DENIAL = "denial"
    NOTE = "note"


class Alarm(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing to be told. `id` is the record's: who gets it twice can see that.

    `at` is ISO 8601 in UTC, `name` an event's or "statement", `text` an event's sentence, `sql_text` a statement's text
    where it is wanted.
    """

    id: str
    at: str
    level: Level
    name: str
    text: str = ""
    tenant: str = ""
    team: str = ""
    user: str = ""
    end_user: str = ""
    database: str = ""
    client_address: str = ""
    application: str = ""
    workload: str = ""
    statement_id: str = ""
    decision: str = ""
    sqlstate: str = ""
    rule_ids: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    sql_text: str = ""
    is_cut: bool = False


def level_of(record: Record) -> Level | None:
    """None for a record that nobody is told of."""
    if record.stage is not Stage.EVENT:
        return Level.DENIAL if record.decision is Verdict.DENY else None
    is_calm = record.decision is Verdict.ALLOW or (record.decision is None and record.shape in _CALM)
    return Level.NOTE if is_calm else Level.ALARM


def is_wanted(level: Level, choices: tuple[Choice, ...]) -> bool:
    match level:
        case Level.DENIAL:
            return Choice.DENIALS in choices
        case Level.ALARM:
            return Choice.ALARMS in choices or Choice.EVENTS in choices
        case Level.NOTE:
            return Choice.EVENTS in choices


def alarm_of(record: Record, level: Level, *, has_sql_text: bool) -> Alarm:
    is_event = record.stage is Stage.EVENT
    said = record.sql_text[:_LONGEST_TEXT]
    return Alarm(
        id=record.id,
        at=at_datetime(record).strftime(_AT),
        level=level,
        name=record.shape if is_event else "statement",
        text=said if is_event else "",
        sql_text=said if has_sql_text and not is_event else "",
        statement_id=record.statement_id,
        decision=record.decision or "",
        sqlstate=record.sqlstate,
        rule_ids=record.rule_ids,
        tables=record.tables,
        is_cut=len(record.sql_text) > len(said) and (is_event or has_sql_text),
        **{name: getattr(record, name) for name in _PLAIN},
    )


def encoded(alarm: Alarm, longest_bytes: int) -> bytes:
    """JSON in one line of printable ASCII, at most so long: what may be long goes first, then all but a few."""
    data = _json(alarm)
    shorter: Any = alarm
    for change in ({"sql_text": ""}, {"tables": ()}, {"rule_ids": ()}, {"text": ""}, dict.fromkeys(_PLAIN, "")):
        if len(data) <= longest_bytes:
            break
        shorter = msgspec.structs.replace(shorter, is_cut=True, **change)
        data = _json(shorter)
    return data


def _json(alarm: Any) -> bytes:
    """Clients choose some of the texts: nothing in them may drive the terminal of who reads the log."""
    return json.dumps(msgspec.to_builtins(alarm), separators=(",", ":")).replace("\x7f", "\\u007f").encode("ascii")
