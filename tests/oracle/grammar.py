"""SELECTs over the canary shop, drawn by Hypothesis: typed expressions over whatever FROM offers.

Nothing in them depends on the order of rows: LIMIT stands only below an ORDER BY over all outputs, aggregates that
see an order have one of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

from hypothesis import strategies as st

INT, NUM, TEXT, DATE, TIME, JSON, LIST, BOOL = "int", "num", "text", "date", "time", "json", "list", "bool"
KINDS = (INT, NUM, TEXT, DATE)
Columns = dict[str, str]
TABLES: dict[str, Columns] = {
    "customers": {
        "id": INT, "tenant_id": INT, "name": TEXT, "city": TEXT, "email": TEXT, "ssn": TEXT, "phone": TEXT,
        "birth_date": DATE, "loyalty_code": TEXT, "credit_limit": NUM, "points": INT, "note": TEXT, "tags": LIST,
        "profile": JSON, "pin": INT, "seen_at": TIME, "nickname": TEXT,
    },
    "orders": {
        "id": INT, "tenant_id": INT, "customer_id": INT, "placed_on": DATE, "total": NUM, "memo": TEXT,
    },
    "order_items": {
        "order_id": INT, "line": INT, "product_id": INT, "quantity": INT, "price": NUM, "remark": TEXT,
    },
    "products": {"id": INT, "name": TEXT, "price": NUM, "labels": LIST, "attributes": JSON},
    "payments": {"id": INT, "tenant_id": INT, "order_id": INT, "amount": NUM, "method": TEXT, "paid_at": TIME},
    "regions": {"id": INT, "name": TEXT, "parent": INT},
    "events": {"day": DATE, "tenant_id": INT, "id": INT, "actor": TEXT, "payload": JSON},
    "events_2124": {"day": DATE, "tenant_id": INT, "id": INT, "actor": TEXT, "payload": JSON},
    "memos": {"id": INT, "tenant_id": INT, "body": TEXT},
    "contacts": {"id": INT, "name": TEXT, "email": TEXT, "phone": TEXT},
    "contact_names": {"id": INT, "name": TEXT, "mail": TEXT},
    "order_totals": {"id": INT, "name": TEXT, "orders": INT, "total": NUM},
}  # fmt: skip
KEYED = ("customers", "orders", "products", "payments", "regions")
SMALL = ("products", "regions", "events_2124", "memos")
_LITERALS = {
    INT: ("0", "1", "2", "5", "7", "23", "400", "NULL::int", "(-3)", "31"),
    NUM: ("0", "1.5", "250.50", "1000.00", "NULL::numeric"),
    TEXT: ("'x'", "'Name 1'", "'memo 2'", "'cnry'", "''", "'REDACTED'", "E'a\\'b'", "$$q$$", "NULL::text"),
    DATE: ("DATE '2024-03-01'", "DATE '1950-01-01'", "'2024-06-30'::date", "NULL::date"),
    TIME: ("TIMESTAMP '2024-02-05 10:00'",),
    BOOL: ("true", "false"),
}
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Source:
    """One FROM item's alias and columns."""

    alias: str
    columns: Columns


class Drawer:
    """Draws pieces of one statement. `sources` are what an expression may refer to, outer ones included."""

    tables = TABLES

    def __init__(self, random: Random) -> None:
        self._random = random
        self._aliases = 0
        self.ctes: dict[str, Columns] = {}

    def pick(self, values: tuple[Found, ...] | list[Found]) -> Found:
        return self._random.choice(values)

    def chance(self, percent: int) -> bool:
        return self._random.randrange(100) < percent

    def number(self, low: int, high: int) -> int:
        return self._random.randint(low, high)

    def alias(self) -> str:
        self._aliases += 1
        return f"{self.pick(('t', 'c', 'email', 'customers'))}{self._aliases}"

    # expressions

    def column(self, sources: list[Source], kind: str) -> str | None:
        found = [(s.alias, name) for s in sources for name, of in s.columns.items() if of == kind]
        if not found:
            return None
        alias, name = self.pick(found)
        return f"{alias}.{name}"

    def value(self, sources: list[Source], kind: str, depth: int = 2) -> str:
        """An expression of a kind."""
        column = self.column(sources, kind)
        if column is not None and self.chance(60 if depth else 95):
            return column
        if depth <= 0 or self.chance(15):
            return column or self.pick(_LITERALS.get(kind, ("NULL",)))
        general = (self._case, self._coalesce, self._subquery)
        own = {INT: self._int, NUM: self._num, TEXT: self._text, DATE: self._date}.get(kind)
        if own is None or self.chance(25):
            return self.pick(general)(sources, kind, depth - 1)
        return own(sources, depth - 1)

    def _case(self, sources: list[Source], kind: str, depth: int) -> str:
        condition = self.condition(sources, depth)
        then, other = self.value(sources, kind, depth), self.value(sources, kind, depth)
        return f"CASE WHEN {condition} THEN {then} ELSE {other} END"

    def _coalesce(self, sources: list[Source], kind: str, depth: int) -> str:
        function = self.pick(("coalesce", "greatest", "least", "nullif"))
        return f"{function}({self.value(sources, kind, depth)}, {self.value(sources, kind, depth)})"

    def _subquery(self, sources: list[Source], kind: str, depth: int) -> str:
        """A scalar one that gives one row always."""
        table = self.pick(tuple(self.tables))
        inner = Source(self.alias(), self.tables[table])
        own = self.column([inner], kind)
        if own is None:
            return self.value(sources, kind, 0)
        where = self.condition([inner, *sources], depth) if self.chance(60) else "true"
        function = "max" if self.chance(50) else "min"
        return f"(SELECT {function}({own}) FROM shop.{table} AS {inner.alias} WHERE {where})"

    def _int(self, sources: list[Source], depth: int) -> str:
        text, number = self.value(sources, TEXT, depth), self.value(sources, INT, depth)
        day, listed = self.value(sources, DATE, depth), self.column(sources, LIST)
        choices = [
            f"length({text})", f"({number} % 10)", f"extract(year FROM {day})::int", f"strpos({text}, 'a')",
            f"({number} & 15)", f"abs({number} % 97)", f"ascii({text})", f"(-({number} % 50))",
            f"date_part('month', {day})::int", f"sign({number})::int",
        ]  # fmt: skip
        if listed:
            choices += [f"cardinality({listed})", f"array_length({listed}, 1)"]
        if self.chance(8):
            choices = [f"(100 / ({number} - 5))", f"({number} + 2147483000)", f"({text})::int"]
        return self.pick(choices)

    def _num(self, sources: list[Source], depth: int) -> str:
        number = self.value(sources, NUM, depth)
        return self.pick((f"round({number}, 1)", f"({number} * 2)", f"({number} + 1)::numeric", f"trunc({number})"))

    def _text(self, sources: list[Source], depth: int) -> str:
        text, number = self.value(sources, TEXT, depth), self.value(sources, INT, depth)
        day, document, listed = self.value(sources, DATE, depth), self.column(sources, JSON), self.column(sources, LIST)
        choices = [
            f"upper({text})", f"lower({text})", f"({text} || '!')", f"substr({text}, 2, 3)", f"left({text}, 4)",
            f"({number})::text", f"({day})::text", f"concat({text}, '-', {number})", f"reverse({text})",
            f"replace({text}, 'a', 'b')",
            f"to_char({day}, 'YYYY-MM')", f"md5({text})", f"split_part({text}, ' ', 1)",
            f"CAST({text} AS varchar(5))", f"trim({text})", f"quote_literal({text})",
            f"regexp_replace({text}, '[0-9]', 'n')",
        ]  # fmt: skip
        if document:
            choices += [f"({document} ->> 'color')", f"({document} -> 'parts' -> 0 ->> 'n')", f"{document}::text"]
            choices += [f"jsonb_typeof({document})", f"({document} #>> '{{kind}}')"]
        if listed:
            choices += [f"{listed}[1]", f"array_to_string({listed}, ',')"]
        return self.pick(choices)

    def _date(self, sources: list[Source], depth: int) -> str:
        day, moment = self.value(sources, DATE, depth), self.column(sources, TIME)
        choices = [f"({day} + 7)", f"({day} - interval '1 month')::date", f"date_trunc('year', {day})::date"]
        return self.pick([*choices, f"({moment})::date"] if moment else choices)

    def condition(self, sources: list[Source], depth: int = 2) -> str:
        if depth > 0 and self.chance(30):
            joined = self.pick((" AND ", " OR "))
            return "(" + joined.join(self.condition(sources, depth - 1) for _ in range(2)) + ")"
        kind = self.pick(KINDS)
        left, right = self.value(sources, kind, depth - 1), self.value(sources, kind, depth - 1)
        choices = [
            f"{left} {self.pick(('=', '<>', '<', '<=', '>', '>='))} {right}", f"{left} IS NULL",
            f"{left} IS NOT DISTINCT FROM {right}", f"{left} BETWEEN {right} AND {right}",
            f"{left} IN ({right}, {self.pick(_LITERALS[kind])})", f"NOT ({left} = {right})",
            f"{self.value(sources, TEXT, depth - 1)} {self.pick(('LIKE', 'NOT LIKE', 'ILIKE'))} {self.pick(_PATTERNS)}",
        ]  # fmt: skip
        if depth > 0:
            choices += [self._exists(sources, depth - 1), self._in_query(sources, kind, left, depth - 1)]
        return self.pick(choices)

    def _exists(self, sources: list[Source], depth: int) -> str:
        table = self.pick(tuple(self.tables))
        inner = Source(self.alias(), self.tables[table])
        outer, own = self.column(sources, INT), self.column([inner], INT)
        link = f"{own} = {outer}" if outer else "true"
        more = f" AND {self.condition([inner], depth)}" if self.chance(50) else ""
        word = self.pick(("EXISTS", "NOT EXISTS"))
        return f"{word} (SELECT 1 FROM shop.{table} AS {inner.alias} WHERE {link}{more})"

    def _in_query(self, sources: list[Source], kind: str, left: str, depth: int) -> str:
        table = self.pick(tuple(self.tables))
        inner = Source(self.alias(), self.tables[table])
        own = self.value([inner], kind, depth)
        word = self.pick(("IN", "NOT IN", "= ANY", "<> ALL"))
        return f"{left} {word} (SELECT {own} FROM shop.{table} AS {inner.alias})"

    # FROM

    def source(self, depth: int, names: tuple[str, ...]) -> tuple[str, Source]:
        """A FROM item's text and what it offers."""
        alias = self.alias()
        if self.ctes and self.chance(60):
            name = self.pick(tuple(self.ctes))
            return f"{name} AS {alias}", Source(alias, self.ctes[name])
        if depth > 0 and self.chance(20):
            kinds = [self.pick(KINDS) for _ in range(self.number(1, 3))]
            text = self.plain(kinds, depth - 1)
            return f"({text}) AS {alias}", Source(alias, _columns(kinds))
        if self.chance(6):
            return f"(VALUES (1, 'x'), (2, 'Name 2'), (5, NULL)) AS {alias}(id, name)", Source(
                alias, {"id": INT, "name": TEXT}
            )
        table = self.pick(names)
        columns = self.tables[table]
        if self.chance(6):
            renamed = [f"k{index}" for index in range(min(3, len(columns)))]
            new = dict(zip(renamed, list(columns.values())[:3], strict=False)) if table != "products" else columns
            listed = f"({', '.join(renamed)})" if table not in ("products", "customers", "orders") else ""
            return f"shop.{table} AS {alias}{listed}", Source(alias, new if listed else columns)
        only = "ONLY " if table in KEYED and self.chance(5) else ""
        schema = "" if self.chance(20) else "shop."
        return f"{only}{schema}{table} AS {alias}", Source(alias, columns)

    def sources(self, depth: int) -> tuple[str, list[Source]]:
        text, first = self.source(depth, tuple(self.tables))
        found = [first]
        for _ in range(self.pick((0, 0, 1, 1, 2))):
            if len(found) == 1 or all(set(source.columns) & {"id", "order_id"} for source in found):
                text, found = self._joined(text, found, depth)
        return text, found

    def _joined(self, text: str, found: list[Source], depth: int) -> tuple[str, list[Source]]:
        if len(found) == 1 and self.chance(15):
            other, source = self.source(0, SMALL)
            return f"{text}{self.pick((', ', ' CROSS JOIN '))}{other}", [*found, source]
        if self.chance(12):
            return self._lateral(text, found, depth)
        other, source = self.source(depth, tuple(self.tables))
        left, right = self._key(found), self._key([source])
        if left is None or right is None:
            return text, found
        word = self.pick(("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "INNER JOIN"))
        more = f" AND {self.condition([source], 1)}" if word in ("JOIN", "LEFT JOIN") and self.chance(30) else ""
        return f"{text} {word} {other} ON {left} = {right}{more}", [*found, source]

    def _key(self, sources: list[Source]) -> str | None:
        """A column with many values, so that joins stay small."""
        few = {"tenant_id", "points", "pin", "line", "quantity", "parent", "orders"}
        kept = [Source(s.alias, {name: kind for name, kind in s.columns.items() if name not in few}) for s in sources]
        return self.column(kept, INT)

    def _lateral(self, text: str, found: list[Source], depth: int) -> tuple[str, list[Source]]:
        table = self.pick(SMALL)
        inner, alias = Source(self.alias(), self.tables[table]), self.alias()
        kinds = [INT, TEXT]
        outputs = ", ".join(f"{self.value([inner, *found], kind, 1)} AS c{i + 1}" for i, kind in enumerate(kinds))
        where = self.condition([inner, *found], 1)
        body = f"SELECT {outputs} FROM shop.{table} AS {inner.alias} WHERE {where}"
        word = self.pick((", LATERAL", " CROSS JOIN LATERAL", " LEFT JOIN LATERAL"))
        on = " ON true" if "LEFT" in word else ""
        return f"{text}{word} ({body}) AS {alias}{on}", [*found, Source(alias, _columns(kinds))]

    # whole SELECTs

    def plain(self, kinds: list[str], depth: int) -> str:
        """Outputs c1, c2, ... of the kinds asked for."""
        text, sources = self.sources(depth)
        outputs = ", ".join(f"{self.value(sources, kind, 2)} AS c{i + 1}" for i, kind in enumerate(kinds))
        distinct = "DISTINCT " if self.chance(12) else ""
        where = f" WHERE {self.condition(sources)}" if self.chance(60) else ""
        return f"SELECT {distinct}{outputs} FROM {text}{where}"

    def whole(self) -> str:
        """Stars, whole rows and rows as JSON."""
        text, sources = self.sources(1)
        alias = self.pick(sources).alias
        target = self.pick(("*", f"{alias}.*", alias, f"row_to_json({alias})", f"to_jsonb({alias})", f"{alias}::text"))
        where = f" WHERE {self.condition(sources)}" if self.chance(60) else ""
        return f"SELECT {target} FROM {text}{where}"

    def grouped(self) -> str:
        text, sources = self.sources(1)
        keys = [self.value(sources, self.pick(KINDS), 1) for _ in range(self.number(1, 2))]
        aggregates = [self.aggregate(sources) for _ in range(self.number(1, 3))]
        having = f" HAVING {self.pick(('count(*) > 1', 'count(*) >= 2 AND min(1) = 1'))}" if self.chance(30) else ""
        by = ", ".join(str(index + 1) for index in range(len(keys)))
        by = self.pick((by, f"ROLLUP ({by})")) if self.chance(15) else by
        return f"SELECT {', '.join([*keys, *aggregates])} FROM {text} GROUP BY {by}{having}"

    def grouped_by_key(self) -> str:
        """The functional dependency that a primary key gives."""
        table = self.pick(KEYED)
        source = Source(self.alias(), self.tables[table])
        shown = ", ".join(
            f"{source.alias}.{self.pick(tuple(source.columns))} AS c{n}" for n in range(self.number(1, 3))
        )
        other, second = self.source(0, tuple(self.tables))
        link = self.column([second], INT) or "1"
        return (
            f"SELECT {source.alias}.id, {shown}, {self.aggregate([second])} FROM shop.{table} AS {source.alias}"
            f" LEFT JOIN {other} ON {link} = {source.alias}.id GROUP BY {source.alias}.id"
        )

    def aggregate(self, sources: list[Source]) -> str:
        number, text = self.value(sources, INT, 1), self.value(sources, TEXT, 1)
        money, day = self.value(sources, NUM, 1), self.value(sources, DATE, 1)
        found = self.pick((
            "count(*)", f"count({text})", f"count(DISTINCT {text})", f"sum({number})", f"avg({money})", f"min({text})",
            f"max({day})", f"string_agg({text}, ',' ORDER BY {text})", f"array_agg({number} ORDER BY {number})",
            f"bool_or({number} > 3)", f"percentile_disc(0.5) WITHIN GROUP (ORDER BY {number})", f"sum({money})",
            f"jsonb_agg({text} ORDER BY {text})",
        ))  # fmt: skip
        plain = not found.startswith("percentile")
        return f"{found} FILTER (WHERE {self.condition(sources, 1)})" if plain and self.chance(20) else found

    def windowed(self) -> str:
        text, sources = self.sources(1)
        kind = self.pick(KINDS)
        part, order = self.value(sources, self.pick(KINDS), 1), self.value(sources, kind, 1)
        function = self.pick((
            f"rank() OVER (PARTITION BY {part} ORDER BY {order})", f"count(*) OVER (PARTITION BY {part})",
            f"dense_rank() OVER (ORDER BY {order} DESC)", f"max({order}) OVER (PARTITION BY {part})",
            f"sum(1) OVER (ORDER BY {order})",
        ))  # fmt: skip
        return f"SELECT {self.value(sources, TEXT, 1)} AS c1, {function} AS c2 FROM {text}"

    def combined(self) -> str:
        kinds = [self.pick(KINDS) for _ in range(self.number(1, 3))]
        word = self.pick(("UNION", "UNION ALL", "INTERSECT", "EXCEPT", "EXCEPT ALL"))
        text = f"{self.plain(kinds, 1)} {word} {self.plain(kinds, 1)}"
        return self._ordered(text, len(kinds)) if self.chance(40) else text

    def limited(self) -> str:
        kinds = [self.pick(KINDS) for _ in range(self.number(1, 3))]
        return self._ordered(self.plain(kinds, 1), len(kinds))

    def _ordered(self, text: str, outputs: int) -> str:
        how = [f"{index + 1}{self.pick(('', ' DESC', ' NULLS FIRST'))}" for index in range(outputs)]
        limit = f" LIMIT {self.number(1, 20)}" if self.chance(70) else ""
        return f"{text} ORDER BY {', '.join(how)}{limit}{' OFFSET 2' if limit and self.chance(20) else ''}"

    def with_ctes(self) -> str:
        parts = []
        for name in ("one", "customers", "two")[: self.number(1, 3)]:
            kinds = [self.pick(KINDS) for _ in range(2)]
            how = self.pick(("", "", " MATERIALIZED", " NOT MATERIALIZED"))
            parts.append(f"{name} AS{how} ({self.plain(kinds, 1)})")
            self.ctes[name] = _columns(kinds)
        body = self.pick((self.grouped, self.windowed, self.limited, self.whole))()
        return f"WITH {', '.join(parts)} {body}"

    def statement(self) -> str:
        shapes = (
            self.whole,
            self.grouped,
            self.grouped_by_key,
            self.windowed,
            self.combined,
            self.limited,
            self.with_ctes,
        )
        if self.chance(25):
            return self.plain([self.pick(KINDS) for _ in range(self.number(1, 4))], 2)
        return self.pick(shapes)()


_PATTERNS = ("'%a%'", "'Name _'", "'cnry%'", "'%example'", "'a\\%'", "''")


def _columns(kinds: list[str]) -> Columns:
    return {f"c{index + 1}": kind for index, kind in enumerate(kinds)}


@st.composite
def statements(draw: Callable[[Any], Any]) -> str:
    """One SELECT. Hypothesis draws a seed: choices drawn one by one come out short and alike."""
    return Drawer(draw(st.randoms(use_true_random=True))).statement()
