"""Statements of the long run's grammar: a shape tells of each what a compile of its own does, whatever the literals."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from policies.catalog import Catalog, Column, Namespace, Relation
from policies.compile import Compiler
from policies.compile.exchange import exchange_of
from policies.compile.skeleton import skeleton
from policies.load import load_folder
from policies.resolve import resolve
from tests.literals import with_literals
from tests.oracle.grammar import BOOL, DATE, INT, JSON, LIST, NUM, TEXT, TIME
from tests.oracle.wide import statement_of
from tests.oracle.wide_odd import OddShapes
from tests.security.canary_shop import policy_text

STATEMENTS, VARIANTS = 120, 4
_TYPES = {
    INT: (23, "integer"),
    NUM: (1700, "numeric"),
    TEXT: (25, "text"),
    DATE: (1082, "date"),
    TIME: (1114, "timestamp without time zone"),
    JSON: (3802, "jsonb"),
    LIST: (1009, "text[]"),
    BOOL: (16, "boolean"),
}
_PATH = Namespace(("shop", "public"), ("shop", "public"))


def catalog() -> Catalog:
    """The grammar's tables, views as tables."""
    relations = []
    for number, (name, columns) in enumerate(OddShapes.tables.items()):
        typed = [(column, *_TYPES.get(kind, _TYPES[TEXT])) for column, kind in columns.items()]
        listed = tuple(Column(column, at, oid, of) for at, (column, oid, of) in enumerate(typed, 1))
        key = ("id",) if "id" in columns else ()
        relations.append(Relation(16400 + number, "shop", name, "r", listed, key, (), (), (), None))
    return Catalog(
        version=1,
        database="shop",
        server_version=180000,
        relations=tuple(relations),
        search_path=("shop", "public"),
        schemas=frozenset({"shop", "public"}),
        function_names=frozenset(),
        user_functions={},
        user_operators=frozenset(),
    )


@pytest.mark.parametrize("user", ["ada", "wes"])
def test_shapes_decide_as_compiles_do(user: str, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(policy_text(), "utf-8")
    policy, own = resolve(load_folder(tmp_path, {}), user, "shop"), catalog()
    assert policy is not None
    learning, random = Compiler(), Random(user)
    shaped = 0
    for number in range(STATEMENTS):
        sql = statement_of(5, number).sql
        before = learning.cache.outcomes.shape
        for text in texts_like(sql, random):
            assert learning.decide(text, policy, own, _PATH) == Compiler().decide(text, policy, own, _PATH), text
        shaped += learning.cache.outcomes.shape > before
    print(f"{user}: {shaped} of {STATEMENTS} statements found by shape")  # noqa: T201 - shown with -s
    assert shaped > STATEMENTS / 8


def texts_like(sql: str, random: Random) -> list[str]:
    """The text, and others with its exchangeable literals exchanged, and some of the rest."""
    raw = sql.encode()
    found = skeleton(raw)
    exchange = exchange_of(raw, found.offsets) if found else None
    if found is None or exchange is None:
        return [sql]
    numbers = set(exchange.free)
    made = [raw, *(with_literals(raw, random, only=numbers) for _ in range(VARIANTS))]
    return [text.decode() for text in (*made, with_literals(raw, random, 0.5))]
