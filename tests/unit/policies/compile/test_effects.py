"""Effects read off the tree are the same for those who may do everything and for those whom a policy guards."""

from pathlib import Path

import pytest

from policies.compile.effects import effect_of
from policies.compile.parse import parse
from policies.decision import ALL_NAMES, NO_EFFECT, Effect
from tests.compile_world import POLICY, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """`ada` may also declare and prepare."""
    return World(tmp_path, POLICY.replace("statements: [select, explain]", "statements: [select, cursor, prepare]"))


@pytest.mark.parametrize(
    ("sql", "effect"),
    [
        ('DECLARE "A b" CURSOR FOR SELECT 1', Effect(opens_cursor="A b")),
        ("DECLARE C NO SCROLL CURSOR WITH HOLD FOR SELECT 1", Effect(opens_cursor="c", is_holdable=True)),
        ("FETCH ALL FROM c", Effect(reads_cursor="c")),
        ("MOVE c", Effect(reads_cursor="c")),
        ("CLOSE c", Effect(closes_cursor="c")),
        ("CLOSE ALL", Effect(closes_cursor=ALL_NAMES)),
        ("PREPARE Q AS SELECT 1", Effect(prepares="q")),
        ("EXECUTE q", Effect(executes="q")),
        ('DEALLOCATE "all"', Effect(forgets_prepared="all")),
        ("DEALLOCATE ALL", Effect(forgets_prepared=ALL_NAMES)),
        ("SAVEPOINT s", Effect(savepoint="s")),
        ("ROLLBACK AND CHAIN", Effect(is_chained=True)),
        ("DISCARD TEMP", Effect(discards_temporary=True)),
        ("SELECT 1", NO_EFFECT),
    ],
)
def test_effects_of_names(world: World, sql: str, effect: Effect) -> None:
    assert effect_of(parse(sql)[0]) == effect
    for user in ("ada", "root"):
        assert world.allowed(sql, user).plans[0].effect == effect
