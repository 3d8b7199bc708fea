"""Several policies to one: the most restrictive of each part wins, and the rule that did it is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from policies.errors import MissingAttributeError
from policies.load import load_texts
from policies.model import EffectivePolicy, PolicySet, Principal, Statement, TableRule
from policies.resolve import (
    ALL_STATEMENTS,
    function_denied_by,
    is_function_allowed,
    resolve,
    resolve_table,
    statement_denied_by,
)

PRINCIPALS = """
principals:
  - {user: ada, tenant: acme, team: finance, roles: [analyst, boss], attributes: {tenant_id: 1}}
  - {user: bob, tenant: globex, roles: [support], attributes: {tenant_id: 2}}
policies:
"""


def policy_set(*policies: str) -> PolicySet:
    """Policies named p0, p1, …; each text is the inside of a flow mapping. Subjects are everybody if not said."""
    lines = [
        f"  - {{name: p{i}, {'' if 'subjects' in text else 'subjects: {any: true}, '}{text}}}\n"
        for i, text in enumerate(policies)
    ]
    return load_texts({"p.yaml": (PRINCIPALS + "".join(lines)).encode()}, {})


def effective(*policies: str, user: str = "ada", database: str = "shop") -> EffectivePolicy:
    policy = resolve(policy_set(*policies), user, database)
    assert policy is not None
    return policy


def table(*policies: str, name: str = "customers") -> TableRule:
    return resolve_table(effective(*policies), "shop", name)


EVERYTHING = "statements: [all], tables: {allow: ['*.*']}, functions: {allow: ['*']}"
OPEN = "tables: {allow: ['*.*']}"


def test_an_unknown_user_has_no_policy() -> None:
    assert resolve(policy_set(EVERYTHING), "eve", "shop") is None
    assert resolve(policy_set(EVERYTHING), "ADA", "shop") is None


def test_without_a_matching_policy_nothing_is_allowed() -> None:
    policy = effective("subjects: {users: [bob]}, " + EVERYTHING)
    rule = resolve_table(policy, "shop", "customers")
    assert policy.policies == ()
    assert policy.statements == frozenset()
    assert policy.functions_allow == ()
    assert not policy.is_everything
    assert not rule.is_allowed
    assert rule.denied_by is None


def test_parts_that_no_policy_has_allow_nothing() -> None:
    policy = effective("limits: {rows: 10}")
    assert policy.statements == frozenset()
    assert statement_denied_by(policy, Statement.SELECT) is None
    assert not is_function_allowed(policy, "shop", "f")
    assert not resolve_table(policy, "shop", "customers").is_allowed


@pytest.mark.parametrize(
    ("part", "is_for_ada"),
    [
        ("subjects: {any: true}", True),
        ("subjects: {users: [ada]}", True),
        ("subjects: {users: [bob]}", False),
        ("subjects: {teams: [finance]}", True),
        ("subjects: {tenants: [acme]}", True),
        ("subjects: {tenants: [globex]}", False),
        ("subjects: {roles: [boss]}", True),
        ("subjects: {roles: [support]}", False),
        ("subjects: {users: [bob], roles: [boss]}", True),
        ("subjects: {any: true}, except: {users: [bob]}", True),
        ("subjects: {any: true}, except: {users: [ada]}", False),
        ("subjects: {users: [ada]}, except: {roles: [support, boss]}", False),
        ("subjects: {any: true, except: {tenants: [acme]}}", False),
        ("subjects: {any: true}, database: shop", True),
        ("subjects: {any: true}, database: '*'", True),
        ("subjects: {any: true}, database: other", False),
        ("subjects: {any: true}, database: Shop", False),
    ],
)
def test_whom_and_where_a_policy_is_for(part: str, is_for_ada: bool) -> None:
    assert bool(effective(part).policies) is is_for_ada


def test_statements_intersect_and_the_narrowing_rule_is_named() -> None:
    policy = effective("statements: [all]", "limits: {rows: 1}", "statements: [select, insert]", "statements: [select]")
    assert policy.statements == {Statement.SELECT}
    assert str(policy.statements_rule) == "p3/statements"
    assert str(statement_denied_by(policy, Statement.INSERT)) == "p3/statements"
    assert str(statement_denied_by(policy, Statement.CALL)) == "p2/statements"
    assert statement_denied_by(policy, Statement.SELECT) is None


def test_all_statements_means_every_kind() -> None:
    assert effective("statements: [all]").statements == ALL_STATEMENTS
    assert effective("statements: [all]", "statements: []").statements == frozenset()


@pytest.mark.parametrize(
    ("lists", "allowed"),
    [
        (["'*'", "s.f"], ("s.f",)),
        (["s.f", "'*'"], ("s.f",)),
        (["'s.*'", "s.f, t.f"], ("s.f",)),
        (["s.f", "t.f"], ()),
        (["'s.*', t.g", "'*'"], ("s.*", "t.g")),
        (["'s.*'", "'s.*', s.f"], ("s.*", "s.f")),
        (["s.f"], ("s.f",)),
    ],
)
def test_functions_intersect(lists: list[str], allowed: tuple[str, ...]) -> None:
    assert effective(*(f"functions: {{allow: [{item}]}}" for item in lists)).functions_allow == allowed


def test_functions_are_denied_by_the_first_list_without_them() -> None:
    policy = effective("functions: {allow: ['s.*']}", "functions: {allow: [s.f]}")
    assert is_function_allowed(policy, "s", "f")
    assert not is_function_allowed(policy, "s", "g")
    assert function_denied_by(policy, "s", "f") is None
    assert str(function_denied_by(policy, "s", "g")) == "p1/functions.allow"
    assert str(function_denied_by(policy, "t", "f")) == "p0/functions.allow"


@pytest.mark.parametrize(
    ("policies", "is_allowed", "denied_by"),
    [
        (["tables: {allow: [shop.customers]}"], True, None),
        (["tables: {allow: ['shop.*']}"], True, None),
        (["tables: {allow: [SHOP.Customers]}"], True, None),
        (["tables: {allow: ['shop.\"Customers\"']}"], False, "p0/tables.allow"),
        (["tables: {allow: ['hr.*']}"], False, "p0/tables.allow"),
        (["tables: {allow: ['hr.*', 'shop.*']}"], True, None),
        (["tables: {allow: []}"], False, "p0/tables.allow"),
        ([OPEN, "tables: {allow: [shop.orders]}"], False, "p1/tables.allow"),
        ([OPEN, "tables: {allow: ['shop.*']}"], True, None),
        ([OPEN, "limits: {rows: 1}"], True, None),
        (["limits: {rows: 1}"], False, None),
        ([OPEN, "tables: {block: [shop.customers]}"], False, "p1/tables.block[0]"),
        ([OPEN, "tables: {block: [shop.a, '*.customers']}"], False, "p1/tables.block[1]"),
        ([OPEN, "tables: {block: ['hr.*']}"], True, None),
        (["tables: {allow: ['hr.*'], block: ['shop.*']}"], False, "p0/tables.block[0]"),
        (["tables: {block: ['hr.*']}"], False, None),
    ],
)
def test_tables_allow_lists_intersect_and_blocks_unite(
    policies: list[str], is_allowed: bool, denied_by: str | None
) -> None:
    rule = table(*policies)
    assert rule.is_allowed is is_allowed
    assert (str(rule.denied_by) if rule.denied_by else None) == denied_by


def test_filters_blocked_columns_and_masks_of_all_policies_gather_per_table() -> None:
    policies = (
        OPEN + ", rows: [{table: shop.customers, filter: x = 1}, {table: shop.orders, filter: x = 9}]",
        "rows: [{table: shop.customers, filter: y = 2}], columns: {block: [shop.customers.ssn, hr.customers.name]}",
        "columns: {block: [shop.customers.ssn, shop.customers.card]}",
    )
    rule = table(*policies)
    assert [(f.expression, str(f.rule)) for f in rule.filters] == [
        ("x = 1", "p0/rows[0]"),
        ("y = 2", "p1/rows[0]"),
    ]
    assert {c: str(r) for c, r in rule.blocked_columns.items()} == {
        "ssn": "p1/columns.block[0]",
        "card": "p2/columns.block[1]",
    }
    assert not rule.is_open
    assert table(*policies, name="payments").is_open


@pytest.mark.parametrize(
    ("masks", "kind", "rule"),
    [
        (["{kind: email}", "{kind: redact}"], "redact", "p1/masks[0]"),
        (["{kind: redact}", "{kind: email}"], "redact", "p0/masks[0]"),
        (["{kind: redact}", "{kind: redact}"], "redact", "p0/masks[0]"),
        (["{kind: email}", "{kind: nullify}", "{kind: redact}"], "nullify", "p1/masks[0]"),
    ],
)
def test_the_stronger_mask_wins(masks: list[str], kind: str, rule: str) -> None:
    parts = [f"masks: [{{column: shop.customers.email, mask: {mask}}}]" for mask in masks]
    found = table(OPEN, *parts).masks["email"]
    renamed = f"p{int(rule[1]) + 1}{rule[2:]}"
    assert (found.mask.kind, str(found.rule)) == (kind, renamed)


def test_limits_take_the_minimum_of_each() -> None:
    limits = effective(
        "limits: {rows: 100, runtime: 5s}", "limits: {rows: 50}", "limits: {runtime: 500ms, rows: 70}"
    ).limits
    assert (limits.rows, str(limits.rows_rule)) == (50, "p1/limits.rows")
    assert (limits.runtime_s, str(limits.runtime_rule)) == (0.5, "p2/limits.runtime")


@pytest.mark.parametrize(
    ("policies", "is_everything"),
    [
        ([EVERYTHING], True),
        ([EVERYTHING, EVERYTHING], True),
        (["statements: [all]", OPEN, "functions: {allow: ['*', s.f]}"], True),
        ([EVERYTHING, "subjects: {users: [bob]}, limits: {rows: 1}"], True),
        ([EVERYTHING, "database: other, limits: {rows: 1}"], True),
        ([EVERYTHING, "limits: {rows: 1}"], False),
        ([EVERYTHING, "limits: {runtime: 1s}"], False),
        ([EVERYTHING, "tables: {block: [a.b]}"], False),
        ([EVERYTHING, "columns: {block: [a.b.c]}"], False),
        ([EVERYTHING, "rows: [{table: a.b, filter: x = 1}]"], False),
        ([EVERYTHING, "masks: [{column: a.b.c, mask: {kind: redact}}]"], False),
        ([EVERYTHING, "statements: [select]"], False),
        ([EVERYTHING, "tables: {allow: ['shop.*']}"], False),
        ([EVERYTHING, "functions: {allow: [s.f]}"], False),
        (["statements: [all], tables: {allow: ['*.*']}"], False),
        (["statements: [all], functions: {allow: ['*']}"], False),
        ([EVERYTHING.replace("[all]", "[select, insert, update, delete]")], False),
        ([EVERYTHING.replace("'*.*'", "'shop.*', 'hr.*'")], False),
    ],
)
def test_only_the_whole_is_everything(policies: list[str], is_everything: bool) -> None:
    assert effective(*policies).is_everything is is_everything


class TestMissingAttributes:
    @pytest.fixture
    def without_attributes(self) -> Callable[..., PolicySet]:
        """A set that loading would refuse: the attributes are gone."""

        def make(part: str) -> PolicySet:
            policies = policy_set(OPEN + ", " + part)
            ada: Principal = replace(policies.principals["ada"], attributes={})
            return replace(policies, principals={"ada": ada})

        return make

    @pytest.mark.parametrize(
        "part",
        [
            "rows: [{table: a.b, filter: 'x = {tenant_id}'}]",
            "masks: [{column: a.b.c, mask: {kind: sql, expression: 'left({column}, {tenant_id})'}}]",
        ],
    )
    def test_fail_closed(self, without_attributes: Callable[..., PolicySet], part: str) -> None:
        with pytest.raises(MissingAttributeError, match="needs attribute 'tenant_id', which user 'ada' lacks"):
            resolve(without_attributes(part), "ada", "shop")

    def test_dont_matter_where_the_policy_isnt_for_the_database(
        self, without_attributes: Callable[..., PolicySet]
    ) -> None:
        policies = without_attributes("database: shop, rows: [{table: a.b, filter: 'x = {tenant_id}'}]")
        assert resolve(policies, "ada", "other") is not None


class TestFingerprint:
    BASE = (
        OPEN + ", rows: [{table: a.b, filter: 'x = {tenant_id}'}]",
        "subjects: {users: [bob]}, limits: {rows: 5}",
    )

    def test_is_stable(self) -> None:
        assert effective(*self.BASE).fingerprint == effective(*self.BASE).fingerprint

    def test_differs_between_principals_and_databases(self) -> None:
        prints = {
            effective(*self.BASE, user=user, database=database).fingerprint
            for user in ("ada", "bob")
            for database in ("shop", "other")
        }
        assert len(prints) == 4

    def test_ignores_policies_for_others(self) -> None:
        changed = (self.BASE[0], self.BASE[1].replace("rows: 5", "rows: 6"))
        assert effective(*changed).fingerprint == effective(*self.BASE).fingerprint
        assert effective(*changed, user="bob").fingerprint != effective(*self.BASE, user="bob").fingerprint

    def test_depends_on_attributes_and_on_places_that_refusals_quote(self) -> None:
        policies = policy_set(*self.BASE)
        ada = replace(policies.principals["ada"], attributes={"tenant_id": "1"})
        other = resolve(replace(policies, principals={"ada": ada}), "ada", "shop")
        moved = resolve(
            load_texts({"q.yaml": b"principals: [{user: ada}]\npolicies: [{name: p, subjects: {any: true}}]"}, {}),
            "ada",
            "shop",
        )
        unmoved = resolve(
            load_texts({"p.yaml": b"principals: [{user: ada}]\npolicies: [{name: p, subjects: {any: true}}]"}, {}),
            "ada",
            "shop",
        )
        assert other is not None
        assert other.fingerprint != effective(*self.BASE).fingerprint
        assert moved is not None
        assert unmoved is not None
        assert moved.fingerprint != unmoved.fingerprint

    def test_a_new_password_changes_no_decision(self) -> None:
        policies = policy_set(*self.BASE)
        changed = replace(policies.principals["ada"], scram="SCRAM-SHA-256$1:AA==$AA==:AA==")
        other = resolve(replace(policies, principals={"ada": changed}), "ada", "shop")
        assert other is not None
        assert other.fingerprint == effective(*self.BASE).fingerprint
