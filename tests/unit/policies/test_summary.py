"""What a new policy set changed, told by names: enough to know where to look, and no values."""

from __future__ import annotations

import pytest

from policies.load import load_texts
from policies.model import PolicySet
from policies.summary import summary_of

FIRST = """
principals:
  - {user: ada, tenant: acme, roles: [analyst], attributes: {tenant_id: 1}}
  - {user: sam, roles: [analyst]}
policies:
  - name: analysts
    subjects: {roles: [analyst]}
    statements: [select]
    tables: {allow: ["shop.*"]}
    rows: [{table: shop.customers, filter: "tenant_id = 1"}]
  - name: others
    subjects: {users: [sam]}
    tables: {allow: ["shop.orders"]}
"""


def policies(text: str) -> PolicySet:
    return load_texts({"policies.yaml": text.encode()}, {})


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("tenant_id = 1", "tenant_id = 2", "policies: 1 changed (analysts: rows)"),
        ("statements: [select]", "statements: [select, insert]", "policies: 1 changed (analysts: statements)"),
        ("name: others", "name: rest", "policies: 1 new (rest), 1 gone (others)"),
        ("  - {user: sam", "  - {user: tim}\n  - {user: sam", "principals: 1 new (tim)"),
        ("tenant_id: 1}", "tenant_id: 7}", "principals: 1 changed (ada)"),
        ("policies:", "tags: {pii: [shop.customers.email]}\npolicies:", "tags changed"),
        ("    statements", "\n\n    statements", "nothing that counts changed"),
    ],
)
def test_a_change_is_told_by_its_names(old: str, new: str, told: str) -> None:
    assert old in FIRST
    assert summary_of(policies(FIRST), policies(FIRST.replace(old, new, 1))) == told


def test_the_first_set_is_counted() -> None:
    assert summary_of(None, policies(FIRST)) == "2 policies, 2 principals"


def test_long_lists_are_cut() -> None:
    more = "".join(f"  - {{user: u{number:02}, roles: [analyst]}}\n" for number in range(20))
    text = FIRST.replace("principals:\n", f"principals:\n{more}")
    told = summary_of(policies(FIRST), policies(text))
    assert told.startswith("principals: 20 new (u00, u01")
    assert told.endswith("u11, and 8 more)")
