"""The JSON Schema (2020-12) of a policy file, for editors and pipelines. Pure.

Keys, names and bounds come from the readers' own tables, so a key that a reader learns without a line here fails the
build. What a schema can't say (names that must exist, expressions, rules over several files) is left to `load`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from policies import (
    authentication,
    budgets_reader,
    guard_reader,
    limits_reader,
    load,
    policy_reader,
    prices_reader,
    principals,
    rates_reader,
    when_reader,
)
from policies.budgets import OnExceeded
from policies.masks import fakes
from policies.masks.fpe import ALPHABETS
from policies.masks.spec import MAX_KEPT, UNITS, Kind, parameters_of
from policies.model import AtCap, Mode, RawUse, Statement
from policies.tiers import TierName

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string", "minLength": 1, "pattern": r"\S"}
_VALUE: Schema = {"type": ["string", "number", "boolean"]}


def policy_file_schema() -> Schema:
    """A whole file; every section may stand empty."""
    sections = {
        "principals": _list(_principal()),
        "tags": {
            "description": "Names for columns that belong together: masks may say `tag` instead of `column`.",
            "type": "object",
            "additionalProperties": _texts("Columns as schema.table.column."),
        },
        "policies": _list(_policy()),
        "prices": _prices(),
        "rates": _list(_rate(), "How fast statements may begin; all that concern a principal hold."),
        "tiers": _tiers(),
        "budgets": _list(_budget(), "What may be spent in a day or a month."),
    }
    properties = {name: {"anyOf": [sections[name], {"type": "null"}]} for name in load.SECTIONS}
    return {"$schema": DIALECT, "title": "pgwarden policies"} | _object(load.SECTIONS, properties)


def _object(keys: Sequence[str], properties: Mapping[str, Schema], required: Sequence[str] = ()) -> Schema:
    """Raises KeyError for a key that has no schema."""
    found: Schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": {key: properties[key] for key in keys},
    }
    return found | ({"required": list(required)} if required else {})


def _list(items: Schema, description: str = "") -> Schema:
    return _told(description) | {"type": "array", "items": items}


def _texts(description: str = "") -> Schema:
    return _list(_TEXT, description) | {"uniqueItems": True}


def _one_of(values: Iterable[str], description: str = "") -> Schema:
    return _told(description) | {"type": "string", "enum": list(values)}


def _told(description: str) -> Schema:
    return {"description": description} if description else {}


def _text(description: str) -> Schema:
    return _told(description) | _TEXT


def _pattern(pattern: str, description: str) -> Schema:
    return _told(description) | {"type": "string", "pattern": f"^(?:{pattern})$"}


def _whole(maximum: int, description: str, minimum: int = 1) -> Schema:
    return _told(description) | {"type": "integer", "minimum": minimum, "maximum": maximum}


def _principal() -> Schema:
    attributes = {
        "description": "What filters and masks may refer to as {name}.",
        "type": "object",
        "propertyNames": {"pattern": f"^(?:{principals.ATTRIBUTE_PATTERN})$", "not": {"const": "column"}},
        "additionalProperties": {"anyOf": [_VALUE, _list(_VALUE)]},
    }
    properties = {
        "user": _text("The name that clients log in with."),
        "tenant": _text("Policies, budgets and records go by it."),
        "team": _text("Policies and records go by it."),
        "roles": _texts("Names that policies refer to under subjects.roles."),
        "attributes": attributes,
        "auth": _authentication(),
        "speaks_for": _texts("End users that comments of its statements may name, * for any characters."),
    }
    return _object(principals.KEYS, properties, ["user"])


def _authentication() -> Schema:
    key = {
        "id": _pattern(authentication.KEY_ID_PATTERN, "What records call the key."),
        "sha256": _pattern(authentication.SHA256_PATTERN, "The key's SHA-256 in hex, as `pgwarden api-key` prints it."),
        "expires": {"type": "string", "format": "date", "description": "From this day (UTC) on it is worth nothing."},
    }
    properties = {
        "scram": _text("A verifier as in pg_authid.rolpassword, or env:NAME; `pgwarden verifier` makes one."),
        "scram_file": _text("A file with the verifier, relative to the policy folder."),
        "certificate": _text("The subject that the client's certificate must have: CN=ada,O=Acme."),
        "api_keys": _list(_object(authentication.API_KEY_KEYS, key, ["id", "sha256"])),
        "stored_keys": _told("Keys that `pgwarden key create` has made are taken.") | {"type": "boolean"},
    }
    return _object(authentication.KEYS, properties) | {"minProperties": 1}


def _policy() -> Schema:
    properties = {
        "name": _text("Stands in rule ids, refusals and records."),
        "database": _text("As clients name it; left out: all."),
        "subjects": _subjects("Whom the policy is for: any one match suffices.", ("except",)),
        "except": _subjects("Who is taken out again."),
        "statements": _statements(),
        "tables": _object(
            policy_reader.TABLE_KEYS,
            {
                "allow": _texts("schema.table, schema.* or *.*; several policies' lists intersect."),
                "block": _texts("The same; blocks of several policies unite."),
            },
        ),
        "columns": _object(policy_reader.COLUMN_KEYS, {"block": _texts("schema.table.column: they don't exist.")}),
        "rows": _list(_row()),
        "masks": _list(_mask_entry()),
        "functions": _object(
            policy_reader.FUNCTION_KEYS, {"allow": _texts("Own functions: schema.name, schema.* or *.")}
        ),
        "limits": _limits(),
        "when": _when(),
        "mode": _one_of(Mode, "shadow: decide and record, change nothing."),
    }
    return _object(policy_reader.KEYS, properties, ["name", "subjects"])


def _subjects(description: str, more_keys: tuple[str, ...] = ()) -> Schema:
    names: dict[str, Schema] = {key: _texts() for key in policy_reader.SUBJECT_KEYS}
    properties = names | {
        "any": {"type": "boolean"},
        "except": _subjects("Who is taken out again.") if more_keys else {},
    }
    return _told(description) | _object((*policy_reader.SUBJECT_KEYS, *more_keys), properties) | {"minProperties": 1}


def _statements() -> Schema:
    kinds = _list(_one_of(Statement)) | {"uniqueItems": True}
    properties = {
        "allow": _told("Several policies' lists intersect.") | kinds,
        "deny": _told("Refused whatever else allows them; they unite.") | kinds,
    }
    split = _object(policy_reader.STATEMENT_KEYS, properties) | {"minProperties": 1}
    return _told("Kinds of statements that are allowed; the rest is refused.") | {"anyOf": [kinds, split]}


def _row() -> Schema:
    properties = {
        "table": _text("schema.table"),
        "filter": _text(
            "An SQL condition; {name} is a principal's attribute, bound as a typed value, never in quotes."
        ),
    }
    return _object(guard_reader.ROW_KEYS, properties, guard_reader.ROW_KEYS)


def _mask_entry() -> Schema:
    use = {use.value: _one_of(guard_reader.USE_VALUES) for use in RawUse}
    properties = {
        "column": _text("schema.table.column"),
        "tag": _text("A name under tags: all its columns."),
        "mask": {"oneOf": [_mask(kind) for kind in Kind]},
        "use": _told("What may be done with the real values, while the output stays masked.")
        | _object(tuple(use), use),
        "probes_per_hour": _whole(guard_reader.MAX_PROBES, "So many statements of a principal may use them."),
    }
    either = {
        "oneOf": [{"required": ["column"]}, {"required": ["tag"]}],
        "dependentRequired": {"probes_per_hour": ["use"]},
    }
    return _object(guard_reader.MASK_KEYS, properties, ["mask"]) | either


_MASK_PARAMETERS: Mapping[str, Schema] = {
    "value": _VALUE,
    "salt": {"type": "string"},
    "unit": _one_of(UNITS, "For dates and timestamps."),
    "bucket": {"type": ["number", "string"], "description": "For numbers: above 0."},
    "amount": {"type": ["number", "string"], "description": "At most so much is added or taken away."},
    "ratio": {"type": ["number", "string"], "description": "The same as a share of the value: above 0, at most 1."},
    "key": {
        "type": "string",
        "pattern": "^(env|file):.",
        "description": "env:NAME or file:PATH, never the key itself.",
    },
    "prefix": {"type": "string", "description": "Stands before each token."},
    "of": _one_of(fakes.MAKERS, "What is made up."),
    "alphabet": _one_of(ALPHABETS, "The characters that stay within themselves."),
    "tweak": {"type": "string", "description": "Makes equal values differ between columns."},
    "keep_first": _whole(MAX_KEPT, "Characters.", minimum=0),
    "keep_last": _whole(MAX_KEPT, "Characters.", minimum=0),
    "fill": {"type": "string", "minLength": 1, "maxLength": 1},
    "expression": _text("SQL over {column} and attributes; applied at the source only."),
}


def _mask(kind: Kind) -> Schema:
    parameters = parameters_of(kind)
    properties = {"kind": {"const": kind.value}} | {name: _MASK_PARAMETERS[name] for name in parameters}
    required = [name for name, is_required in parameters.items() if is_required]
    return _object(tuple(properties), properties, ["kind", *required])


def _limits() -> Schema:
    def amount(units: Collection[str], description: str) -> Schema:
        return _pattern(f"{limits_reader.AMOUNT_PATTERN}({'|'.join(units)})", description)

    maximum = limits_reader.MAXIMUM
    properties = {
        "rows": _whole(maximum["rows"], "Rows that one statement may return."),
        "runtime": amount(limits_reader.UNITS_MS, "How long one statement may run: 30s."),
        "bytes": amount(limits_reader.UNITS_BYTES, "What one statement may send to the client: 1GiB."),
        "concurrent": _whole(maximum["concurrent"], "Statements of a principal at once."),
        "statements_per_minute": _whole(maximum["statements_per_minute"], "Statements of a principal."),
        "cost": {
            "description": "The estimate of one statement, in the currency of the prices.",
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": limits_reader.MAX_COST,
        },
        "at_cap": _one_of(AtCap, "At a limit of rows or bytes: an error, or the rows so far and a notice."),
    }
    capped = {"anyOf": [{"required": [key]} for key in sorted(limits_reader.CUT_OFF_KEYS)]}
    return _object(limits_reader.KEYS, properties) | {"dependentSchemas": {"at_cap": capped}}


def _when() -> Schema:
    networks = _texts() | {"minItems": 1}
    properties = {
        "cidr": {"description": "The client's address is in one of these networks.", "anyOf": [_TEXT, networks]},
        "hours": _pattern(when_reader.HOURS_PATTERN, "07:00-20:00; 22:00-06:00 goes over midnight."),
        "days": _list(_one_of(when_reader.DAYS)) | {"minItems": 1, "uniqueItems": True},
        "timezone": _text("An IANA name such as Europe/London; UTC when left out."),
    }
    asks = {"anyOf": [{"required": [key]} for key in ("cidr", "hours", "days")]}
    return (
        _told("When the policy counts: every part that is given must hold.")
        | _object(when_reader.KEYS, properties)
        | asks
    )


def _prices() -> Schema:
    properties: dict[str, Schema] = {key: {"type": "number", "minimum": 0} for key in prices_reader.PART_KEYS}
    properties["currency"] = _pattern(prices_reader.CURRENCY_PATTERN, "Three capital letters.")
    properties["function"] = _text("An installed price function, which has the last word.")
    of_list = properties | {
        "name": _text("Once in the folder."),
        "from": _text("A day, or a moment: the first that it holds for. Left out: from ever."),
        "until": _text("The first that it no longer holds for. Left out: until the next list's `from`."),
        "databases": _texts("Left out: all that no list names.") | {"minItems": 1},
    }
    several = _list(_object(prices_reader.LIST_KEYS, of_list, ["name"]))
    return {"anyOf": [_object(prices_reader.PRICE_KEYS, properties), several]}


def _pace() -> dict[str, Schema]:
    return {
        "per_second": {
            "description": "Statements a second on average.",
            "type": "number",
            "minimum": rates_reader.LEAST_PER_SECOND,
            "maximum": rates_reader.MOST_PER_SECOND,
        },
        "burst": _whole(rates_reader.MOST_BURST, "So many at once; left out: those of a second."),
    }


def _rate() -> Schema:
    subjects = {subject.value: _text(f"All of this {subject.value} share it.") for subject in rates_reader.SUBJECTS}
    each = _one_of([subject.value for subject in rates_reader.SUBJECTS], "Each of them has it for itself.")
    one = {"oneOf": [{"required": [key]} for key in rates_reader.SUBJECT_KEYS]}
    return _object(rates_reader.RATE_KEYS, subjects | {"each": each} | _pace(), ["per_second"]) | one


def _tiers() -> Schema:
    properties = _pace() | {
        "statements_per_month": _whole(rates_reader.MOST_STATEMENTS, "Of one key, in a month of UTC."),
        "cost_per_month": {
            "description": "Of one key, in the currency of the prices.",
            "type": "number",
            "minimum": rates_reader.LEAST_COST,
            "maximum": rates_reader.MOST_COST,
        },
    }
    tier = _object(rates_reader.TIER_KEYS, properties) | {"dependentRequired": {"burst": ["per_second"]}}
    return _told("Quotas of API keys in the store.") | _object(tuple(TierName), dict.fromkeys(TierName, tier))


def _budget() -> Schema:
    def amount(description: str) -> Schema:
        above = {"type": "number", "exclusiveMinimum": 0, "maximum": budgets_reader.MAX_AMOUNT}
        return _told(f"{description}, in the currency of the prices.") | above

    properties = {
        "tenant": _text("The statements of all its principals count."),
        "team": _text("The statements of all its principals count."),
        "user": _text("This principal's statements count."),
        "workload": _text("Statements of this workload count, whoever sends them."),
        "daily": amount("What may be spent in a day"),
        "monthly": amount("What may be spent in a calendar month"),
        "warn_at": _told("The share from which on a NOTICE warns; 0.9 when left out.")
        | {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        "on_exceeded": _one_of(OnExceeded, "Refuse, wait, or only record."),
        "wait": _pattern(
            f"{limits_reader.AMOUNT_PATTERN}({'|'.join(limits_reader.UNITS_MS)})", "How long `queue` waits: 30s."
        ),
        "fail": _one_of(budgets_reader.FAIL_VALUES, "Without the store: stop, or go on up to `cap`."),
        "cap": amount("What one sidecar may spend in a period without the store"),
        "slice": amount("What a sidecar takes from the store at once"),
        "reserve": amount("What a statement reserves whose cost isn't known yet"),
        "timezone": _text("Where days and months begin: an IANA name such as Europe/London; UTC when left out."),
    }
    subject = {"oneOf": [{"required": [key]} for key in budgets_reader.SUBJECT_KEYS]}
    amounts = {"anyOf": [{"required": [key]} for key in budgets_reader.PERIOD_KEYS]}
    return _object(budgets_reader.KEYS, properties) | {"allOf": [subject, amounts]}
