"""Masks as SQL expressions, for the columns that a statement does more with than show them.

Every function, type and operator is qualified, so that a client's search_path can't change what a mask does;
no result depends on a setting. It must not know whole statements.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from policies.expressions import ExpressionError, bind_expression
from policies.literals import quote_string
from policies.masks import constants
from policies.masks.email import address_sql
from policies.masks.fit import check_type
from policies.masks.spec import KEYED, Kind, MaskError, decimal_of, kind_of
from policies.masks.targets import Family, Target, target_of
from policies.model import MaskSpec, Value

# The range in which date and timestamp convert to each other and date_trunc can't leave it. What lies outside
# is shown as infinitely far away.
_FIRST_DAY = "4713-01-01 BC"
_LAST_DAY = "294276-12-31"

# The largest magnitudes that floats are cut to before they are put into buckets, so that nothing overflows.
_FLOAT_LIMITS = {4: "3.4e38", 8: "1e300"}

# Name of the set that an array's elements come from, inside the subquery that masks them.
_ITEMS = "pgwarden_items"


def sql_form(spec: MaskSpec, type_oid: int, type_name: str, column: str, attributes: Mapping[str, Value]) -> str:
    """An SQL expression that gives the masked value of `column`, an already quoted reference.

    It has the column's type (a domain's base type) and collation; NULL stays NULL. Raises MaskError as
    `check_type` does, and when an operator's SQL needs an attribute that is missing.
    """
    check_type(spec, type_oid, type_name)
    kind = kind_of(spec)
    target = target_of(type_oid, type_name)
    if target is None:
        # CASE takes type and collation from the column, so no name has to be found.
        if kind is Kind.SQL:
            return f"CASE WHEN {column} IS NULL THEN {column} ELSE {_operators_own(spec, column, attributes)} END"
        return f"CASE WHEN TRUE THEN NULL ELSE {column} END"
    if kind is Kind.NULLIFY or kind in KEYED:
        return _cast("NULL", target.sql_type)
    masked = _cast(_masked(kind, spec, target, column, attributes), target.sql_type)
    # THEN gives NULL, and the whole expression the column's collation.
    return f"CASE WHEN {column} IS NULL THEN {column} ELSE {masked} END"


def _masked(kind: Kind, spec: MaskSpec, target: Target, column: str, attributes: Mapping[str, Value]) -> str:
    match kind:
        case Kind.REDACT:
            return constants.redacted(target).sql
        case Kind.CONSTANT:
            return constants.constant(target, spec.get("value")).sql
        case Kind.SQL:
            return _operators_own(spec, column, attributes)
        case Kind.TRUNCATE if spec.get("unit") is not None:
            return _truncated_time(target, column, spec.get("unit"))
        case Kind.TRUNCATE:
            return _truncated_number(target, column, decimal_of(spec.get("bucket")) or Decimal(1))
        case Kind.HASH if target.family is Family.UUID:
            return _uuid_hash(column, spec.get("salt", ""))
        case Kind.HASH if target.family is Family.BYTEA:
            return _digest(f"pg_catalog.byteacat({_octets(quote_string(spec.get('salt', '')))}, {column})")
        case _ if target.element_oid:
            return _each_element(kind, spec, column)
        case _:
            return _masked_text(kind, spec, _text(column))


def _cast(expression: str, sql_type: str) -> str:
    return f"CAST({expression} AS {sql_type})"


def _text(expression: str) -> str:
    """As text; the blanks at the end of a bpchar go."""
    return _cast(expression, "pg_catalog.text")


def _concat(first: str, *rest: str) -> str:
    for part in rest:
        first = f"pg_catalog.textcat({first}, {part})"
    return first


def _masked_text(kind: Kind, spec: MaskSpec, text: str) -> str:
    match kind:
        case Kind.PARTIAL:
            return _partial(text, spec.get("keep_first", 0), spec.get("keep_last", 0), spec.get("fill", "*"))
        case Kind.EMAIL:
            return _email(text)
        case Kind.HASH:
            return _hex(_digest(_octets(_concat(quote_string(spec.get("salt", "")), text))))
        case _:
            raise MaskError(f"mask {kind} has no form at the source")


def _each_element(kind: Kind, spec: MaskSpec, column: str) -> str:
    item = f"{_ITEMS}.item"
    masked = _masked_text(kind, spec, _text(item))
    shown = f"CASE WHEN {item} IS NULL THEN NULL ELSE {masked} END"
    # Every part is a quoted reference, a literal or our own text.
    return f"ARRAY(SELECT {shown} FROM pg_catalog.unnest({column}) AS {_ITEMS}(item))"  # noqa: S608


def _partial(text: str, first: int, last: int, fill: str) -> str:
    length = f"pg_catalog.char_length({text})"
    filler = quote_string(fill)
    ends = first + last
    middle = f"pg_catalog.repeat({filler}, {length} OPERATOR(pg_catalog.-) {ends})"
    kept = _concat(f"pg_catalog.left({text}, {first})", middle, f"pg_catalog.right({text}, {last})")
    return (
        f"CASE WHEN {length} OPERATOR(pg_catalog.>) {ends} THEN {kept} ELSE pg_catalog.repeat({filler}, {length}) END"
    )


def _email(text: str) -> str:
    # Searching fails under a nondeterministic collation, hence "C".
    position = f"pg_catalog.strpos({text} COLLATE pg_catalog.\"C\", '@')"
    domain = f"pg_catalog.substr({text}, {position} OPERATOR(pg_catalog.+) 1)"
    shown = _concat(f"pg_catalog.left({text}, 1)", "'***@'", domain)
    return f"CASE WHEN {address_sql(text, position, domain)} THEN {shown} ELSE '***' END"


def _octets(text: str) -> str:
    return f"pg_catalog.convert_to({text}, 'UTF8')"


def _digest(octets: str) -> str:
    return f"pg_catalog.sha256({octets})"


def _hex(octets: str) -> str:
    return f"pg_catalog.encode({octets}, 'hex')"


def _uuid_hash(column: str, salt: str) -> str:
    digest = _hex(_digest(_octets(_concat(quote_string(salt), _text(column)))))
    return f"pg_catalog.left({digest}, 32)"


def _truncated_time(target: Target, column: str, unit: str) -> str:
    sql_type = target.sql_type
    moment = _cast(column, "pg_catalog.timestamp") if target.family is Family.DATE else column
    has_zone = target.family is Family.TIMESTAMPTZ
    first = _cast(quote_string(_FIRST_DAY + "+00" * has_zone), sql_type)
    # In UTC, never in the session's zone: a client that shifts its TimeZone by the minute would see from the answers
    # to which minute a day's or a year's truncation belongs.
    zone = ", 'UTC'" if has_zone else ""
    truncated = f"pg_catalog.date_trunc({quote_string(unit)}, {moment}{zone})"
    cases = f"WHEN {column} OPERATOR(pg_catalog.<) {first} THEN '-infinity'"
    if target.family is Family.DATE:
        last = _cast(quote_string(_LAST_DAY), sql_type)
        cases += f" WHEN {column} OPERATOR(pg_catalog.>) {last} THEN 'infinity'"
    return f"CASE {cases} ELSE {truncated} END"


def _truncated_number(target: Target, column: str, bucket: Decimal) -> str:
    match target.family:
        case Family.FLOAT:
            return _float_bucket(target, column, bucket)
        case Family.INTEGER:
            edge = _bucket_edge(_cast(column, "pg_catalog.numeric"), bucket)
            return _at_least(edge, str(target.smallest))
        case _:
            return _numeric_bucket(target, column, bucket)


def _numeric_literal(text: str) -> str:
    return _cast(f"'{text}'", "pg_catalog.numeric")


def _bucket_edge(number: str, bucket: Decimal) -> str:
    """floor(number / bucket) * bucket in numeric, without the rounding that its division does."""
    step = _numeric_literal(f"{bucket:f}")
    rest = f"pg_catalog.mod(pg_catalog.mod({number}, {step}) OPERATOR(pg_catalog.+) {step}, {step})"
    return f"pg_catalog.div({number} OPERATOR(pg_catalog.-) {rest}, {step}) OPERATOR(pg_catalog.*) {step}"


def _at_least(number: str, smallest: str) -> str:
    return f"GREATEST({number}, {_numeric_literal(smallest)})"


def _numeric_bucket(target: Target, column: str, bucket: Decimal) -> str:
    number = _cast(column, "pg_catalog.numeric")
    edge = _bucket_edge(number, bucket)
    if target.modifiers:
        precision, scale = target.modifiers
        edge = _at_least(edge, f"{Decimal(1 - 10**precision).scaleb(-scale):f}")
    specials = ", ".join(_numeric_literal(text) for text in ("NaN", "Infinity", "-Infinity"))
    return f"CASE WHEN {number} OPERATOR(pg_catalog.=) ANY (ARRAY[{specials}]) THEN {number} ELSE {edge} END"


def _float_bucket(target: Target, column: str, bucket: Decimal) -> str:
    number = _cast(column, "pg_catalog.float8")
    step = _cast(f"'{bucket:f}'", "pg_catalog.float8")
    limit = _FLOAT_LIMITS[target.size]
    lowest, highest = (_cast(f"'{sign}{limit}'", "pg_catalog.float8") for sign in ("-", ""))
    near = f"LEAST(GREATEST({number}, {lowest}), {highest})"
    edge = f"pg_catalog.floor({near} OPERATOR(pg_catalog./) {step}) OPERATOR(pg_catalog.*) {step}"
    specials = ", ".join(_cast(f"'{text}'", "pg_catalog.float8") for text in ("NaN", "Infinity", "-Infinity"))
    zero = _cast("'0'", "pg_catalog.float8")
    below = f"pg_catalog.float8um({step})"
    # The two buckets beside zero need no division: that of a tiny number would underflow, which is an error.
    return (
        f"CASE WHEN {number} OPERATOR(pg_catalog.=) ANY (ARRAY[{specials}]) THEN {number}"
        f" WHEN {number} OPERATOR(pg_catalog.>=) {zero} AND {number} OPERATOR(pg_catalog.<) {step} THEN {zero}"
        f" WHEN {number} OPERATOR(pg_catalog.<) {zero} AND {number} OPERATOR(pg_catalog.>=) {below} THEN {below}"
        f" ELSE GREATEST({edge}, {lowest}) END"
    )


def _operators_own(spec: MaskSpec, column: str, attributes: Mapping[str, Value]) -> str:
    try:
        return f"({bind_expression(spec.get('expression'), attributes, column)})"
    except ExpressionError as error:
        raise MaskError(f"mask sql can't be used: {error}") from None
