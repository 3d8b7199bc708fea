"""Views that name nothing hidden are visible, the others are not there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies.catalog import Relation
from policies.compile.visibility import Visibility, visibility_of
from tests.compile_world import World


def shown(world: World, definition: str | None, *, kind: str = "v") -> bool:
    """Whether ada sees a view with this definition."""
    added = Relation(500, "shop", "asked", kind, (), view_definition=definition)
    catalog = replace(world.catalog, version=9, relations=(*world.catalog.relations, added))
    return 500 in visibility_of(world.effective("ada"), catalog).visible


@pytest.mark.parametrize(
    ("definition", "is_shown"),
    [
        ("SELECT c.id, c.email FROM shop.customers c", True),
        ("SELECT contacts.id FROM shop.contacts", True),
        ("WITH x AS (SELECT o.id FROM shop.orders o) SELECT x.id FROM x", True),
        ("SELECT c.relname FROM pg_class c", True),
        ("SELECT shop.safe_report() AS r", True),
        ("SELECT s.amount FROM shop.salaries s", False),
        ("SELECT pay.amount FROM shop.pay", False),
        ("SELECT p.id FROM shop.payments p", True),
        ("SELECT p.id FROM shop.payments p WHERE p.card_number IS NOT NULL", False),
        ("SELECT public.evil() AS e", False),
        ("SELECT 1 FROM shop.nothing", False),
        ("SELECT asked.id FROM shop.asked", False),
        ("no SQL", False),
        (None, False),
    ],
)
def test_by_definition(world: World, definition: str | None, is_shown: bool) -> None:
    assert shown(world, definition) is is_shown
    assert shown(world, definition, kind="m") is is_shown


def test_a_visible_view_shows_its_definition(world: World) -> None:
    visible: Visibility = visibility_of(world.effective("ada"), world.catalog)
    contacts, pay = (world.catalog.find("shop", name) for name in ("contacts", "pay"))
    assert contacts is not None
    assert pay is not None
    assert contacts.oid in visible.visible - visible.changed
    assert pay.oid not in visible.visible
