"""What names mean to the statements of one text, through transactions, savepoints and what was said before it."""

from pathlib import Path

import pytest

from policies.catalog import Namespace
from tests.compile_world import World

POLICY = """
principals: [{user: ada, roles: [a]}]
policies:
  - name: a
    subjects: {any: true}
    statements: [select]
    tables: {allow: ["*.*"]}
"""
FOUND = {"shop": 'SELECT id FROM "shop".orders', "public": 'SELECT id FROM "public".other'}
QUERY = {"shop": "SELECT id FROM orders", "public": "SELECT id FROM other"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, POLICY)


@pytest.mark.parametrize(
    ("before", "schema"),
    [
        ("SET search_path = public", "public"),
        ("SET LOCAL search_path = public", "public"),
        ("BEGIN; SET search_path = public; COMMIT", "public"),
        ("BEGIN; SET search_path = public; ROLLBACK", "shop"),
        ("BEGIN; SET LOCAL search_path = public; COMMIT", "shop"),
        ("BEGIN; SET search_path = public; SET LOCAL search_path = shop; COMMIT", "public"),
        ("SET search_path = public; BEGIN; ROLLBACK", "shop"),  # BEGIN takes in what stands before it in the text
        ("SET search_path = public; COMMIT; SET search_path = shop; ROLLBACK", "public"),
        ("BEGIN; SAVEPOINT a; SET search_path = public; ROLLBACK TO a", "shop"),
        ("BEGIN; SET search_path = public; SAVEPOINT a; SET search_path = shop; ROLLBACK TO a; COMMIT", "public"),
        ("BEGIN; SAVEPOINT a; SET search_path = public; SAVEPOINT b; RESET search_path; ROLLBACK TO a", "shop"),
        ("BEGIN; SAVEPOINT a; SET search_path = public; RELEASE a; ROLLBACK AND CHAIN", "shop"),
        ("BEGIN; SET search_path = public; SAVEPOINT a; ROLLBACK TO a; ROLLBACK TO a", "public"),
        ("ROLLBACK TO a", "shop"),
        ("SET search_path = public; DISCARD ALL", "shop"),
        ("SET search_path = public; RESET ALL", "shop"),
        ("SELECT set_config('search_path', 'public', true)", "public"),
        ("SELECT set_config('search_path', 'public', true); COMMIT", "shop"),
        ("SET search_path = public; SET search_path FROM CURRENT", "public"),
    ],
)
def test_the_path_behind_other_statements(world: World, before: str, schema: str) -> None:
    policy = world.effective("ada")
    namespace = Namespace(("shop",), ("shop",))
    for other, query in QUERY.items():
        decision = world.compiler.decide(f"{before}; {query}", policy, world.catalog, namespace)
        if other == schema:
            assert decision.text.endswith(FOUND[schema])
        else:
            assert decision.refusal is not None
            assert decision.refusal.sqlstate == "42P01"


@pytest.mark.parametrize("ending", ["ROLLBACK", "COMMIT", "ROLLBACK TO a", "SET search_path = shop; ROLLBACK"])
def test_what_only_earlier_texts_told_is_not_guessed(world: World, ending: str) -> None:
    namespace = Namespace(("public",), ("shop",), is_dirty=True)
    policy = world.effective("ada")

    def sqlstate(sql: str) -> str:
        refusal = world.compiler.decide(sql, policy, world.catalog, namespace).refusal
        return refusal.sqlstate if refusal else ""

    assert sqlstate(f"SELECT id FROM other; {ending}") == ""
    assert sqlstate(f"{ending}; SELECT id FROM other") == "0A000"
    assert sqlstate(f"{ending}; SET search_path FROM CURRENT") == "0A000"
    assert sqlstate(f"{ending}; SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL") == ""
    assert sqlstate(f"SAVEPOINT b; SET search_path = shop; ROLLBACK TO b; SELECT id FROM other; {ending}") == ""
