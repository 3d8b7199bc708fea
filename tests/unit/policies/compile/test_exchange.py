"""Which literals may be exchanged; and that no rule ever looks at one of them, whichever rules there come to be."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from policies.compile import compilation as module
from policies.compile import everything
from policies.compile.exchange import exchange_of
from policies.compile.parse import Statement, Token, parse, scan
from policies.compile.skeleton import skeleton
from policies.compile.tree import nodes_of
from tests.compile_world import World
from tests.unit.policies.compile.test_shapes import ATTACKS, USERS, Pair

# Walk over all fields of a tree without a look at what the values are. `_is_count`: whether a LIMIT is below 0, which
# none without a sign is.
WALKERS = {
    ("scope", "_fields"),
    ("scope", "visit"),
    ("tree", "node_kind"),
    ("safe_expressions", "_has_row_part"),
    ("safe_expressions", "_is_count"),
    ("silent_casts", "_type_names"),
    ("whole_rows", "_find"),
}
_VALUES = ("ival", "fval", "sval")


def free_in(sql: str) -> list[str]:
    """The literals that may be exchanged; those for numbers in quotes only have a mark."""
    raw = sql.encode()
    found = skeleton(raw)
    exchange = exchange_of(raw, found.offsets) if found else None
    if found is None or exchange is None:
        return []
    texts = [raw[start:end].decode() for start, end in zip(found.offsets[::2], found.offsets[1::2], strict=True)]
    return [texts[number] + "#" * (number in exchange.digits) for number in exchange.free]


@pytest.mark.parametrize(
    ("sql", "free"),
    [
        ("SELECT id FROM t WHERE id = 5 AND 6 < id AND name <> 'x'", ["5", "6", "'x'"]),
        ("SELECT id FROM t WHERE id IN (1, 2) OR id BETWEEN 3 AND 4 OR id IS DISTINCT FROM 5", list("12345")),
        ("SELECT id FROM t WHERE (a, b) >= (1, 'x') AND NOT (c = 1.5)", ["1", "'x'", "1.5"]),
        (
            "SELECT id FROM t WHERE d > DATE '2024-01-01' AND d < '2025-01-01'::timestamp",
            ["'2024-01-01'", "'2025-01-01'"],
        ),
        ("SELECT id FROM t WHERE a = -1 AND b = - 2", ["1", "2"]),
        ("SELECT id FROM t LIMIT 5 OFFSET 7", ["5", "7"]),
        ("SELECT id FROM t JOIN u ON t.id = u.id AND u.x = 5 WHERE EXISTS (SELECT 1 FROM v WHERE y = 6)", ["5", "6"]),
        ("SELECT id FROM (SELECT id FROM t WHERE x = 5) s GROUP BY id HAVING count(*) > 6", ["5", "6"]),
        ("WITH c AS (SELECT 1 FROM t WHERE x = 5) SELECT 2 FROM c UNION SELECT 3 FROM c WHERE y = 6", ["5", "6"]),
        ("INSERT INTO t (a, b) VALUES (1, 'x'), (2, '3'::int)", ["1", "'x'", "2", "'3'"]),
        ("INSERT INTO t VALUES (1) RETURNING 5 = a", ["1"]),
        ("UPDATE t SET a = 1, b = b + 2, c = 'x' WHERE id = 3", ["1", "2", "'x'", "3"]),
        ("UPDATE t SET a = a + -2 WHERE id = 3", ["2", "3"]),
        ("DELETE FROM t USING u WHERE t.id = u.id AND u.x = 5", ["5"]),
        ("SELECT c.oid::regclass FROM pg_class c WHERE c.oid = '16384' AND relkind = 'r' AND x = 5", ["'16384'#", "5"]),
        ("SELECT to_regclass('x') = '16384' FROM t WHERE x = '5'", ["'5'#"]),
    ],
)
def test_what_is_compared_listed_or_written_may_be_exchanged(sql: str, free: list[str]) -> None:
    assert free_in(sql) == free


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1, 'x'",
        "SELECT id FROM t GROUP BY 1 ORDER BY 2",
        "SELECT DISTINCT ON (1) id FROM t",
        "SELECT f(5), lower('x') FROM t",
        "SELECT id FROM t WHERE f(5) = id",
        "SELECT id FROM t WHERE id % 5 = a",
        "SELECT id FROM t WHERE name LIKE 'x%'",
        "SELECT id FROM t WHERE name ~ 'x'",
        "SELECT id FROM t WHERE j -> 'x' = k",
        "SELECT id FROM t WHERE 'x' || a = b",
        "SELECT id FROM t WHERE id = ANY('{1}')",
        "SELECT id FROM t WHERE a[1] = b",
        "SELECT id FROM t WHERE d > now() - interval '7 days'",
        "SELECT id FROM t WHERE d > current_date - 7",
        "SELECT id FROM t WHERE i > interval '7 days'",
        "SELECT id FROM t WHERE i > '7 days'::interval",
        "SELECT id FROM t WHERE a = 'x'::varchar(5)",
        "SELECT id FROM t WHERE a = '{1}'::int[]",
        "SELECT id FROM t WHERE a = 'x'::regclass",
        "SELECT id FROM t WHERE a = 'x'::shop.kind",
        "SELECT id FROM t WHERE a = 'x'::json",
        "SELECT id FROM t WHERE a = numeric '5'::text",
        "SELECT id FROM t WHERE a OPERATOR(shop.=) 5",
        "SELECT id FROM t WHERE CASE WHEN b = 5 THEN c END",
        "SELECT id FROM t TABLESAMPLE system (5)",
        "SELECT * FROM generate_series(1, 5)",
        "SELECT id FROM t LIMIT -5",
        "SELECT id FROM t LIMIT -0 OFFSET - 0",
        "SELECT id FROM t LIMIT 2147483648",
        "SELECT id FROM t LIMIT 5 + 5",
        "SELECT sum(x) FILTER (WHERE y = 5) FROM t",
        "SELECT sum(x) OVER (ROWS 5 PRECEDING) FROM t",
        "SELECT (SELECT 1 FROM t WHERE x = 5)",
        "UPDATE t SET a = f(5)",
        "UPDATE t SET a = now() + '1 day'",
        "UPDATE t SET (a, b) = (1, 2)",
        "UPDATE t SET a = 5 / b",
        "INSERT INTO t VALUES (f(5))",
        "SELECT set_config(name, 'x', false) FROM pg_settings WHERE name = 'work_mem'",
        "SELECT current_setting(name) FROM pg_settings WHERE name = 'work_mem'",
        "SELECT id INTO TEMP x FROM t WHERE a = 5",
        "SELECT id FROM t WHERE a = 5; SELECT id FROM t WHERE a = 6",
        "MERGE INTO t USING u ON t.id = 5 WHEN MATCHED THEN DELETE",
        "EXPLAIN SELECT id FROM t WHERE id = 5",
        "PREPARE q AS SELECT id FROM t WHERE id = 5",
        "DECLARE c CURSOR FOR SELECT id FROM t WHERE id = 5",
        "COPY (SELECT id FROM t WHERE id = 5) TO STDOUT",
        "CREATE TABLE x AS SELECT id FROM t WHERE id = 5",
        "CREATE VIEW v AS SELECT id FROM t WHERE id = 5",
        "EXECUTE q (5)",
        "CALL p(5)",
        "SET work_mem = 64",
        "FETCH 5 FROM c",
        "SELECT c.oid::regclass FROM pg_class c WHERE c.relname = 'x'",
        "SELECT 5 FRM t",
        "NOTIFY c, 'x'",
        "DO 'x'",
    ],
)
def test_all_others_have_a_say(sql: str) -> None:
    assert not free_in(sql)


class Watched(dict[str, Any]):
    """A constant's value that tells who reads it."""

    readers: set[tuple[str, str]] = set()

    def _told(self) -> None:
        frame = sys._getframe(2)
        while frame.f_code.co_name.startswith("<") and frame.f_back is not None:
            frame = frame.f_back
        self.readers.add((Path(frame.f_code.co_filename).stem, frame.f_code.co_name))

    def get(self, *arguments: Any) -> Any:
        self._told()
        return super().get(*arguments)

    def __getitem__(self, key: str) -> Any:
        self._told()
        return super().__getitem__(key)

    def __iter__(self) -> Iterator[str]:
        self._told()
        return super().__iter__()

    def values(self) -> Any:
        self._told()
        return super().values()

    def items(self) -> Any:
        self._told()
        return super().items()


def places_of(sql: str) -> set[int]:
    """Where the exchangeable literals begin."""
    raw = sql.encode()
    found = skeleton(raw)
    exchange = exchange_of(raw, found.offsets) if found else None
    return {found.offsets[2 * number] for number in exchange.free} if found and exchange else set()


def watching_parse(sql: str, **options: Any) -> list[Statement]:
    statements, places = parse(sql, **options), places_of(sql)
    for statement in statements:
        for kind, node in list(nodes_of(statement.tree)):
            for value in _VALUES if kind == "A_Const" and _literal_at(sql, node) in places else ():
                if value in node:
                    node[value] = Watched(node[value])
    return statements


def _literal_at(sql: str, node: dict[str, Any]) -> int:
    raw, at = sql.encode(), node.get("location", -1)
    while raw[at : at + 1] in (b"-", b" "):
        at += 1
    return int(at)


def blurring_scan(sql: str) -> list[Token]:
    """The words of exchangeable literals can't be read."""
    places = places_of(sql)
    return [replace(token, word="?") if token.start in places else token for token in scan(sql)]


@pytest.mark.parametrize("user", USERS)
def test_no_rule_reads_a_literal_that_may_be_exchanged(
    world: World, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    pair = Pair(world, user)
    plain = [pair.fresh(sql) for sql in ATTACKS]
    monkeypatch.setattr(Watched, "readers", readers := set())
    monkeypatch.setattr(module, "parse", watching_parse)
    monkeypatch.setattr(everything, "parse", watching_parse)
    monkeypatch.setattr(module, "scan", blurring_scan)
    assert [pair.fresh(sql) for sql in ATTACKS] == plain
    assert readers <= WALKERS
    assert readers or user == "root"  # it watches; under allow-everything nothing looks at all
