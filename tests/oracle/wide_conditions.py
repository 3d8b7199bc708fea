"""Conditions of every sort over whatever FROM offers."""

from __future__ import annotations

from typing import Final

from tests.oracle.grammar import DATE, INT, JSON, LIST, NUM, TEXT, Source
from tests.oracle.wide_values import HIDDEN, RANGE, SPAN, Values

_COMPARED: Final = (INT, NUM, TEXT, DATE)
_OPERATORS: Final = ("=", "<>", "<", "<=", ">", ">=")
_PATTERNS: Final = ("'%a%'", "'Name _'", "'cnry%'", "'%example'", "'a\\%'", "''", "'%1'", "'word%'")
_EXPRESSIONS: Final = ("'^N'", "'[0-9]$'", "'(a|e)'", "'^.{3,9}$'", "'\\mword'", "'cnry'")
_DOCUMENTS: Final = ("""'{"color": "red"}'""", """'{"kind": "k1"}'""", "'{}'", """'{"parts": [{"n": 0}]}'""")


class Conditions(Values):
    def condition(self, sources: list[Source], depth: int = 2) -> str:
        self.budget -= 1
        if depth > 0 and self.budget > 0 and self.chance(28):
            joined = self.pick((" AND ", " OR "))
            found = "(" + joined.join(self.condition(sources, depth - 1) for _ in range(self.pick((2, 2, 3)))) + ")"
            return f"NOT {found}" if self.chance(10) else found
        makers = [self._compared, self._compared, self._matched, self._typed]
        if depth > 0 and self.budget > 0:
            makers += [self._with_query, self._with_query, self._of_rows, self._guess]
        return self.pick(makers)(sources, depth - 1)

    def _compared(self, sources: list[Source], depth: int) -> str:
        kind = self.pick(_COMPARED)
        left, right = self.value(sources, kind, depth), self.value(sources, kind, depth)
        return self.pick((
            f"{left} {self.pick(_OPERATORS)} {right}", f"{left} {self.pick(_OPERATORS)} {right}", f"{left} IS NULL",
            f"{left} IS NOT NULL", f"{left} IS NOT DISTINCT FROM {right}", f"{left} IS DISTINCT FROM {right}",
            f"{left} BETWEEN {right} AND {self.literal(kind)}",
            f"{left} NOT BETWEEN SYMMETRIC {right} AND {self.literal(kind)}",
            f"{left} IN ({right}, {self.literal(kind)})", f"{left} NOT IN ({right}, {self.literal(kind)})",
            f"({left} = {right}) IS NOT TRUE", f"({left} < {right}) IS UNKNOWN", f"NOT ({left} = {right})",
            f"{left} = ANY (ARRAY[{right}, {self.literal(kind)}])", f"{left} > ALL (ARRAY[{right}])",
        ))  # fmt: skip

    def _matched(self, sources: list[Source], depth: int) -> str:
        text = self.value(sources, TEXT, depth)
        return self.pick((
            f"{text} {self.pick(('LIKE', 'NOT LIKE', 'ILIKE', 'NOT ILIKE'))} {self.pick(_PATTERNS)}",
            f"{text} {self.pick(('~', '!~', '~*', '!~*'))} {self.pick(_EXPRESSIONS)}",
            f"{text} LIKE 'Name!_%' ESCAPE '!'", f"{text} SIMILAR TO '%(1|2)'", f"starts_with({text}, 'N')",
            f"{text} LIKE {self.value(sources, TEXT, 0)}", f"{text} ^@ 'Na'", f"regexp_like({text}, 'a')"
            if self.chance(10) else f"{text} ~ 'e'",
        ))  # fmt: skip

    def _typed(self, sources: list[Source], depth: int) -> str:
        """Operators of arrays, documents, ranges, bytes."""
        document, listed = self.column(sources, JSON), self.column(sources, LIST)
        period, span, text = self.column(sources, RANGE), self.column(sources, SPAN), self.value(sources, TEXT, depth)
        choices = [
            f"(DATE '2024-01-01', DATE '2024-09-01') OVERLAPS ({self.value(sources, DATE, 0)}, interval '1 day')"
        ]
        if document:
            choices += [
                f"{document} @> {self.pick(_DOCUMENTS)}", f"{document} ? 'color'", f"{document} ?| ARRAY['kind', 'x']",
                f"{document} @? '$.parts[*] ? (@.n > 3)'", f"{document} @@ '$.n > 5'", f"({document} ->> 'n')::int > 4",
                f"jsonb_path_exists({document}, '$.list')", f"{document} -> 'kind' = to_jsonb({text})",
                f"{document} = {self.value(sources, JSON, depth)}",
            ]  # fmt: skip
        if listed:
            choices += [
                f"{listed} @> ARRAY[{text}]", f"{listed} && ARRAY['sale', {text}]", f"{text} = ANY ({listed})",
                f"{listed} = {self.value(sources, LIST, depth)}", f"{text} <> ALL ({listed})", f"{listed} < ARRAY['m']",
            ]  # fmt: skip
        if period:
            choices += [
                f"{period} @> {self.value(sources, DATE, 0)}",
                f"{period} && {self.value(sources, RANGE, depth)}",
            ]
        if span:
            choices += [f"{span} @> {self.value(sources, INT, 0)}", f"isempty({span})", f"{span} -|- int4range(3, 4)"]
        return self.pick(choices)

    def _of_rows(self, sources: list[Source], depth: int) -> str:
        if not sources:
            return self._compared(sources, depth)
        alias = self.pick(sources).alias
        pairs = [f"({self.value(sources, INT, 0)}, {self.value(sources, TEXT, 0)})" for _ in range(2)]
        return self.pick((
            f"{pairs[0]} {self.pick(_OPERATORS)} {pairs[1]}", f"ROW{pairs[0]} IS DISTINCT FROM ROW{pairs[1]}",
            f"{alias} IS NOT NULL", f"{alias} IS NULL", f"{alias}.* IS DISTINCT FROM NULL",
            f"{pairs[0]} IN ({pairs[1]})",
            f"({alias})::text LIKE '%1%'",
        ))  # fmt: skip

    def _guess(self, sources: list[Source], depth: int) -> str:
        """What would tell a hidden row or a masked value if it were evaluated on it."""
        text, number, day = (self.column(sources, kind) or self.literal(kind) for kind in (TEXT, INT, DATE))
        one = self.pick(HIDDEN[INT])
        return self.pick((
            f"1 / ({number} - {one}) IS NOT NULL", f"{text} = {self.pick(HIDDEN[TEXT])}",
            f"{day} = {self.pick(HIDDEN[DATE])}",
            f"{text} LIKE CASE WHEN {number} > 100000000 THEN 'x\\' ELSE '%' END",
            f"({text} || CASE WHEN {text} LIKE 'cnry%' THEN '' ELSE '1' END) <> ''",
            f"substr({text}, 1, 4 - {number}) IS NOT NULL", f"{number} * 21 > 0", f"{number} IN ({one}, 3)",
            f"CASE WHEN {text} LIKE 'cnry%' THEN {text}::int ELSE 0 END = 0", f"{number} > 100000000",
            f"{day} > DATE '2126-01-01'", f"{text} ~ CASE WHEN {text} LIKE 'cnry%' THEN '[' ELSE '.' END",
            f"jsonb_build_object({text}, 1) IS NOT NULL", f"{text} > 'cnry'", f"({number} - {one})::numeric(3,0) = 0",
        ))  # fmt: skip

    def _with_query(self, sources: list[Source], depth: int) -> str:
        table = self.pick(tuple(self.tables))
        inner = Source(self.alias(), self.tables[table])
        if self.chance(50):
            outer, own = self.column(sources, INT), self.column([inner], INT)
            link = f"{own} = {outer}" if outer and own else "true"
            more = f" AND {self.condition([inner, *sources], depth)}" if self.chance(50) else ""
            word, shown = self.pick(("EXISTS", "NOT EXISTS")), self.pick(("1", "*", "", f"{inner.alias}.*"))
            return f"{word} (SELECT {shown} FROM shop.{table} AS {inner.alias} WHERE {link}{more})"
        kind = self.pick(_COMPARED)
        left, own = self.value(sources, kind, depth), self.value([inner], kind, depth)
        where = f" WHERE {self.condition([inner, *sources], 0)}" if self.chance(40) else ""
        if self.chance(15):
            second = self.value(sources, INT, 0), self.value([inner], INT, 0)
            pair, word = f"({left}, {second[0]})", self.pick(("IN", "NOT IN"))
            return f"{pair} {word} (SELECT {own}, {second[1]} FROM shop.{table} AS {inner.alias}{where})"
        word = self.pick(("IN", "NOT IN", "= ANY", "<> ALL", "> ANY", "<= ALL", "= SOME"))
        return f"{left} {word} (SELECT {own} FROM shop.{table} AS {inner.alias}{where})"
