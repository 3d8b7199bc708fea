"""Expressions of every type, for millions of statements.

Where PostgreSQL leaves an outcome open, the grammar keeps away: every numeric has two decimals (1.0 and 1.00 are equal
but not the same bytes), no sums of floats, no aggregate sees an order that isn't its own.
"""

from __future__ import annotations

from random import Random
from typing import Final

from tests.oracle.grammar import BOOL, DATE, INT, JSON, LIST, NUM, TABLES, TEXT, TIME, Columns, Drawer, Source
from tests.security.canaries import Canaries
from tests.security.shop_rows import all_rows

ENUM, UUID, BYTES, RANGE, SPAN, HOME = "enum", "uuid", "bytes", "range", "span", "home"
WIDE_TABLES: Final[dict[str, Columns]] = {
    **TABLES,
    "customers": {**TABLES["customers"], "segment": ENUM, "device": UUID, "photo": BYTES},
    "orders": {**TABLES["orders"], "state": ENUM},
    "memos_archive": {"id": INT, "tenant_id": INT, "body": TEXT, "shelf": TEXT},
    "events_2125": TABLES["events_2124"],
    "notes": {"id": INT, "customer_id": INT, "tenant_id": INT, "body": TEXT, '"Order"': INT},
    '"Odd Table"': {
        "id": INT, "tenant_id": INT, '"select"': TEXT, '"a""b"': INT, '"Größe"': NUM, "period": RANGE, "span": SPAN,
        "home": HOME, '"Code"': TEXT, "doubled": INT, "secret": TEXT, '"order"': TEXT,
    },
    "old_customers": {"id": INT, "name": TEXT, "ssn": TEXT, "birth_date": DATE, "points": INT},
    "old_contacts": {"key": INT, "label": TEXT, "day": DATE},
    "spending": {"customer_id": INT, "orders": INT, "total": NUM, "last": DATE},
    "everything": {"id": INT, "label": TEXT, "kind": TEXT},
    "ranked": {"id": INT, "customer_id": INT, "total": NUM, "place": INT},
    "odd_view": {'"ID"': INT, '"from"': TEXT, '"Secret"': TEXT, '"1"': INT},
}  # fmt: skip
_LITERALS: Final = {
    INT: ("0", "1", "2", "3", "5", "7", "23", "400", "NULL::int", "(-3)", "31"),
    NUM: ("0.00", "1.50", "250.50", "1000.00", "NULL::numeric", "(-7.25)"),
    TEXT: ("'x'", "'Name 1'", "'memo 2'", "'cnry'", "''", "'REDACTED'", "'a''b'", "'word 1'", "NULL::text", "'é漢'"),
    DATE: ("DATE '2024-03-01'", "DATE '1950-01-01'", "'2024-06-30'::date", "NULL::date"),
    TIME: ("TIMESTAMP '2024-02-05 10:00'", "NULL::timestamp"),
    BOOL: ("true", "false", "NULL::boolean"),
    JSON: ("""'{"color": "red", "parts": [{"n": 1}]}'::jsonb""", "'[1, 2]'::jsonb", "NULL::jsonb"),
    LIST: ("ARRAY['a', 'b']", "'{}'::text[]", "NULL::text[]"),
    RANGE: ("daterange('2024-02-01', '2024-08-01')", "'empty'::daterange"),
    SPAN: ("int4range(1, 5)", "'empty'::int4range"),
}
_PARAMETERS: Final = {INT: ("1", "5", "23", "0"), TEXT: ("Name 1", "x", "a%", "word 1", ""), DATE: ("2024-03-01",)}
_PARAMETER_TYPES: Final = {INT: "int", TEXT: "text", DATE: "date"}
FIELDS: Final = ("year", "month", "day", "dow", "quarter", "isoyear", "week")


def hidden_values() -> dict[str, tuple[str, ...]]:
    """Literals that only hidden rows and masked cells hold: a client may guess them."""
    canaries = Canaries()
    for _ in all_rows(canaries):
        pass
    found: dict[str, list[str]] = {INT: [], TEXT: [], DATE: []}
    for label, value in canaries.values.items():
        if value.isdigit() and label.endswith(("id", "pin", "points")):
            found[INT].append(value)
        elif label.endswith(("name", "memo", "body", "ssn", "note", "nickname", "actor")):
            found[TEXT].append(f"'{value}'")
        elif label.endswith(("day", "birth_date")):
            found[DATE].append(f"DATE '{value}'")
    return {kind: tuple(values) for kind, values in found.items()}


HIDDEN: Final = hidden_values()


class Values(Drawer):
    """`budget`: how many more expressions this statement may hold beyond plain ones; `parameters`: those bound."""

    tables = WIDE_TABLES

    def __init__(self, random: Random, *, can_bind: bool = False) -> None:
        super().__init__(random)
        self.can_bind = can_bind
        self.parameters: list[bytes] = []
        self.renamed: set[str] = set()  # aliases with a column list
        self.budget = self.pick((2, 4, 6, 10, 16, 30))

    def value(self, sources: list[Source], kind: str, depth: int = 2) -> str:
        self.budget -= 1
        column = self.column(sources, kind)
        if self.budget <= 0 or depth <= 0 or (column and self.chance(45)):
            return column if column and self.chance(94) else self.literal(kind)
        if self.chance(10):
            return self.literal(kind)
        if self.chance(5):
            return self.risky(sources, kind, depth - 1)
        makers = {
            INT: self._int, NUM: self._num, TEXT: self._text, DATE: self._date, JSON: self._json, LIST: self._list,
            RANGE: self._range,
        }  # fmt: skip
        if kind not in makers or self.chance(22):
            return self.pick((self._case, self._coalesce, self._subquery, self._scalar))(sources, kind, depth - 1)
        return makers[kind](sources, depth - 1)

    def literal(self, kind: str) -> str:
        if kind in HIDDEN and self.chance(4):
            return self.pick(HIDDEN[kind])
        if self.can_bind and kind in _PARAMETERS and self.chance(25):
            self.parameters.append(self.pick(_PARAMETERS[kind]).encode())
            return f"${len(self.parameters)}::{_PARAMETER_TYPES[kind]}"
        return self.pick(_LITERALS.get(kind, ("NULL",)))

    def _coalesce(self, sources: list[Source], kind: str, depth: int) -> str:
        one, two = self.value(sources, kind, depth), self.value(sources, kind, depth)
        words = (
            ("coalesce", "nullif") if kind in (JSON, LIST, RANGE, TIME) else ("coalesce", "greatest", "least", "nullif")
        )
        return f"{self.pick(words)}({one}, {two})"

    def _case(self, sources: list[Source], kind: str, depth: int) -> str:
        if self.chance(70) or kind == JSON:
            return super()._case(sources, kind, depth)
        tested = self.value(sources, TEXT, depth)
        arms = " ".join(
            f"WHEN {self.literal(TEXT)} THEN {self.value(sources, kind, depth)}" for _ in range(self.number(1, 2))
        )
        return f"CASE {tested} {arms} END"

    def _scalar(self, sources: list[Source], kind: str, depth: int) -> str:
        """A subquery that gives one row by its key, or by a LIMIT below a full order."""
        table = self.pick(tuple(self.tables))
        inner = Source(self.alias(), self.tables[table])
        own = self.column([inner], kind)
        if own is None or kind in (JSON, LIST):
            return self.value(sources, kind, 0)
        where = self.condition([inner, *sources], depth)
        way = self.pick(("", "DESC"))
        return f"(SELECT {own} FROM shop.{table} AS {inner.alias} WHERE {where} ORDER BY 1 {way} LIMIT 1)"

    def _subquery(self, sources: list[Source], kind: str, depth: int) -> str:
        if kind not in (INT, NUM, TEXT, DATE):
            return self.value(sources, kind, 0)
        return super()._subquery(sources, kind, depth)

    def _int(self, sources: list[Source], depth: int) -> str:
        text, number = self.value(sources, TEXT, depth), self.value(sources, INT, depth)
        day, listed, document = self.value(sources, DATE, depth), self.column(sources, LIST), self.column(sources, JSON)
        span = self.column(sources, SPAN)
        choices = [
            f"length({text})", f"({number} % 10)", f"extract({self.pick(FIELDS)} FROM {day})::int",
            f"strpos({text}, 'a')", f"({number} & 15)", f"abs({number} % 97)", f"ascii({text})", f"(-({number} % 50))",
            f"date_part('month', {day})::int", f"sign({number})::int", f"octet_length({text})",
            f"position('m' IN {text})", f"num_nulls({text}, {number})", f"char_length({text})", f"mod({number}, 7)",
            f"({day} - DATE '2024-01-01')", f"({number} # 3)", f"(({number})::bigint << 2 & 255)::int",
            f"CAST({number} AS bigint)::int", f"array_position(ARRAY['x', 'Name 1'], {text})",
            f"floor({self.value(sources, NUM, depth)})::int",
            f"width_bucket({self.value(sources, NUM, depth)}, 0, 900, 4)",
        ]  # fmt: skip
        if listed:
            choices += [f"cardinality({listed})", f"array_length({listed}, 1)", f"array_upper({listed}, 1)"]
        if document:
            choices += [f"({document} ->> 'weight')::int", f"jsonb_array_length({document} -> 'parts')"]
        if span:
            choices += [f"lower({span})", f"upper({span})"]
        return self.pick(choices)

    def _num(self, sources: list[Source], depth: int) -> str:
        one, two, whole = (self.value(sources, kind, depth) for kind in (NUM, NUM, INT))
        return self.pick((
            f"round({one} * 1.1, 2)", f"({one} * 2)", f"({one} + {two})", f"({one} - 1)", f"trunc({one}, 2)",
            f"abs({one})", f"(-{one})", f"({whole} % 1000)::numeric(14,2)", f"round({one} / nullif({two}, 0), 2)",
            f"mod({one}, 7.00)", f"round(sqrt(abs({one})), 2)", f"ceil({one})::numeric(14,2)",
        ))  # fmt: skip

    def _text(self, sources: list[Source], depth: int) -> str:
        text, number, day = (self.value(sources, kind, depth) for kind in (TEXT, INT, DATE))
        makers = (self._text_of_text, self._text_of_others, self._text_of_columns)
        return self.pick(makers)(sources, text, number, day)

    def _text_of_text(self, sources: list[Source], text: str, number: str, day: str) -> str:
        return self.pick((
            f"upper({text})", f"lower({text})", f"({text} || '!')", f"substr({text}, 2, 3)", f"left({text}, 4)",
            f"right({text}, 3)", f"replace({text}, 'a', 'b')", f"md5({text})", f"split_part({text}, ' ', 1)",
            f"CAST({text} AS varchar(5))", f"trim({text})", f"quote_literal({text})", f"initcap({text})",
            f"regexp_replace({text}, '[0-9]', 'n')", f"reverse({text})", f"lpad({text}, 6, '*')", f"repeat({text}, 2)",
            f"translate({text}, 'abc', 'xyz')", f"substring({text} FROM 2 FOR 3)", f"substring({text} FROM '[a-z]+')",
            f"(regexp_match({text}, '([a-z])([0-9])'))[1]", f"regexp_replace({text}, '(.)(.)', '\\2\\1', 'g')",
            f"overlay({text} PLACING '..' FROM 2 FOR 1)", f"btrim({text}, 'xN')", f"(string_to_array({text}, ' '))[1]",
            f"encode(convert_to({text}, 'UTF8'), 'hex')", f'({text} COLLATE "C")', f"quote_nullable({text})",
            f"({text})::char(3)::text", f"concat_ws('/', {text}, {number})", f"format('%s-%s', {text}, {number})",
            f"trim(LEADING 'N' FROM {text})", f"encode(sha256(convert_to({text}, 'UTF8')), 'base64')",
            f"quote_ident({text})", f"rtrim({text}, '0123456789')", f"to_jsonb({text}) #>> '{{}}'",
            f"({text} || {text})",
        ))  # fmt: skip

    def _text_of_others(self, sources: list[Source], text: str, number: str, day: str) -> str:
        amount = self.value(sources, NUM, 0)
        return self.pick((
            f"({number})::text", f"({day})::text", f"concat({text}, '-', {number})", f"to_char({day}, 'YYYY-MM')",
            f"to_char({amount}, '999990D99')", f"jsonb_build_object('a', {text}, 'b', {number})::text",
            f"(ROW({text}, {number}))::text", f"json_build_array({number}, {text})::text",
            f"chr(65 + abs({number} % 20))",
            f"array_to_string(ARRAY[{text}, ({number})::text], ',', '?')", f"({number} || {text})",
            f"to_char({number}, 'FM000')", f"CAST(({number} > 3) AS text)", f"to_hex({number})",
            f"pg_typeof({amount})::text",
            f"({amount})::text", f"to_jsonb({day})::text",
        ))  # fmt: skip

    def _text_of_columns(self, sources: list[Source], text: str, number: str, day: str) -> str:
        """Of the columns whose types have no expressions of their own."""
        choices = [f"coalesce({text}, '-')"]
        found = {kind: self.column(sources, kind) for kind in (JSON, LIST, ENUM, UUID, BYTES, RANGE, SPAN, HOME, TIME)}
        for kind in (ENUM, UUID, RANGE, SPAN, HOME, TIME, JSON, LIST):
            choices += [f"({found[kind]})::text"] * bool(found[kind])
        if (document := found[JSON]) is not None:
            choices += [
                f"({document} ->> 'color')", f"({document} -> 'parts' -> 0 ->> 'n')", f"jsonb_typeof({document})",
                f"({document} #>> '{{kind}}')", f"jsonb_path_query_first({document}, '$.parts[*].n')::text",
                f"({document} ->> 'ssn')", f"jsonb_pretty({document})", f"({document} #> '{{parts,0}}')::text",
            ]  # fmt: skip
        if (listed := found[LIST]) is not None:
            choices += [f"{listed}[1]", f"array_to_string({listed}, ',')", f"({listed})[1:2]::text"]
        if (octets := found[BYTES]) is not None:
            choices += [f"encode({octets}, 'hex')", f"({octets})::text", f"length({octets})::text", f"md5({octets})"]
        if (home := found[HOME]) is not None:
            choices += [f"({home}).street", f"({home}).zip"]
        if (moment := found[TIME]) is not None:
            choices += [f"to_char({moment}, 'YYYY-MM-DD HH24')", f"extract(hour FROM {moment})::int::text"]
        return self.pick(choices)

    def _date(self, sources: list[Source], depth: int) -> str:
        day, number, moment = self.value(sources, DATE, depth), self.value(sources, INT, 0), self.column(sources, TIME)
        period, unit = self.column(sources, RANGE), self.pick(("year", "month", "week"))
        choices = [
            f"({day} + 7)", f"({day} - interval '1 month')::date", f"date_trunc('{unit}', {day})::date",
            f"({day} + ({number} % 100))", f"make_date(2024, 1 + abs({number} % 12), 1)",
            f"greatest({day}, DATE '1999-12-31')", "to_date('15.01.2024', 'DD.MM.YYYY')",
            f"CAST(({day})::text AS date)",
        ]  # fmt: skip
        choices += [f"({moment})::date", f"date_trunc('day', {moment})::date"] if moment else []
        choices += [f"lower({period})", f"upper({period})"] if period else []
        return self.pick(choices)

    def _json(self, sources: list[Source], depth: int) -> str:
        text, number, document = (
            self.value(sources, TEXT, depth),
            self.value(sources, INT, depth),
            self.value(sources, JSON, 0),
        )
        alias = self.pick(sources).alias if sources else None
        choices = [
            f"to_jsonb({text})", f"jsonb_build_object('k', {text}, 'n', {number})", f"({document} -> 'parts')",
            f"({document} || '{{\"z\": 1}}')", f"({document} - 'color')", f"jsonb_build_array({number}, {text})",
            f"({document} #> '{{parts,0}}')", f"jsonb_set({document}, '{{color}}', to_jsonb({text}))",
            f"jsonb_path_query_array({document}, '$.parts[*].n')", f"jsonb_strip_nulls({document})",
        ]  # fmt: skip
        if alias and alias not in self.renamed:
            choices += [f"to_jsonb({alias})", f"row_to_json({alias})::jsonb", f"to_jsonb({alias}) -> 'email'"]
        return self.pick(choices)

    def _list(self, sources: list[Source], depth: int) -> str:
        one, two = self.value(sources, TEXT, depth), self.value(sources, TEXT, depth)
        listed = self.column(sources, LIST) or "ARRAY['a', NULL]"
        return self.pick((
            f"ARRAY[{one}, {two}]", f"({listed} || {one})", f"array_remove({listed}, {one})",
            f"string_to_array({one}, ' ')", f"array_append({listed}, {one})", f"({listed})[1:1]",
            f"array_replace({listed}, {one}, {two})", f"regexp_split_to_array({one}, '[ @]')",
        ))  # fmt: skip

    def _range(self, sources: list[Source], depth: int) -> str:
        period, day = self.column(sources, RANGE) or "daterange('2024-01-01', NULL)", self.value(sources, DATE, depth)
        return self.pick(
            (f"({period} * daterange('2024-03-01', '2024-12-01'))", f"daterange({day}, {day}, '[]')", period)
        )

    def risky(self, sources: list[Source], kind: str, depth: int) -> str:
        """May fail: on rows that one sees, on hidden ones only, or on values behind masks only."""
        text, number, day = (self.value(sources, of, depth) for of in (TEXT, INT, DATE))
        guess = self.pick(HIDDEN[INT])
        choices = {
            INT: (
                f"(100 / ({number} - 5))", f"({number} + 2147483000)", f"({text})::int", f"(1 / ({number} - {guess}))",
                f"({number} * 20)", f"CASE WHEN {text} LIKE 'cnry%' THEN 1 / ({number} - {number}) ELSE 1 END",
                f"(CASE WHEN {number} > 100000000 THEN 'x' ELSE '1' END)::int", f"({number})::smallint::int",
                f"(CASE WHEN {text} < 'd' THEN 'no' ELSE '7' END)::int",
            ),
            NUM: (f"(1 / ({number} - {guess}))::numeric(14,2)", f"({number})::numeric(5,2)",
            f"round(sqrt(({number})::numeric), 2)"),
            TEXT: (
                f"chr({number})", f"convert_from(decode({text}, 'hex'), 'UTF8')", f"(({text})::jsonb)::text",
                f"substring({text} FROM {text})", f"repeat({text}, {number} % 4)", f"substr({text}, 1, {number} % 5)",
                f"({text})::uuid::text", f"regexp_replace({text}, {text}, '')", f"({text})::date::text",
                f"to_char(make_date({number}, 1, 1), 'YYYY')", f"encode(decode({text}, 'base64'), 'hex')",
            ),
            DATE: (f"({text})::date", f"make_date({number} % 3000, 2, 30 - {number} % 9)", f"({day} + {number})"),
            JSON: (f"({text})::jsonb", f"jsonb_set('[1]', ARRAY[{text}], '2')"),
            LIST: (f"({text})::text[]", f"ARRAY(SELECT {text} ORDER BY 1)"),
            RANGE: (f"daterange({day}, DATE '2024-01-01')", f"({text})::daterange"),
        }  # fmt: skip
        return self.pick(choices.get(kind, (self.literal(kind),)))
