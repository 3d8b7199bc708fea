"""Policies held against a catalog: what doesn't exist, what can't fit, and what is only suspicious."""

from __future__ import annotations

import pytest

from policies.catalog import Catalog, Column, Relation
from policies.load import check_against_catalog, load_texts

CUSTOMERS = Relation(
    oid=1,
    schema="shop",
    name="customers",
    kind="r",
    columns=(
        Column("id", 1, 23, "integer"),
        Column("tenant_id", 2, 23, "integer"),
        Column("email", 3, 25, "text"),
        Column("Weird Name", 4, 25, "text"),
        Column("born", 5, 1082, "date"),
    ),
)
CATALOG = Catalog(version=1, database="shop", server_version=180000, relations=(CUSTOMERS,))

FRAME = """principals: [{user: ada, attributes: {tenant_id: 1}}]
policies:
  - name: p
    database: %s
    subjects: {any: true}
"""


def found(part: str, database: str = "shop") -> list[str]:
    policies = load_texts({"a.yaml": (FRAME % database + f"    {part}\n").encode()}, {})
    return [str(problem) for problem in check_against_catalog(policies, CATALOG)]


@pytest.mark.parametrize(
    "part",
    [
        "tables: {allow: ['shop.*', '*.*', shop.customers], block: ['*.customers']}",
        "columns: {block: [shop.customers.email, 'shop.customers.\"Weird Name\"']}",
        "rows: [{table: shop.customers, filter: 'tenant_id = {tenant_id}'}]",
        "rows: [{table: shop.customers, filter: 'Customers.TENANT_ID = 1 and shop.customers.id > 2'}]",
        "rows: [{table: shop.customers, filter: '\"Weird Name\" is not null and ctid is not null'}]",
        "rows: [{table: shop.customers, filter: 'id in (select o.customer_id from shop.orders o)'}]",
        "masks: [{column: shop.customers.email, mask: {kind: email}}]",
        "masks: [{column: shop.customers.born, mask: {kind: truncate, unit: year}}]",
        "masks: [{column: shop.customers.id, mask: {kind: redact}, use: {join: raw}}]",
    ],
)
def test_what_exists_and_fits_is_no_problem(part: str) -> None:
    assert found(part) == []


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        (
            "tables: {allow: [shop.custmers]}",
            "a.yaml:6:21: no table shop.custmers in database 'shop'; did you mean 'shop.customers'?",
        ),
        ("tables: {block: [hr.salaries]}", "a.yaml:6:22: no table hr.salaries in database 'shop'"),
        (
            "columns: {block: [shop.customers.emial]}",
            "a.yaml:6:23: table shop.customers has no column 'emial'; did you mean 'email'?",
        ),
        ("columns: {block: [shop.nothing.email]}", "a.yaml:6:23: no table shop.nothing in database 'shop'"),
        (
            "rows: [{table: shop.customers, filter: tenent_id = 1}]",
            "a.yaml:6:12: the filter names column 'tenent_id', which shop.customers doesn't have"
            "; did you mean 'tenant_id'?",
        ),
        (
            "rows: [{table: shop.customers, filter: orders.id = 1}]",
            "a.yaml:6:12: the filter names column 'orders.id', which shop.customers doesn't have",
        ),
        ("rows: [{table: shop.nothing, filter: x = 1}]", "a.yaml:6:12: no table shop.nothing"),
        (
            "masks: [{column: shop.customers.mail, mask: {kind: email}}]",
            "a.yaml:6:13: table shop.customers has no column 'mail'; did you mean 'email'?",
        ),
        (
            "masks: [{column: shop.customers.id, mask: {kind: email}}]",
            "a.yaml:6:13: shop.customers.id: mask email",
        ),
        (
            "masks: [{column: shop.customers.born, mask: {kind: redact}, use: {join: raw}}]",
            "a.yaml:6:13: shop.customers.born: 'use' doesn't work on type date under mask redact",
        ),
    ],
)
def test_what_is_missing_or_cant_fit_is_an_error(part: str, problem: str) -> None:
    (message,) = found(part)
    assert message.startswith(problem)


def test_patterns_that_match_nothing_are_warnings() -> None:
    assert found("tables: {block: ['hr.*']}") == ["a.yaml:6:22: warning: hr.* matches no table of database 'shop'"]


def test_in_a_policy_for_all_databases_missing_names_are_warnings_but_bad_masks_stay_errors() -> None:
    (missing,) = found("tables: {allow: [hr.salaries]}", database="'*'")
    (misfit,) = found("masks: [{column: shop.customers.id, mask: {kind: email}}]", database="'*'")
    assert missing.startswith("a.yaml:6:21: warning: no table hr.salaries")
    assert "warning" not in misfit


def test_policies_for_other_databases_are_left_alone() -> None:
    assert found("tables: {allow: [hr.salaries]}", database="other") == []


def test_a_tag_on_many_missing_columns_names_each() -> None:
    text = "tags: {t: [shop.customers.a1, shop.customers.b2]}\n" + FRAME % "shop"
    policies = load_texts({"a.yaml": (text + "    masks: [{tag: t, mask: {kind: redact}}]\n").encode()}, {})
    assert [str(p).split("has no ")[1] for p in check_against_catalog(policies, CATALOG)] == [
        "column 'a1'",
        "column 'b2'",
    ]


def test_a_filter_that_a_client_could_move_is_an_error() -> None:
    (problem,) = found("rows: [{table: shop.customers, filter: 'born >= current_date'}]")
    assert problem.startswith("a.yaml:6:")
    assert "current_date depends on the client's TimeZone" in problem
    assert not problem.startswith("warning")
