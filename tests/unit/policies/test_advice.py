"""What `check` warns of: a `when` on a policy that only takes away."""

from __future__ import annotations

import pytest

from policies.advice import advise
from policies.errors import PolicyFileError, Severity
from policies.load import load_texts
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


HIDES = f"tables: {{allow: ['shop.*']}}, {WHEN}, "


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("masks: [{column: shop.b.c, mask: {kind: redact}}]", "shop.b.c"),
        ("columns: {block: [shop.b.c]}", "shop.b.c"),
        ("rows: [{table: shop.b, filter: 'x = 1'}]", "every row of shop.b"),
    ],
)
def test_what_another_policy_opens_at_other_times_is_warned_of(part: str, name: str) -> None:
    (warning,) = advise(policy_set(HIDES + part, "tables: {allow: [shop.b]}"))
    assert f"user 'ada' sees {name} as it is" in warning.message
    assert (warning.severity, warning.source.line) == (Severity.WARNING, 6)
    assert advise(policy_set(HIDES + part)) == []
    assert advise(policy_set(HIDES + part, "tables: {allow: [shop.other]}")) == []
    assert advise(policy_set(HIDES + part, f"tables: {{allow: [shop.b]}}, {part}")) == []
    assert advise(policy_set(HIDES + part, "tables: {allow: [shop.b]}, subjects: {users: [bob]}, database: shop")) != []


def test_who_is_not_concerned_opens_nothing() -> None:
    part = HIDES + "subjects: {users: [ada]}, masks: [{column: shop.b.c, mask: {kind: redact}}]"
    assert advise(policy_set(part, "subjects: {users: [bob]}, tables: {allow: ['*.*']}")) == []


TAGS = """principals: [{user: ada}]
tags:
  pii.mail: [shop.c.email, shop.c.old_email]
  pii.card: [shop.c.card]
policies:
"""


@pytest.mark.parametrize(
    ("part", "bare"),
    [
        ("tables: {allow: ['*.*']}", ["shop.c.email, shop.c.old_email", "shop.c.card"]),
        ("masks: [{tag: pii.mail, mask: {kind: email}}], columns: {block: [shop.c.card]}", []),
        ("masks: [{column: shop.c.email, mask: {kind: email}}]", ["shop.c.old_email", "shop.c.card"]),
        ("tables: {block: ['shop.*']}", []),
    ],
)
def test_a_tag_alone_hides_nothing(part: str, bare: list[str]) -> None:
    text = f"{TAGS}  - {{name: p, subjects: {{any: true}}, {part}}}\n"
    warnings = advise(load_texts({"t.yaml": text.encode()}, {}))
    assert [w.message.partition("blocks ")[2] for w in warnings] == bare
    assert {w.source.line for w in warnings} <= {3, 4}


def test_a_tag_that_is_written_wrong_is_an_error() -> None:
    text = f"{TAGS}  - {{name: p, subjects: {{any: true}}, masks: [{{tag: pii.mial, mask: {{kind: email}}}}]}}\n"
    with pytest.raises(PolicyFileError, match=r"t\.yaml:6:52: unknown tag 'pii\.mial'; did you mean 'pii\.mail'\?"):
        load_texts({"t.yaml": text.encode()}, {})


def test_keys_without_a_tier_are_warned_of() -> None:
    people = "principals: [{user: ci, auth: {stored_keys: true}}]\n"
    (warning,) = advise(load_texts({"p.yaml": people.encode()}, {}))
    assert str(warning.source) == "p.yaml:1:14"
    assert "no tier is defined" in warning.message
    assert advise(load_texts({"p.yaml": (people + "tiers: {free: {}}").encode()}, {})) == []
