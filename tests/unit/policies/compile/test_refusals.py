"""A refused statement explains itself: every text that the compiler's tests hold, as several users."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from policies.decision import Refusal
from tests.compile_world import World

# The server's own errors, in its own words: it gives no hint there either.
_SERVERS = frozenset(
    {
        "42P01",
        "42704",
        "42883",
        "42703",
        "42702",
        "42701",
        "42601",
        "42P10",
        "3F000",
        "22021",
        "26000",
        "34000",
        "42P02",
    }
)
_STATEMENTS = """
select with values table insert update delete merge copy create alter drop truncate lock declare fetch move close
prepare execute deallocate explain set reset show listen notify unlisten call do begin commit rollback vacuum
analyze comment grant revoke reindex cluster refresh import security discard checkpoint load
"""


def corpus() -> list[str]:
    """All string constants beside this file that begin as a statement does."""
    first_words = frozenset(_STATEMENTS.split())
    found: dict[str, None] = {}
    for file in sorted(Path(__file__).parent.glob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 2_000:
                words = node.value.lower().split(maxsplit=1)
                if len(words) == 2 and words[0].lstrip("(") in first_words:
                    found[node.value] = None
    return list(found)


def faults(refusal: Refusal, sql: str) -> Iterator[str]:
    if not refusal.message or not refusal.rule:
        yield "no message or rule"
    if not refusal.hint and refusal.sqlstate not in _SERVERS:
        yield "no hint"
    if not refusal.rule.startswith("pgwarden/") and ".yaml:" not in refusal.detail:
        yield "a policy's rule without its place"
    if not 0 <= refusal.position <= len(sql) + 1:
        yield "a place outside the text"
    for text in (refusal.message, refusal.detail, refusal.hint):
        if "None" in text or text != text.strip():
            yield f"odd text {text!r}"


@pytest.mark.parametrize("user", ["ada", "eve", "bo"])
def test_every_refusal_says_what_would_make_it_pass(world: World, user: str) -> None:
    texts = corpus()
    refusals = [(sql, found) for sql in texts if (found := world.decide(sql, user).refusal) is not None]
    assert len(texts) > 800
    assert len(refusals) > 200
    bad = [f"{fault}: {sql!r}: {one}" for sql, one in refusals for fault in faults(one, sql)]
    assert not bad, "\n".join(bad[:20])


@pytest.mark.parametrize("second", ["VACUUM", "SELECT * FROM shop.salaries", "SELECT pg_read_file('x')", "CHECKPOINT"])
def test_the_refused_one_of_several_is_pointed_at(world: World, second: str) -> None:
    refusal = world.decide(f"SELECT 'ü';  {second}").refusal
    assert refusal is not None
    assert refusal.position >= 14


def test_a_rule_of_a_policy_brings_its_file_and_line(world: World) -> None:
    refusal = world.decide("SELECT amount FROM shop.salaries").refusal
    assert refusal is not None
    assert "policy.yaml:11:" in refusal.detail
    assert refusal.position == 20
