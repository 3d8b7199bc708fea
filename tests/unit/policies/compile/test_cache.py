"""What is kept, what goes when room is wanted, and what a shape spares."""

from __future__ import annotations

import pytest

from policies.catalog import Namespace
from policies.compile import Compiler
from policies.compile.shapes import Scope
from policies.decision import Decision
from tests.compile_world import World, make_catalog

PATH = Namespace(("shop", "public"), ("shop", "public"))


class Kept:
    """A compiler with so much room, and the scope of one user."""

    def __init__(self, world: World, limit_bytes: int = 1 << 20, user: str = "ada") -> None:
        self.policy, self.catalog = world.effective(user), world.catalog
        self.compiler = Compiler(limit_bytes)
        self.scope: Scope = self.compiler.scope(self.policy, self.catalog, PATH)

    def decide(self, sql: str) -> Decision:
        return self.compiler.decide(sql, self.policy, self.catalog, PATH)

    def outcome(self, sql: str) -> str:
        """``exact``, ``shape`` or ``miss``."""
        o = self.compiler.cache.outcomes
        before = {"exact": o.exact, "shape": o.shape, "miss": o.miss}
        self.decide(sql)
        (changed,) = [name for name, count in before.items() if getattr(o, name) != count]
        return changed


@pytest.fixture
def kept(world: World) -> Kept:
    return Kept(world)


def test_a_scope_is_one_for_equal_circumstances(world: World) -> None:
    compiler, policy = Compiler(), world.effective("ada")
    scope = compiler.scope(policy, world.catalog, PATH)
    assert compiler.scope(policy, world.catalog, Namespace(("shop", "public"), ("shop", "public"))) is scope
    assert compiler.scope(policy, world.catalog, Namespace(("public",), ("public",))) is not scope
    assert compiler.scope(policy, world.catalog, Namespace(("shop", "public"), ("shop",))) is not scope
    assert compiler.scope(policy, make_catalog(2), PATH) is not scope
    assert compiler.scope(world.effective("eve"), world.catalog, PATH) is not scope
    typed = Namespace(PATH.search_path, PATH.reset_path, parameter_types=(25,))
    assert compiler.scope(policy, world.catalog, typed) is not scope


def test_the_third_text_of_a_shape_is_known_and_kept_once(kept: Kept) -> None:
    texts = [f"SELECT id, email FROM customers WHERE id = {number}" for number in range(5)]
    assert [kept.outcome(text) for text in texts] == ["miss", "miss", "shape", "shape", "shape"]
    assert kept.outcome(texts[0]) == "exact"
    assert [kept.outcome(text) for text in texts[1:]] == ["shape"] * 4
    assert set(kept.scope.exact) == {texts[0].encode()}


def test_one_shape_for_each_value_that_has_a_say(kept: Kept) -> None:
    def texts(pattern: str) -> list[str]:
        return [f"SELECT id FROM customers WHERE name LIKE '{pattern}' AND id = {number}" for number in range(3)]

    assert [kept.outcome(text) for text in texts("a%")] == ["miss", "miss", "shape"]
    assert [kept.outcome(text) for text in texts("b%")] == ["miss", "miss", "shape"]
    assert kept.outcome("SELECT id FROM customers WHERE name LIKE 'c%' AND id = 1") == "miss"


def test_a_text_without_a_place_for_others_is_kept_as_it_is(kept: Kept) -> None:
    texts = [f"SELECT name || 'x' FROM customers ORDER BY {number}" for number in (1, 1, 1)]
    assert [kept.outcome(text) for text in texts] == ["miss", "exact", "exact"]
    assert [kept.outcome(f"SELECT lower('{letter}')") for letter in "abc"] == ["miss"] * 3
    assert kept.outcome("SELECT lower('b')") == "exact"


def test_a_refused_text_is_known_but_never_found(kept: Kept) -> None:
    for number in range(4):
        assert kept.outcome(f"SELECT id FROM salaries WHERE id = {number}") == "miss"
    assert kept.outcome("SELECT id FROM salaries WHERE id = 1") == "exact"
    assert kept.scope.find(b"SELECT id FROM salaries WHERE id = 1") is None
    assert kept.scope.find(b"SELECT id FROM salaries WHERE id = 9") is None


def test_what_is_found_is_the_texts_own(kept: Kept) -> None:
    for number in (1, 2):
        kept.decide(f"  SELECT id FROM customers WHERE id = {number} ;")
    raw = b"  SELECT id FROM customers WHERE id = 33333 ;"
    known = kept.scope.find(raw)
    assert known is not None
    assert known.is_shape
    assert known.statement == b"SELECT id FROM customers WHERE id = 33333"
    assert known.text.endswith(b'AS "customers"  WHERE id = 33333 ;')
    assert known.complete() == Compiler().decide(raw.decode(), kept.policy, kept.catalog, PATH)
    known.entry.note = "ours"
    other = kept.scope.find(b"  SELECT id FROM customers WHERE id = 4 ;")
    assert other is not None
    assert other.entry.note == "ours"


def test_bytes_that_are_no_text_are_never_found(kept: Kept) -> None:
    for name in "ab\ufffd":
        kept.decide(f"SELECT id FROM customers WHERE name = '{name}'")
    assert kept.scope.find("SELECT id FROM customers WHERE name = 'ä'".encode()) is not None
    assert kept.scope.find(b"SELECT id FROM customers WHERE name = '\xff'") is None


def test_positions_are_mapped_in_characters(kept: Kept) -> None:
    for name in ("a", "b"):
        kept.decide(f"SELECT id FROM customers c, orders o WHERE c.name = '{name}' AND o.status = 'x' AND nope = 1")
    for name in ("", "äöü€", "x" * 50):
        sql = f"SELECT id FROM customers c, orders o WHERE c.name = '{name}' AND o.status = 'x' AND nope = 1"
        decision = kept.decide(sql)
        assert decision.client_position(decision.text.index("nope") + 1) == sql.index("nope") + 1


def test_room_is_made_of_what_was_not_used(world: World) -> None:
    small = Kept(world, 100_000)
    cache = small.compiler.cache
    small.decide("SELECT id FROM orders")
    for number in range(200):
        small.decide(f"SELECT lower('{number}')")
        assert small.outcome("SELECT id FROM orders") == "exact"
        assert cache.bytes <= 100_000
    assert small.outcome("SELECT lower('1')") == "miss"
    assert len(small.scope.exact) < 60
    assert len(small.scope.families) < 5


def test_texts_of_one_shape_take_no_room(kept: Kept) -> None:
    for number in range(3):
        kept.decide(f"SELECT id FROM customers WHERE id = {number}")
    before = kept.compiler.cache.bytes
    for number in range(1000):
        kept.decide(f"SELECT id FROM customers WHERE id = {number}")
    assert kept.compiler.cache.bytes == before


def test_families_and_shapes_go_too(world: World) -> None:
    small = Kept(world, 100_000)
    for column in range(300):
        for number in range(3):
            small.decide(f"SELECT {number} AS c{column} FROM orders WHERE id = 1")
            small.decide(f"SELECT id AS c{column} FROM orders WHERE id = {number}")
    assert small.compiler.cache.bytes <= 100_000
    assert len(small.scope.families) < 40
    assert small.outcome("SELECT id AS c1 FROM orders WHERE id = 1") == "miss"


def test_a_text_that_takes_too_much_room_is_not_kept(world: World) -> None:
    small = Kept(world, 50_000)
    long = f"SELECT '{'x' * 10_000}'"
    assert [small.outcome(long), small.outcome(long)] == ["miss", "miss"]


def test_a_dropped_scope_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("policies.compile.cache._MOST_SCOPES", 2)
    own = Kept(world)
    own.decide("SELECT 1")
    for number in range(3):
        own.compiler.scope(own.policy, world.catalog, Namespace((f"s{number}",)))
    assert own.scope.find(b"SELECT 1") is not None
    assert own.outcome("SELECT 1") == "miss"
