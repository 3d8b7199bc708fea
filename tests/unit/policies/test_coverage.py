"""What check --database tells of views, materialized views, functions, triggers and columns that nothing covers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies.catalog import Catalog, Column, Relation
from policies.coverage import Finding, Level, coverage
from policies.known_names import follow
from policies.load import load_texts
from policies.model import PolicySet
from policies.stored_code import StoredCode, StoredFunction, Trigger
from tests.compile_world import POLICY, make_catalog


def policies(more: str = "", text: str = POLICY) -> PolicySet:
    return load_texts({"p.yaml": (text + more).encode()}, {})


def catalog_with(*relations: Relation) -> Catalog:
    made = make_catalog()
    reads = {"contacts": (101,), "totals": (102,), "pay": (104,), "daily": (102,)}
    known = [replace(one, reads=reads.get(one.name, ())) for one in made.relations]
    return replace(made, relations=(*known, *relations))


def _view(
    oid: int, name: str, definition: str, reads: tuple[int, ...], columns: dict[str, int], kind: str = "v"
) -> Relation:
    listed = tuple(Column(n, i, t, "text") for i, (n, t) in enumerate(columns.items(), 1))
    return Relation(oid, "shop", name, kind, listed, view_definition=definition, reads=reads)


def said(found: list[Finding], about: str, user: str = "ada") -> set[tuple[str, str]]:
    return {(one.level.value, one.message) for one in found if one.about == about and user in one.users}


def test_a_view_is_covered_under_whatever_names() -> None:
    made = catalog_with(
        _view(
            201,
            "outer_one",
            "SELECT contacts.id, contacts.email AS reach FROM shop.contacts",
            (107,),
            {"id": 23, "reach": 25},
        )
    )
    found = coverage(policies(), made, StoredCode())
    assert said(found, "shop.contacts.email") == {("note", "shows shop.customers.email: covered, the view is expanded")}
    assert said(found, "shop.outer_one.reach") == {
        ("note", "shows shop.customers.email: covered, the view is expanded")
    }
    assert said(found, "shop.totals") == set()
    ((level, message),) = said(found, "shop.pay")
    assert level == "note"
    assert message.startswith("refused: view shop.pay: table shop.salaries is not allowed")


MATERIALIZED = _view(
    202, "kept", "SELECT c.id, c.email AS reach FROM shop.customers c", (101,), {"id": 23, "reach": 25}, "m"
)


def test_a_named_materialized_view_is_open() -> None:
    made = catalog_with(MATERIALIZED)
    assert said(coverage(policies(), made, StoredCode()), "shop.kept") == {
        ("note", "holds rows of shop.customers: refused, no policy names it")
    }
    named = policies(text=POLICY.replace('allow: ["shop.*"], block', 'allow: ["shop.*", shop.kept], block'))
    found = coverage(named, made, StoredCode())
    assert said(found, "shop.kept.reach") == {("open", "holds shop.customers.email as it is, and a policy names it")}
    assert said(found, "shop.kept") == {("open", "holds rows of shop.customers that no filter has seen")}
    assert found[0].level is Level.OPEN
    masked = POLICY.replace('allow: ["shop.*"], block', 'allow: ["shop.*", shop.kept], block').replace(
        "    masks:\n", "    masks:\n      - {column: shop.kept.reach, mask: {kind: redact}}\n"
    )
    assert said(coverage(policies(text=masked), made, StoredCode()), "shop.kept.reach") == set()


def test_a_definition_that_sqlglot_cannot_read_is_told_as_a_whole() -> None:
    made = catalog_with(replace(MATERIALIZED, view_definition="no SQL at all"))
    named = policies(text=POLICY.replace('allow: ["shop.*"], block', 'allow: ["shop.*", shop.kept], block'))
    assert ("open", "holds rows of shop.customers, and a policy names it") in said(
        coverage(named, made, StoredCode()), "shop.kept"
    )


def test_allowed_functions_over_protected_tables_are_open() -> None:
    code = StoredCode(
        (
            StoredFunction("shop", "safe_report", (101,), ""),
            StoredFunction("shop", "other", (101,), ""),
            StoredFunction("shop", "safe_report", (), "begin return (select max(email) from customers); end"),
        ),
        (Trigger(101, "copier", "shop.copy_row"), Trigger(102, "harmless", "shop.f"), Trigger(104, "a rule")),
    )
    found = coverage(policies(), catalog_with(), code)
    assert said(found, "shop.safe_report()") == {
        ("open", "is allowed and reads shop.customers: no guard stands inside a function"),
        ("warning", "is allowed and its text names shop.customers"),
    }
    assert said(found, "shop.other()") == set()
    assert said(found, "shop.customers") == {
        ("note", "copier runs shop.copy_row() on changes: see where it writes rows to")
    }
    assert said(found, "shop.orders") == set()


@pytest.mark.parametrize(
    ("column", "is_told"),
    [
        ("email", True),
        ("home_address", True),
        ("SSN", True),
        ("card_number", True),
        ("pin", True),
        ("shipping", False),
        ("cardinality", False),
        ("note", False),
    ],
)
def test_columns_that_nobody_covers(column: str, *, is_told: bool) -> None:
    made = catalog_with(_view(203, "extra", "", (), {column: 25}, "r"))
    found = {(one.level, one.about) for one in coverage(policies(), made, StoredCode())}
    assert ((Level.WARNING, f"shop.extra.{column}") in found) is is_told


def test_a_tag_is_cover_enough() -> None:
    made = catalog_with(_view(203, "extra", "", (), {"email": 25}, "r"))
    found = coverage(policies("tags: {pii: [shop.extra.email]}\n"), made, StoredCode())
    assert not any(one.about == "shop.extra.email" for one in found)


def test_newcomers_and_renamed_tables_are_told() -> None:
    memory, _ = follow(None, policies(), catalog_with())
    late = catalog_with(_view(203, "extra", "", (), {"email": 25}, "r"))
    relations = tuple(replace(one, name="clients") if one.oid == 101 else one for one in late.relations)
    _, filled = follow(memory, policies(), replace(make_catalog(), relations=relations))
    found = coverage(policies(), filled, StoredCode())
    assert any("newer than the policies and refused" in message for _, message in said(found, "shop.extra"))
    assert any(message.startswith("rules of shop.customers hold") for _, message in said(found, "shop.clients"))


def test_who_may_see_everything_and_who_may_see_nothing_is_left_out() -> None:
    found = coverage(policies(), catalog_with(), StoredCode())
    assert {user for one in found for user in one.users} <= {"ada", "eve"}
