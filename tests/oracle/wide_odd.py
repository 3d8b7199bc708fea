"""Shapes that tools of this kind have got wrong: order that tells, rows as values, names that hide others."""

from __future__ import annotations

from typing import Final

from tests.oracle.grammar import INT, TEXT, Source
from tests.oracle.wide_shapes import Shapes
from tests.oracle.wide_sources import SCALARS
from tests.oracle.wide_values import ENUM

_KEYED: Final = ("customers", "orders", "products", "payments", "contacts", "old_customers", "memos", '"Odd Table"')


class OddShapes(Shapes):
    """`is_ordered`: the order of the rows is settled, and compared."""

    is_ordered = False

    def statement(self) -> str:
        if self.chance(70):
            return super().statement()
        return self.pick((
            self.sorted_by_key, self.sorted_by_key, self.rows_as_values, self.stars_below, self.named_alike,
            self.outer_aggregates, self.of_enums, self.first_of, self.standard_json, self.two_at_once, self.using_alias,
            self.functional,
        ))()  # fmt: skip

    def _keyed(self) -> tuple[str, Source]:
        table = self.pick(_KEYED)
        return table, Source(self.alias(), self.tables[table])

    def sorted_by_key(self) -> str:
        """By columns that may be masked, then by the key: the order and what LIMIT leaves tell of real values."""
        table, own = self._keyed()
        self.is_ordered = True
        by = [self.value([own], self.pick(SCALARS), 1) for _ in range(self.number(1, 2))]
        order = ", ".join(f"{value}{self.pick(('', ' DESC', ' NULLS FIRST'))}" for value in by if not value.isdigit())
        shown = self.pick((f"{own.alias}.id", f"{own.alias}.id, {self.value([own], TEXT, 1)} AS shown"))
        count = self.pick(("7", "(SELECT count(*) / 3 FROM shop.orders)", "(SELECT min(id) + 3 FROM shop.customers)"))
        limit = self.pick(("", f" LIMIT {count}", f" OFFSET {count}", f" FETCH FIRST {count} ROWS ONLY"))
        where = f" WHERE {self.condition([own], 1)}" if self.chance(30) else ""
        settled = f"{order}, {own.alias}.id" if order else f"{own.alias}.id"
        return f"SELECT {shown} FROM shop.{table} AS {own.alias}{where} ORDER BY {settled}{limit}"

    def rows_as_values(self) -> str:
        table, own = self._keyed()
        a, other = own.alias, self.alias()
        source, key = f"shop.{table} AS {a}", self.pick(tuple(own.columns))
        return self.pick((
            f"SELECT (SELECT {a})::text FROM {source}",
            f"SELECT ({other}.x).* FROM (SELECT {a} AS x FROM {source}) {other}",
            f"SELECT ({other}.x).{key} FROM (SELECT {a} AS x FROM {source} OFFSET 0) {other}",
            f"SELECT (array_agg({a} ORDER BY {a}.id))[2].{key} FROM {source}",
            f"SELECT pg_typeof({a})::text FROM {source}",
            f"SELECT {a}.id FROM {source} WHERE {a} IN (SELECT {other} FROM shop.{table} AS {other})",
            f"SELECT {a}.id FROM {source} JOIN shop.{table} AS {other} ON {a} = {other}",
            f"SELECT {other} FROM {source}, LATERAL (SELECT {a}.*) AS {other}",
            f"SELECT ARRAY(SELECT {a} FROM {source} ORDER BY {a}.id)::text",
            f"SELECT {a}.id, coalesce({a}, {a})::text FROM {source}",
            f"SELECT ROW({a}, 1)::text, {a} IS DISTINCT FROM {a} FROM {source}",
            f"SELECT to_jsonb({other}) FROM {source} JOIN shop.regions AS {other} (k0, k1) ON {other}.k0 = {a}.id",
            f"SELECT row_to_json({a}) FROM shop.{table} AS {a} (k0, k1)",
            f"SELECT {a} FROM shop.{table} AS {a} (k0) WHERE {a}.k0 > 2",
            f"SELECT (jsonb_populate_record({a}, '{{\"id\": 3}}')).id FROM {source}",
            f"SELECT count(DISTINCT {a}) FROM {source}",
            f"SELECT {a}, count(*) FROM {source} GROUP BY {a}",
            f"SELECT min({a}::text), {a}.tableoid::regclass::text FROM {source} GROUP BY 2",
            f"SELECT DISTINCT {a}::text FROM {source} UNION SELECT 'x'",
            f"SELECT lag({a}.id) OVER (ORDER BY {a}.id) FROM {source}",
            f"SELECT CASE WHEN {a}.id > 2 THEN {a} END::text FROM {source}",
            f"SELECT jsonb_object_agg({a}.id, {a}) FROM {source}",
            f"SELECT json_agg({a}.* ORDER BY {a}.id)::text FROM {source}",
            f"SELECT x.* FROM {source}, jsonb_each_text(to_jsonb({a})) AS x",
            f"SELECT {a}.id FROM {source} WHERE {a}::text LIKE '%cnry%'",
            f"SELECT hash_of FROM {source}, md5({a}::text) AS hash_of",
        ))  # fmt: skip

    def stars_below(self) -> str:
        text, sources = self.sources(1)
        alias, other = self.pick(sources).alias, self.alias()
        return self.pick((
            f"WITH {other} AS (SELECT {alias}.* FROM {text}) SELECT {other} FROM {other}",
            f"SELECT {other}.* FROM (SELECT {alias}.* FROM {text}) AS {other}",
            f"SELECT count(*), min({other}::text) FROM (SELECT DISTINCT {alias}.* FROM {text} UNION ALL SELECT"
            f" {alias}.* FROM {text}) AS {other}",
            f"SELECT to_jsonb({other}) FROM (SELECT {alias}.*, 1 AS extra FROM {text}) AS {other}",
            f"(SELECT {alias}.* FROM {text}) EXCEPT ALL (SELECT {alias}.* FROM {text})",
            f"(SELECT {alias}.* FROM {text}) INTERSECT (SELECT {alias}.* FROM {text})",
            f"SELECT EXISTS (SELECT {alias}.* FROM {text} WHERE {self.condition(sources, 1)})",
        ))  # fmt: skip

    def named_alike(self) -> str:
        """Outputs that bear other columns' names, where GROUP BY and ORDER BY look them up."""
        table, own = self._keyed()
        names = [name for name, kind in own.columns.items() if kind in (INT, TEXT)]
        one, two = self.pick(names), self.pick(names)
        value = self.value([own], TEXT, 1)
        return self.pick((
            f"SELECT {value} AS {one}, count(*) FROM shop.{table} AS {own.alias} GROUP BY {one}",
            f"SELECT {value} AS {one} FROM shop.{table} AS {own.alias} GROUP BY {own.alias}.{one}, 1",
            f"SELECT {own.alias}.{two} AS {one}, {own.alias}.id FROM shop.{table} AS {own.alias} ORDER BY {one}, id",
            f"SELECT {one} FROM (SELECT {two} AS {one} FROM shop.{table} AS {own.alias}) AS {table}",
            f"WITH {table} AS (SELECT {value} AS {one} FROM shop.{table} AS {own.alias}) SELECT {table}.{one}"
            f" FROM {table}",
            f"SELECT {table}.{one} FROM shop.{table} WHERE EXISTS (SELECT FROM shop.{table} AS x WHERE x.{two} ="
            f" {table}.{two} AND {one} IS NOT NULL)",
            f"SELECT (SELECT {one} FROM shop.regions AS r (z, y, w) LIMIT 1) FROM shop.{table} AS {own.alias}",
        ))  # fmt: skip

    def outer_aggregates(self) -> str:
        """Aggregates that belong to the query around the one they stand in."""
        table, own = self._keyed()
        text, number = self.value([own], TEXT, 1), self.value([own], INT, 1)
        where = self.condition([own], 1)
        return self.pick((
            f"SELECT (SELECT max({text})) FROM shop.{table} AS {own.alias} WHERE {where}",
            f"SELECT (SELECT count(*) FROM shop.regions r WHERE r.id > min({number})) FROM shop.{table} AS {own.alias}",
            f"SELECT sum((SELECT count(*) FROM shop.orders o WHERE o.id = {number})) FROM shop.{table} AS {own.alias}",
            f"SELECT {own.alias}.id FROM shop.{table} AS {own.alias} GROUP BY {own.alias}.id HAVING EXISTS"
            f" (SELECT 1 WHERE max({text}) > 'a')",
            f"SELECT max(count(*)) OVER (), {text} AS c1 FROM shop.{table} AS {own.alias} GROUP BY 2",
        ))  # fmt: skip

    def of_enums(self) -> str:
        table, column = self.pick((("customers", "segment"), ("orders", "state")))
        own = Source(self.alias(), self.tables[table])
        value = {"segment": "'vip'", "state": "'sent'"}[column]
        assert own.columns[column] == ENUM
        return self.pick((
            f"SELECT {own.alias}.{column}, count(*) FROM shop.{table} AS {own.alias} WHERE {own.alias}.{column}"
            f" >= {value} GROUP BY 1",
            f"SELECT {own.alias}.id FROM shop.{table} AS {own.alias} WHERE {own.alias}.{column} = {value} AND"
            f" {self.condition([own], 1)}",
            f"SELECT max({own.alias}.{column}), min({own.alias}.{column}) FROM shop.{table} AS {own.alias} WHERE"
            f" {self.condition([own], 1)}",
            f"SELECT {own.alias}.{column} = {self.value([own], TEXT, 0)}::shop.{column} FROM shop.{table} AS"
            f" {own.alias}",
        ))  # fmt: skip

    def first_of(self) -> str:
        """The first rows of a guarded table in a subquery: filters come before its LIMIT."""
        table, own = self._keyed()
        other, inner = self._keyed()
        by, where = self.value([inner], self.pick(SCALARS), 1), self.condition([inner], 1)
        link = self.pick(("IN", "NOT IN", "= ANY", ">= ALL"))
        return (
            f"SELECT {own.alias}.id, {self.value([own], TEXT, 1)} AS c2 FROM shop.{table} AS {own.alias} WHERE"
            f" {own.alias}.id {link}"
            f" (SELECT {inner.alias}.id FROM shop.{other} AS {inner.alias} WHERE {where} ORDER BY {by} DESC,"
            f" {inner.alias}.id LIMIT 4)"
        )

    def standard_json(self) -> str:
        """What the SQL standard has of JSON and XML; a part of it needs PostgreSQL 17."""
        table, own = self._keyed()
        text, number = self.value([own], TEXT, 1), self.value([own], INT, 1)
        source = f"shop.{table} AS {own.alias}"
        return self.pick((
            f"SELECT json_object('a': {text}, 'b': {number})::text FROM {source}",
            f"SELECT json_array({text}, {number})::text FROM {source}",
            f"SELECT json_arrayagg({text} ORDER BY {own.alias}.id)::text FROM {source}",
            f"SELECT ({text} IS JSON OBJECT) FROM {source}",
            f"SELECT json_value(to_jsonb({text}), '$') FROM {source}",
            f"SELECT json_query(jsonb_build_object('a', {text}), '$.a')::text FROM {source}",
            f"SELECT x.v FROM {source}, json_table(jsonb_build_array({text}, {number}), '$[*]' COLUMNS (v text"
            f" PATH '$')) AS x",
            f"SELECT xmlforest({number} AS n)::text FROM {source}",
            f"SELECT xmlelement(NAME e, {text})::text FROM {source}",
            f"SELECT json_objectagg({own.alias}.id: {text})::text FROM {source} WHERE {own.alias}.id = 3",
        ))  # fmt: skip

    def two_at_once(self) -> str:
        """Two texts in one where the protocol allows it; elsewhere an error on both sides."""
        return f"{self.tiny()}; {self.whole()}" if self.chance(50) else f"{self.tiny()};;"

    def using_alias(self) -> str:
        one, two = self.alias(), self.alias()
        left, right, shared = self.pick(
            (("customers", "contacts", "id"), ("orders", "notes", "customer_id"), ("customers", "old_customers", "id"))
        )
        word = self.pick(("JOIN", "LEFT JOIN", "FULL JOIN"))
        return (
            f"SELECT j.{shared}, {self.pick((one, two))}.*, {self.pick(('j', 'j::text', 'to_jsonb(j)'))}"
            f" FROM shop.{left} AS {one} {word} shop.{right} AS {two} USING ({shared}) AS j"
        )

    def functional(self) -> str:
        """Attributes written as functions and functions as attributes."""
        table, own = self._keyed()
        name = self.pick(tuple(own.columns))
        return self.pick((
            f"SELECT {name}({own.alias}) FROM shop.{table} AS {own.alias}",
            f"SELECT {own.alias}.row_to_json FROM shop.{table} AS {own.alias}",
            f"SELECT ({own.alias}.*).{name} FROM shop.{table} AS {own.alias}",
            f"SELECT {own.alias}.to_jsonb ->> 'id' FROM shop.{table} AS {own.alias}",
            f"SELECT ({own.alias}).{name} FROM ONLY (shop.{table}) AS {own.alias}" if table in ("customers", "memos",
            "orders")
            else f"SELECT id({own.alias}) FROM {table} {own.alias}",
        ))  # fmt: skip
