"""Differences between two policy sets, statement by statement, without a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from policies.difference import NO_SUCH_USER, ChangeKind, Differences, Exposure, changes, exposure
from tests.compile_world import POLICY, World

STAR = "SELECT * FROM shop.customers"


def world_of(folder: Path, name: str, policy: str) -> World:
    (folder / name).mkdir()
    return World(folder / name, policy)


def exposed(world: World, sql: str, user: str = "ada") -> Exposure:
    return exposure(world.decide(sql, user), world.effective(user))


@pytest.mark.parametrize(
    ("old_part", "new_part", "sql", "kind", "subject"),
    [
        ("{kind: email}", "{kind: redact}", STAR, ChangeKind.STRENGTHENED, "shop.customers.email: email -> redact"),
        (
            "      - {column: shop.customers.email, mask: {kind: email}}\n",
            "",
            STAR,
            ChangeKind.UNMASKED,
            "shop.customers.email",
        ),
        (
            '      - {table: shop.customers, filter: "tenant_id = {tenant_id}"}\n',
            "",
            STAR,
            ChangeKind.UNFILTERED,
            "shop.customers: tenant_id = {tenant_id}",
        ),
        (
            "block: [shop.payments.card_number]",
            "block: [shop.payments.amount]",
            "SELECT * FROM shop.payments",
            ChangeKind.UNBLOCKED,
            "shop.payments.card_number",
        ),
    ],
)
def test_a_changed_rule_is_told_both_ways(
    old_part: str, new_part: str, sql: str, kind: ChangeKind, subject: str, tmp_path: Path
) -> None:
    assert old_part in POLICY
    old = exposed(world_of(tmp_path, "old", POLICY), sql)
    new = exposed(world_of(tmp_path, "new", POLICY.replace(old_part, new_part)), sql)
    found = {(change.kind, change.subject) for change in changes("ada", "shop", old, new)}
    assert (kind, subject) in found
    assert (
        all(change.kind.is_opening != kind.is_opening for change in changes("ada", "shop", new, old)) or len(found) > 1
    )
    assert changes("ada", "shop", old, old) == []


def test_what_is_allowed_or_refused_anew(tmp_path: Path) -> None:
    old = world_of(tmp_path, "old", POLICY)
    new = world_of(tmp_path, "new", POLICY.replace("block: [shop.salaries]", "block: [shop.orders]"))
    salaries, orders = "SELECT * FROM shop.salaries", "SELECT * FROM shop.orders"
    (opened,) = changes("ada", "shop", exposed(old, salaries), exposed(new, salaries))
    (closed,) = changes("ada", "shop", exposed(old, orders), exposed(new, orders))
    assert (opened.kind, closed.kind) == (ChangeKind.ALLOWED, ChangeKind.REFUSED)
    assert "analysts/tables.block[0]" in opened.subject


def test_another_reason_is_no_opening(tmp_path: Path) -> None:
    old = world_of(tmp_path, "old", POLICY)
    refused = exposed(old, "SELECT * FROM shop.salaries")
    (change,) = changes("ada", "shop", refused, NO_SUCH_USER)
    assert change.kind is ChangeKind.REASON
    assert not change.kind.is_opening


def test_a_tally_counts_statements_and_keeps_one(tmp_path: Path) -> None:
    old = world_of(tmp_path, "old", POLICY)
    new = world_of(tmp_path, "new", POLICY.replace("{kind: email}", "{kind: partial, keep_last: 3}"))
    found = Differences()
    for sql in (STAR, "SELECT email FROM shop.customers", "SELECT 1"):
        found.add(sql, changes("ada", "shop", exposed(old, sql), exposed(new, sql)))
    assert (found.statements, found.same) == (3, 1)
    ((change, tally),) = found.tallies.items()
    assert change.kind is ChangeKind.WEAKENED
    assert (tally.statements, tally.example) == (2, STAR)
    assert found.has_openings
    assert not found.has_refusals
