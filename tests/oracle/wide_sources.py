"""FROM: tables, views, partitions, functions, subqueries, and joins of every kind.

Joins go over columns with many values, and only small things are crossed, so that no statement takes long.
"""

from __future__ import annotations

from typing import Final

from tests.oracle.grammar import DATE, INT, JSON, KINDS, LIST, NUM, TEXT, Columns, Source
from tests.oracle.wide_conditions import Conditions

_PLAIN: Final = (
    "customers", "orders", "order_items", "products", "payments", "regions", "events_2124", "events_2125",
    "memos_archive",
    "notes", '"Odd Table"',
)  # fmt: skip
_CROSSED: Final = ("products", "regions", "memos", '"Odd Table"', "odd_view")
_PARENTS: Final = ("events", "memos")
_KEYS: Final = {"id", "order_id", "customer_id", "key", "product_id", '"ID"'}
_JOINS: Final = ("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "INNER JOIN", "LEFT OUTER JOIN", "FULL OUTER JOIN")
_SHARED: Final = (
    ("customers", "contacts", "id"), ("orders", "payments", "id"), ("customers", "old_customers", "id"),
    ("orders", "notes", "customer_id"), ("customers", "order_totals", "id"), ("orders", "order_items", None),
    ("spending", "orders", "customer_id"), ("ranked", "orders", "id, customer_id"), ("contacts", "contact_names",
    "id, name"),
    ("memos", "memos_archive", "id"), ("customers", '"Odd Table"', "id"), ("payments", "order_items", "order_id"),
)  # fmt: skip


def numbered(kinds: list[str]) -> Columns:
    return {f"c{index + 1}": kind for index, kind in enumerate(kinds)}


class Sources(Conditions):
    def source(self, depth: int, names: tuple[str, ...]) -> tuple[str, Source]:
        alias = self.alias()
        if self.ctes and self.chance(55):
            name = self.pick(tuple(self.ctes))
            return f"{name} AS {alias}", Source(alias, self.ctes[name])
        if depth > 0 and self.budget > 4 and self.chance(18):
            kinds = [self.pick(KINDS) for _ in range(self.number(1, 3))]
            word = "LATERAL " if self.chance(6) else ""
            return f"{word}({self.plain(kinds, depth - 1)}) AS {alias}", Source(alias, numbered(kinds))
        if self.chance(7):
            return self._made(alias)
        return self._table(alias, self.pick(names))

    def _table(self, alias: str, table: str) -> tuple[str, Source]:
        columns = self.tables[table]
        schema = "" if self.chance(20) else "shop."
        if table in _PLAIN and self.budget > 12 and self.chance(2):
            sample = self.pick(("BERNOULLI (100)", "SYSTEM (100) REPEATABLE (7)"))
            return f"{schema}{table} AS {alias} TABLESAMPLE {sample}", Source(alias, columns)
        if self.chance(6) and table not in ("customers", "orders", "products", '"Odd Table"'):
            renamed = [f"k{index}" for index in range(min(3, len(columns)))]
            self.renamed.add(alias)
            new = dict(zip(renamed, list(columns.values()), strict=False))
            return f"{schema}{table} AS {alias} ({', '.join(renamed)})", Source(alias, new)
        if table in (*_PLAIN, *_PARENTS) and self.chance(6):
            word, star = ("ONLY ", "") if self.chance(70) else ("", " *")
            return f"{word}{schema}{table}{star} AS {alias}", Source(alias, columns)
        return f"{schema}{table}{self.pick((' AS', ' AS', ''))} {alias}", Source(alias, columns)

    def _made(self, alias: str) -> tuple[str, Source]:
        """Rows of VALUES and of functions."""
        self.renamed.add(alias)
        choices: tuple[tuple[str, Columns], ...] = (
            (f"(VALUES (1, 'x'), (2, 'Name 2'), (5, NULL)) AS {alias}(id, name)", {"id": INT, "name": TEXT}),
            (f"generate_series(1, {self.number(2, 9)}) AS {alias}(id)", {"id": INT}),
            (f"unnest(ARRAY['a', 'Name 1', NULL]) WITH ORDINALITY AS {alias}(name, id)", {"name": TEXT, "id": INT}),
            (
                f"ROWS FROM (generate_series(1, 4), unnest(ARRAY['x', 'y'])) AS {alias}(id, name)",
                {"id": INT, "name": TEXT},
            ),
            (
                f"""jsonb_to_recordset('[{{"id": 1, "name": "Name 1"}}, {{"id": 4}}]') AS {alias}(id int, name text)""",
                {"id": INT, "name": TEXT},
            ),
            (f"regexp_split_to_table('Name 1,x', ',') AS {alias}(name)", {"name": TEXT}),
            (f"generate_series(DATE '2024-01-01', DATE '2024-03-01', interval '1 month') AS {alias}(at)", {}),
        )  # fmt: skip
        text, columns = self.pick(choices)
        return text, Source(alias, columns)

    def sources(self, depth: int) -> tuple[str, list[Source]]:
        if self.chance(10):
            text, found = self._merged()
        else:
            text, first = self.source(depth, tuple(self.tables))
            found = [first]
        for _ in range(self.pick((0, 0, 0, 1, 1, 2, 3)) if self.budget > 3 else 0):
            if len(found) < 4 and all(set(source.columns) & _KEYS or len(found) == 1 for source in found):
                text, found = self._joined(text, found, depth)
        if len(found) == 1 and self.chance(8):
            other, source = self.source(0, _CROSSED)
            return f"{text}, {other}", [*found, source]
        return text, found

    def _merged(self) -> tuple[str, list[Source]]:
        """NATURAL and USING, whose columns are both sides' at once."""
        left, right, shared = self.pick(_SHARED)
        if self.chance(50):
            left, right = right, left
        one, two = Source(self.alias(), self.tables[left]), Source(self.alias(), self.tables[right])
        word = self.pick(_JOINS)
        text = f"shop.{left} AS {one.alias} "
        if shared is None or self.chance(25):
            return f"{text}NATURAL {word} shop.{right} AS {two.alias}", [one, two]
        named = f" AS {self.alias()}" if self.chance(10) else ""
        return f"{text}{word} shop.{right} AS {two.alias} USING ({shared}){named}", [one, two]

    def _joined(self, text: str, found: list[Source], depth: int) -> tuple[str, list[Source]]:
        if len(found) == 1 and self.chance(12):
            other, source = self.source(0, _CROSSED)
            return f"{text} CROSS JOIN {other}", [*found, source]
        if self.chance(14):
            return self._lateral(text, found, depth)
        other, source = self.source(depth, tuple(self.tables))
        left, right = self._key(found), self._key([source])
        if left is None or right is None:
            return text, found
        word = self.pick(_JOINS)
        more = f" AND {self.condition([source], 1)}" if "FULL" not in word and self.chance(35) else ""
        if self.chance(8) and not text.startswith("("):
            text = f"({text})"
        return f"{text} {word} {other} ON {left} = {right}{more}", [*found, source]

    def _key(self, sources: list[Source]) -> str | None:
        kept = [Source(s.alias, {n: k for n, k in s.columns.items() if n in _KEYS or n == "c1"}) for s in sources]
        return self.column(kept, INT)

    def _lateral(self, text: str, found: list[Source], depth: int) -> tuple[str, list[Source]]:
        if self.chance(40):
            return self._unnested(text, found)
        table, inner, alias = self.pick(_CROSSED), self.alias(), self.alias()
        own = Source(inner, self.tables[table])
        kinds = [INT, TEXT]
        outputs = ", ".join(f"{self.value([own, *found], kind, 1)} AS c{i + 1}" for i, kind in enumerate(kinds))
        limit = f" ORDER BY 1, 2 LIMIT {self.number(1, 3)}" if self.chance(40) else ""
        body = f"SELECT {outputs} FROM shop.{table} AS {inner} WHERE {self.condition([own, *found], 1)}{limit}"
        word = self.pick((" CROSS JOIN LATERAL", " LEFT JOIN LATERAL"))
        on = " ON true" if "LEFT" in word else ""
        return f"{text}{word} ({body}) AS {alias}{on}", [*found, Source(alias, numbered(kinds))]

    def _unnested(self, text: str, found: list[Source]) -> tuple[str, list[Source]]:
        """Functions over the columns before them."""
        listed, document, alias = self.column(found, LIST), self.column(found, JSON), self.alias()
        word = self.column(found, TEXT)
        choices: list[tuple[str, Columns]] = [(f"generate_series(1, 2) AS {alias}(n)", {"n": INT})]
        if listed:
            choices.append((f"unnest({listed}) AS {alias}(name)", {"name": TEXT}))
            choices.append((f"unnest({listed}) WITH ORDINALITY AS {alias}(name, at)", {"name": TEXT}))
        if document:
            choices.append((f"jsonb_each_text({document}) AS {alias}(name, shown)", {"name": TEXT, "shown": TEXT}))
            choices.append((f"jsonb_object_keys({document}) AS {alias}(name)", {"name": TEXT}))
            choices.append((f"jsonb_path_query({document}, '$.**') AS {alias}(doc)", {"doc": JSON}))
            choices.append((f"jsonb_to_record({document}) AS {alias}(kind text, n int)", {"kind": TEXT, "n": INT}))
        if word:
            choices.append((f"regexp_split_to_table({word}, '[ @]') AS {alias}(name)", {"name": TEXT}))
            choices.append((f"string_to_table({word}, ' ') AS {alias}(name)", {"name": TEXT}))
        made, columns = self.pick(choices)
        self.renamed.add(alias)
        how = self.pick((" CROSS JOIN ", " CROSS JOIN LATERAL ", " LEFT JOIN "))
        return f"{text}{how}{made}{' ON true' if 'LEFT' in how else ''}", [*found, Source(alias, columns)]

    def plain(self, kinds: list[str], depth: int) -> str:
        text, sources = self.sources(depth)
        outputs = ", ".join(f"{self.value(sources, kind, 2)} AS c{i + 1}" for i, kind in enumerate(kinds))
        distinct = "DISTINCT " if self.chance(10) else ""
        where = f" WHERE {self.condition(sources)}" if self.chance(60) else ""
        return f"SELECT {distinct}{outputs} FROM {text}{where}"


SCALARS: Final = (INT, NUM, TEXT, DATE)
