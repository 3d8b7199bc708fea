"""LISTEN, NOTIFY, UNLISTEN and pg_notify: by grant, or free when they only forget."""

from pathlib import Path

import pytest

from tests.compile_world import World

POLICY = """
principals: [{user: ada, roles: [a]}, {user: bo, roles: [b]}]
policies:
  - name: all
    subjects: {any: true}
    tables: {allow: ["shop.*"]}
    masks: [{column: shop.customers.email, mask: {kind: email}}]
  - {name: a, subjects: {roles: [a]}, statements: [select, listen]}
  - {name: b, subjects: {roles: [b]}, statements: [select]}
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, POLICY)


@pytest.mark.parametrize(
    ("sql", "command"),
    [
        ("LISTEN news", "listen"),
        ('LISTEN "odd Name"', "listen"),
        ("NOTIFY news", "notify"),
        ("NOTIFY news, $$it's$$", "notify"),
        ("SELECT pg_notify('news', 'x'), pg_catalog.pg_notify($1, $2)", "select"),
        ("SELECT * FROM pg_listening_channels()", "select"),
    ],
)
def test_the_grant_decides(world: World, sql: str, command: str) -> None:
    decision = world.allowed(sql)
    assert (decision.text, decision.plans[0].command) == (sql, command)
    assert world.refused(sql, "bo") == ("42501", "b/statements")


def test_what_only_forgets_is_free(world: World) -> None:
    for sql in ("UNLISTEN news", "UNLISTEN *"):
        assert world.allowed(sql, "bo").text == sql


def test_a_payload_out_of_a_guarded_table_is_masked_at_the_source_behind_a_fence(world: World) -> None:
    decision = world.allowed("SELECT id FROM customers WHERE pg_notify('news', email) IS NOT NULL")
    assert decision.plans[0].column_masks == ()
    assert 'AS "email"' in decision.text
    assert "OFFSET 0" in decision.text
