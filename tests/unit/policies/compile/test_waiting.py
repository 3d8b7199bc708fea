"""Refusals under a `when` that doesn't hold, and under denied kinds of statements: what would help is said."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from policies.catalog import Namespace
from policies.decision import Refusal
from policies.model import Circumstances
from policies.resolve import resolve
from tests.compile_world import World

POLICY = """principals: [{user: ada}, {user: bo}, {user: cy}, {user: dee}]
policies:
  - name: desk
    subjects: {users: [ada, bo]}
    when: {cidr: 10.0.0.0/8}
    statements: [select]
    tables: {allow: ["shop.*"]}
    functions: {allow: [shop.safe_report]}
  - name: base
    subjects: {users: [bo]}
    statements: [select]
    tables: {allow: [public.other]}
    functions: {allow: []}
  - name: reader
    subjects: {users: [cy, dee]}
    statements: {allow: [all], deny: [insert]}
    tables: {allow: ["shop.*"]}
  - name: quiet
    subjects: {users: [dee]}
    statements: {deny: [explain, copy_to, all]}
"""


class Asked:
    def __init__(self, folder: Path) -> None:
        self.world = World(folder, POLICY)

    def refusal(self, user: str, sql: str, address: str) -> Refusal | None:
        moment = datetime(2026, 7, 1, tzinfo=UTC)
        policy = resolve(self.world.policies, user, "shop", Circumstances(address, moment))
        assert policy is not None
        path = ("shop", "public")
        return self.world.compiler.decide(sql, policy, self.world.catalog, Namespace(path, path)).refusal


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    return Asked(tmp_path)


DESK = "Policy desk (policy.yaml:3:5) would allow it, but only within its `when`."


def test_the_policy_that_waits_is_named(asked: Asked) -> None:
    assert asked.refusal("ada", "SELECT id FROM orders", "10.0.0.1") is None
    refusal = asked.refusal("ada", "SELECT id FROM orders", "192.0.2.1")
    assert refusal is not None
    assert (refusal.sqlstate, refusal.rule, refusal.detail) == ("42501", "pgwarden/default", DESK)


def test_not_for_what_it_would_not_allow_either(asked: Asked) -> None:
    refusal = asked.refusal("ada", "INSERT INTO orders (id) VALUES (1)", "192.0.2.1")
    assert refusal is not None
    assert refusal.detail == "No policy of this user allows any statement."


@pytest.mark.parametrize("sql", ["SELECT id FROM orders", "SELECT shop.safe_report()"])
def test_not_where_time_alone_would_not_help(asked: Asked, sql: str) -> None:
    refusal = asked.refusal("bo", sql, "192.0.2.1")
    assert refusal is not None
    assert refusal.rule in ("base/tables.allow", "base/functions.allow")
    assert refusal.detail.startswith("Rule base/")


@pytest.mark.parametrize(
    ("user", "sql", "rule"),
    [
        ("cy", "INSERT INTO orders (id) VALUES (1)", "reader/statements.deny[0]"),
        (
            "cy",
            "WITH w AS (INSERT INTO orders (id) VALUES (1) RETURNING id) SELECT id FROM w",
            "reader/statements.deny[0]",
        ),
        ("dee", "INSERT INTO orders (id) VALUES (1)", "reader/statements.deny[0]"),
        ("dee", "SELECT id FROM orders", "quiet/statements.deny[2]"),
        ("dee", "EXPLAIN SELECT id FROM orders", "quiet/statements.deny[0]"),
        ("dee", "CREATE TABLE shop.x (id int)", "quiet/statements.deny[2]"),
    ],
)
def test_a_denied_kind_is_named(asked: Asked, user: str, sql: str, rule: str) -> None:
    refusal = asked.refusal(user, sql, "10.0.0.1")
    assert refusal is not None
    assert (refusal.sqlstate, refusal.rule) == ("42501", rule)
    assert refusal.detail.startswith(f"Rule {rule} at policy.yaml:")
    assert f"out of {rule}" in refusal.hint


def test_what_is_left_of_all_still_runs(asked: Asked) -> None:
    assert asked.refusal("cy", "SELECT id FROM orders", "10.0.0.1") is None
    assert asked.refusal("cy", "UPDATE orders SET id = 1 WHERE id = 2", "10.0.0.1") is None
