"""What a client sees through pgwarden is what it would see on the sanitized copy: the same rows or the same errors."""

from __future__ import annotations

import os
from collections import Counter
from random import Random

from hypothesis import HealthCheck, Phase, given, settings

from tests.oracle.grammar import Drawer, statements
from tests.security.asking import PATHS, Asker, difference

STATEMENTS = int(os.environ.get("ORACLE_STATEMENTS", "400"))  # more of them for a night's search
LEAST_STATEMENTS = 300
LEAST_SHARE = 0.8
_REFUSALS = ("42501", "0A000")


def test_every_allowed_statement_answers_as_on_the_copy(asker: Asker) -> None:
    """Text over the simple protocol, text and binary over the extended one. The same statements in every run."""
    seen: set[str] = set()
    counts: Counter[str] = Counter()

    @settings(
        max_examples=STATEMENTS,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(statements())
    def check(sql: str) -> None:
        if sql not in seen:
            seen.add(sql)
            counts[_ask(asker, sql)] += 1

    check()
    share = 1 - counts["refused"] / len(seen)
    assert len(seen) >= LEAST_STATEMENTS
    print(f"{len(seen)} statements, {share:.1%} allowed, {dict(counts)}")  # noqa: T201 - shown with -s
    assert share >= LEAST_SHARE
    assert counts["rows"] > len(seen) / 2  # else the grammar only compares errors


def _ask(asker: Asker, sql: str) -> str:
    """``refused``, ``error`` or ``rows``; AssertionError when an allowed answer isn't the copy's."""
    ours, theirs = asker.answers("ada", sql), asker.answers("copy", sql)
    leaked = asker.leaks(bytes(asker.link("ada").seen), sql)
    assert not leaked, f"{sql}\nleaks {sorted(leaked)[:5]}"
    if ours[0].sqlstate in _REFUSALS and not theirs[0].sqlstate:
        assert not any(answer.rows for answer in ours)
        return "refused"
    for path, mine, plain in zip(PATHS, ours, theirs, strict=True):
        found = difference(mine, plain, is_ordered=False)
        assert not found, f"{sql}\n{path}: {found}"
    if ours[0].sqlstate:
        return "error"
    return "rows" if ours[0].rows else "empty"


def test_the_comparison_can_fail(asker: Asker) -> None:
    """Where nothing is hidden, many of the same statements answer otherwise than the copy does."""
    random = Random(7)
    differing = 0
    for _ in range(30):
        sql = Drawer(random).statement()
        ours, plain = asker.answers("root", sql)[0], asker.answers("copy", sql)[0]
        differing += bool(difference(ours, plain, is_ordered=False))
    assert differing >= 10
