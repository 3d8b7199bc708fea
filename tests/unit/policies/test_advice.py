"""What `check` warns of: a `when` on a policy that only takes away."""

from __future__ import annotations

import pytest

from policies.advice import advise
from policies.errors import Severity
from tests.unit.policies.test_resolve import policy_set

WHEN = "when: {days: [mon]}"


@pytest.mark.parametrize(
    "part",
    [
        "masks: [{column: a.b.c, mask: {kind: redact}}]",
        "rows: [{table: a.b, filter: 'x = 1'}]",
        "columns: {block: [a.b.c]}",
        "tables: {block: [a.b]}",
        "statements: {deny: [ddl]}",
        "limits: {rows: 1}",
    ],
)
def test_what_hides_only_at_times_is_warned_of(part: str) -> None:
    (warning,) = advise(policy_set("tables: {allow: ['*.*']}", f"{part}, {WHEN}"))
    assert warning.severity is Severity.WARNING
    assert (warning.source.line, "'p1' only takes away" in warning.message) == (7, True)
    assert advise(policy_set(part)) == []
    assert advise(policy_set(f"{part}, mode: shadow, {WHEN}")) == []


@pytest.mark.parametrize(
    "part", ["statements: [select]", "tables: {allow: [a.b], block: [a.c]}", "functions: {allow: []}"]
)
def test_what_allows_at_times_is_fine(part: str) -> None:
    assert advise(policy_set(f"{part}, {WHEN}")) == []
