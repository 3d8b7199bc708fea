"""Whole statements: what surrounds expressions and FROM."""

from __future__ import annotations

from typing import Final

from tests.oracle.grammar import DATE, INT, JSON, LIST, NUM, TEXT, TIME, Source
from tests.oracle.wide_sources import SCALARS, Sources, numbered

_KEYED: Final = ("customers", "orders", "products", "payments", "regions", '"Odd Table"', "memos")
_FRAMES: Final = (
    "", "ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING", "ROWS UNBOUNDED PRECEDING",
    "GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW",
    "RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
    "ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING EXCLUDE TIES",
)  # fmt: skip
_SETS: Final = ("UNION", "UNION ALL", "INTERSECT", "INTERSECT ALL", "EXCEPT", "EXCEPT ALL")


class Shapes(Sources):
    def statement(self) -> str:
        simple = (self.tiny, self.tiny, self.whole, self._plain_kinds, self.limited, self.grouped, self.oddity)
        rich = (
            self._plain_kinds, self.whole, self.grouped, self.grouped_by_key, self.windowed, self.combined,
            self.limited,
            self.with_ctes, self.recursive, self.distinct_on, self.grouping_sets, self.locked, self.named_windows,
        )  # fmt: skip
        return self.pick(simple if self.budget <= 4 else rich)()

    def _plain_kinds(self) -> str:
        kinds = [self.pick((*SCALARS, *SCALARS, JSON, LIST, TIME)) for _ in range(self.number(1, 4))]
        text = self.plain(kinds, 2)
        return text if JSON not in kinds else text.replace("SELECT DISTINCT ", "SELECT ", 1)

    def tiny(self) -> str:
        """One table, a column or two."""
        table, alias = self.pick(tuple(self.tables)), self.alias()
        source = Source(alias, self.tables[table])
        names = self._random.sample(tuple(source.columns), min(len(source.columns), self.number(1, 3)))
        written = f"{alias}." if self.chance(50) else ""
        shown = ", ".join(f"{written}{name}" for name in names) if self.chance(80) else "*"
        where = f" WHERE {self.condition([source], 1)}" if self.chance(70) else ""
        return f"SELECT {shown} FROM shop.{table} AS {alias}{where}"

    def whole(self) -> str:
        text, sources = self.sources(1)
        found = [source for source in sources if source.alias not in self.renamed]
        where = f" WHERE {self.condition(sources, 1)}" if self.chance(60) else ""
        if not found:
            return f"SELECT * FROM {text}{where}"
        alias = self.pick(found).alias
        target = self.pick((
            "*", f"{alias}.*", alias, f"row_to_json({alias})", f"to_jsonb({alias})", f"{alias}::text", f"({alias}).*",
            f"count({alias})", f"to_json({alias}) ->> 'id'", f"ROW({alias}.*)::text",
            f"jsonb_build_object('r', {alias})",
            f"array_agg({alias} ORDER BY {alias}::text)::text", f"count(DISTINCT {alias}::text)", f"{alias} IS NULL",
            f"json_agg({alias} ORDER BY {alias}::text)::text",
        ))  # fmt: skip
        return f"SELECT {target} FROM {text}{where}"

    def oddity(self) -> str:
        """Statements without much in them."""
        table, alias = self.pick(tuple(self.tables)), self.alias()
        source = Source(alias, self.tables[table])
        return self.pick((
            f"TABLE shop.{table}", f"SELECT FROM shop.{table}", f"SELECT 1 FROM shop.{table} WHERE false",
            f"SELECT {self.value([], TEXT)}, {self.value([], INT)}", f"VALUES (1, {self.literal(TEXT)}), (2, 'b')",
            f"SELECT ALL {alias}.* FROM shop.{table} {alias}",
            f"SELECT count(*), count(*) FILTER (WHERE {self.condition([source], 1)}) FROM shop.{table} {alias}",
            f"(SELECT {self.value([source], TEXT)} FROM shop.{table} {alias}) UNION ALL VALUES ('z')",
            f"SELECT EXISTS (SELECT FROM shop.{table} {alias} WHERE {self.condition([source], 1)})",
            f"SELECT ARRAY(SELECT {self.value([source], TEXT)} FROM shop.{table} {alias} ORDER BY 1)",
            f"SELECT (SELECT {self.value([source], INT)} FROM shop.{table} {alias} ORDER BY 1 LIMIT 1) AS c1",
            f"SELECT shop.{table}.* FROM shop.{table}", f"SELECT {table}.* FROM {table}",
            f"SELECT * FROM (TABLE shop.{table}) {alias}",
        ))  # fmt: skip

    def limited(self) -> str:
        kinds = [self.pick(SCALARS) for _ in range(self.number(1, 3))]
        text = self.plain(kinds, 1)
        if self.chance(20):
            return f"{text} ORDER BY 1 FETCH FIRST {self.number(1, 9)} ROWS WITH TIES"
        return self._ordered(text, len(kinds))

    def _ordered(self, text: str, outputs: int) -> str:
        ways = ("", " DESC", " NULLS FIRST", " DESC NULLS LAST", " USING <")
        how = [self.pick((str(index + 1), f"c{index + 1}")) + self.pick(ways) for index in range(outputs)]
        limit = self.pick(
            ("", f" LIMIT {self.number(0, 20)}", f" FETCH FIRST {self.number(1, 5)} ROWS ONLY", " LIMIT ALL")
        )
        return f"{text} ORDER BY {', '.join(how)}{limit}{self.pick(('', '', ' OFFSET 2'))}"

    def distinct_on(self) -> str:
        text, sources = self.sources(1)
        kinds = [self.pick(SCALARS) for _ in range(self.number(2, 3))]
        values = [self.value(sources, kind, 1) for kind in kinds]
        shown = ", ".join(f"{value} AS c{i + 1}" for i, value in enumerate(values))
        order = ", ".join(f"{i + 2}" for i in range(len(values) - 1))
        where = f" WHERE {self.condition(sources, 1)}" if self.chance(50) else ""
        return f"SELECT DISTINCT ON (1) {shown} FROM {text}{where} ORDER BY 1, {order}"

    def grouped(self) -> str:
        text, sources = self.sources(1)
        keys = [self.value(sources, self.pick(SCALARS), 1) for _ in range(self.number(1, 2))]
        aggregates = [self.aggregate(sources) for _ in range(self.number(1, 3))]
        shown = ", ".join(f"{key} AS g{i + 1}" for i, key in enumerate(keys))
        by = ", ".join(self.pick((f"g{i + 1}", str(i + 1))) for i in range(len(keys)))
        where = f" WHERE {self.condition(sources, 1)}" if self.chance(50) else ""
        having = (
            f" HAVING {self.pick(('count(*) > 1', f'min({keys[0]}) IS NOT NULL', 'count(*) % 2 = 0'))}"
            if self.chance(25)
            else ""
        )
        if self.chance(15):
            return f"SELECT {', '.join(aggregates)} FROM {text}{where}"
        return f"SELECT {shown}, {', '.join(aggregates)} FROM {text}{where} GROUP BY {by}{having}"

    def grouping_sets(self) -> str:
        text, sources = self.sources(1)
        one, two = self.column(sources, INT), self.column(sources, TEXT)
        if one is None or two is None:
            return self.grouped()
        sets = self.pick(
            (
                f"ROLLUP ({one}, {two})",
                f"CUBE ({one}, {two})",
                f"GROUPING SETS (({one}), ({two}), ())",
                f"{one}, ROLLUP ({two})",
            )
        )
        return f"SELECT {one}, {two}, grouping({one}), {self.aggregate(sources)} FROM {text} GROUP BY {sets}"

    def grouped_by_key(self) -> str:
        table = self.pick(_KEYED)
        source = Source(self.alias(), self.tables[table])
        shown = ", ".join(
            f"{source.alias}.{self.pick(tuple(source.columns))} AS c{n}" for n in range(self.number(1, 3))
        )
        other, second = self.source(0, tuple(self.tables))
        link = self.column([second], INT) or "1"
        having = f" HAVING {self.value([source], INT, 1)} > 2" if self.chance(20) else ""
        return (
            f"SELECT {source.alias}.id, {shown}, {self.aggregate([second])} FROM shop.{table} AS {source.alias}"
            f" LEFT JOIN {other} ON {link} = {source.alias}.id GROUP BY {source.alias}.id{having}"
        )

    def aggregate(self, sources: list[Source]) -> str:
        number, text, other = (self.value(sources, kind, 1) for kind in (INT, TEXT, TEXT))
        money, day = self.value(sources, NUM, 1), self.value(sources, DATE, 1)
        found = self.pick((
            "count(*)", f"count({text})", f"count(DISTINCT {text})", f"sum({number})", f"round(avg({money}), 2)",
            f"min({text})",
            f"max({day})", f"string_agg({text}, ',' ORDER BY {text})", f"array_agg({number} ORDER BY {number})",
            f"bool_or({number} > 3)", f"sum({money})", f"jsonb_agg({text} ORDER BY {text})", f"every({text} <> '')",
            f"string_agg(DISTINCT {text}, '/')", f"bit_or({number})", f"round(stddev_samp({money}), 3)", f"max({text})",
            f"array_agg(DISTINCT {text})", f"jsonb_object_agg(coalesce({text}, '-'), 1)", f"min({number})",
            f"sum(DISTINCT {number})",
            f"json_object_agg(coalesce({text}, '-'), {number} ORDER BY {text}, {number})::text",
            f"string_agg({text}, {other} ORDER BY {text}, {other})", f"round(variance({number}), 2)",
        ))  # fmt: skip
        if self.chance(12):
            return self.pick((
                f"percentile_disc(0.5) WITHIN GROUP (ORDER BY {number})", f"mode() WITHIN GROUP (ORDER BY {text})",
                f"rank(5) WITHIN GROUP (ORDER BY {number})",
                f"percentile_disc(ARRAY[0.1, 0.9]) WITHIN GROUP (ORDER BY {day})",
            ))  # fmt: skip
        return (
            f"{found} FILTER (WHERE {self.condition(sources, 1)})"
            if self.chance(20) and not found.startswith("round")
            else found
        )

    def windowed(self) -> str:
        """Among peers only what peers share is shown: which of them comes first is left open."""
        text, sources = self.sources(1)
        part, order = self.value(sources, self.pick(SCALARS), 1), self.value(sources, self.pick(SCALARS), 1)
        where = f" WHERE {self.condition(sources, 1)}" if self.chance(40) else ""
        function = self.pick((
            "rank()", "dense_rank()", "row_number()", "ntile(3)", f"lag({order})", f"lead({order}, 2)",
            f"first_value({order})",
            f"last_value({order})", f"nth_value({order}, 2)", "count(*)", f"max({order})", "cume_dist()",
            f"array_agg({order})",
        ))  # fmt: skip
        frame = self.pick(_FRAMES)
        by = f"PARTITION BY {part} " if self.chance(70) else ""
        window = f"{by}ORDER BY {order}{self.pick(('', ' DESC'))} {frame}"
        shown = f"{part} AS c1, {order} AS c2" if by else f"{order} AS c2"
        return f"SELECT {shown}, {function} OVER ({window}) AS c3 FROM {text}{where}"

    def named_windows(self) -> str:
        text, sources = self.sources(1)
        part, order, number = self.value(sources, TEXT, 1), self.value(sources, INT, 1), self.value(sources, INT, 1)
        return (
            f"SELECT {part} AS c1, rank() OVER w AS c2, sum({number}) OVER (w RANGE UNBOUNDED PRECEDING) AS c3,"
            f" count(*) FILTER (WHERE {self.condition(sources, 0)}) OVER (PARTITION BY {part}) AS c4"
            f" FROM {text} WINDOW w AS (PARTITION BY {part} ORDER BY {order})"
        )

    def combined(self) -> str:
        kinds = [self.pick(SCALARS) for _ in range(self.number(1, 3))]
        text = f"{self.plain(kinds, 1)} {self.pick(_SETS)} {self.plain(kinds, 1)}"
        if self.chance(20):
            text = f"({text}) {self.pick(_SETS)} ({self._ordered(self.plain(kinds, 0), len(kinds))})"
        return self._ordered(text, len(kinds)) if self.chance(35) else text

    def with_ctes(self) -> str:
        parts = []
        for name in ("one", "customers", "two")[: self.number(1, 3)]:
            kinds = [self.pick(SCALARS) for _ in range(2)]
            how = self.pick(("", "", " MATERIALIZED", " NOT MATERIALIZED"))
            head = f"{name} (c1, c2)" if self.chance(20) else name
            parts.append(f"{head} AS{how} ({self.plain(kinds, 1)})")
            self.ctes[name] = numbered(kinds)
        body = self.pick((self.grouped, self.windowed, self.limited, self.whole, self.combined))()
        return f"WITH {', '.join(parts)} {body}"

    def recursive(self) -> str:
        """A tree, or a chain over keys that takes masked values along."""
        alias = self.alias()
        if self.chance(40):
            how = self.pick(("", "", " SEARCH DEPTH FIRST BY id SET way", " CYCLE id SET again USING way"))
            start = self.pick(("parent IS NULL", f"id = {self.literal(INT)}"))
            return (
                f"WITH RECURSIVE tree(id, name, depth) AS (SELECT id, name, 0 FROM shop.regions WHERE {start}"
                f" UNION ALL SELECT {alias}.id, {alias}.name, tree.depth + 1 FROM shop.regions AS {alias}"
                f" JOIN tree ON {alias}.parent = tree.id){how} SELECT id, name, depth FROM tree ORDER BY 1, 2, 3"
            )
        table = self.pick(("customers", "orders", "payments", '"Odd Table"', "contacts"))
        own = Source(alias, self.tables[table])
        word = self.value([own], TEXT, 1)
        start, step, all_rows = self.number(1, 5), self.number(1, 2), self.pick(("ALL ", ""))
        return (
            f"WITH RECURSIVE chain AS (SELECT {alias}.id, {word} AS name, 1 AS n FROM shop.{table} AS {alias}"
            f" WHERE {alias}.id = {start}"
            f" UNION {all_rows}SELECT {alias}.id, left(chain.name || {word}, 40), n + 1 FROM chain"
            f" JOIN shop.{table} AS {alias} ON {alias}.id = chain.id + {step} WHERE n < 6) SELECT * FROM chain"
        )

    def locked(self) -> str:
        table, alias = self.pick(_KEYED), self.alias()
        source = Source(alias, self.tables[table])
        if self.chance(95):
            return self.tiny()
        word = self.pick(("UPDATE", "SHARE", "KEY SHARE", "NO KEY UPDATE"))
        how = self.pick(("", f" OF {alias}", " SKIP LOCKED"))
        where = self.condition([source], 1)
        return f"SELECT {self.value([source], TEXT)} AS c1 FROM shop.{table} AS {alias} WHERE {where} FOR {word}{how}"
