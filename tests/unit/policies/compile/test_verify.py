"""The second reading refuses whatever isn't exactly what was meant."""

import pytest

from policies.compile import compilation as module
from policies.compile.draft import Draft, Splice
from tests.compile_world import World


@pytest.mark.parametrize(
    "sabotage",
    [
        lambda draft: draft.splices.append(Splice(0, 0, "SELECT 1; ")),
        lambda draft: draft.splices.append(Splice(7, 9, "name")),
        lambda draft: draft.splices.clear() or draft.splices.append(Splice(0, 0, " ")),
        lambda draft: draft.templates.append({"never": "there"}),
        lambda draft: draft.facts.relations[0].block.node.update(limitCount={"A_Const": {"ival": {"ival": 1}}}),
    ],
)
def test_text_and_tree_must_agree(world: World, monkeypatch: pytest.MonkeyPatch, sabotage) -> None:  # type: ignore[no-untyped-def]
    def spoil(draft: Draft) -> None:
        sabotage(draft)

    monkeypatch.setattr(module, "RULES", (*module.RULES, spoil))
    assert world.refused("SELECT id FROM customers") == ("0A000", "pgwarden/verify")


def test_overlapping_edits_are_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def overlap(draft: Draft) -> None:
        draft.splices.append(Splice(15, 20, ""))

    monkeypatch.setattr(module, "RULES", (*module.RULES, overlap))
    assert world.refused("SELECT id FROM customers") == ("0A000", "pgwarden/verify")


def test_decisions_are_kept_by_text_policy_catalog_and_path(world: World) -> None:
    first = world.decide("SELECT id FROM customers")
    assert world.decide("SELECT id FROM customers") is first
    assert world.decide("SELECT id FROM customers", path=("public",)) is not first
    assert world.decide("SELECT id FROM customers", user="eve") is not first
    assert (world.compiler.cache.hits, world.compiler.cache.misses) == (1, 3)


def test_shapes_tell_statements_apart_but_not_their_literals(world: World) -> None:
    def shape(sql: str) -> str:
        return world.decide(sql).plans[0].shape

    assert shape("SELECT id FROM orders WHERE id = 1") == shape("select id FROM orders /* c */ WHERE id = 22;")
    assert shape("SELECT id FROM orders WHERE id = 1") != shape("SELECT id FROM orders WHERE id = '1'")
    assert shape("SELECT id FROM orders") != shape("SELECT id FROM payments")
