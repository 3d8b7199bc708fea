"""Policy files as operators write them: what they mean, and every way to write them wrong with its place."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from policies.errors import PolicyFileError
from policies.load import load_folder, load_texts
from policies.model import ColumnName, MaskSpec, PolicySet, RawUse, Statement, TablePattern
from policies.prices import Prices


def _b64(byte: bytes, count: int) -> str:
    return base64.b64encode(byte * count).decode()


VERIFIER = f"SCRAM-SHA-256$4096:{_b64(b's', 16)}${_b64(b'k', 32)}:{_b64(b'v', 32)}"

DESIGN = """
principals:
  - {user: ada, tenant: acme, team: finance, roles: [analyst], attributes: {tenant_id: 1},
     auth: {scram: "env:ADA_SCRAM"}}
  - {user: bob, tenant: globex, roles: [support], attributes: {tenant_id: 2, regions: [eu, us]}}
tags:
  pii.email: [shop.customers.email, shop.employees.email]
policies:
  - name: analysts
    database: shop
    subjects: {roles: [analyst]}
    statements: [select, copy_to]
    tables: {allow: ["shop.*"], block: [shop.salaries]}
    columns: {block: [shop.payments.card_number]}
    rows:
      - {table: shop.customers, filter: "tenant_id = {tenant_id}"}
    masks:
      - {tag: pii.email, mask: {kind: email}}
      - {column: shop.customers.phone, mask: {kind: partial, keep_last: 4}}
    functions: {allow: [shop.safe_report]}
    limits: {rows: 100000, runtime: 30s}
prices: {per_second: 0.0005, per_gib_out: 0.05, per_million_plan_units: 0.01, currency: EUR}
"""

# A frame into which one faulty policy, principal or part is put.
FRAME = """
principals:
  - {user: ada, roles: [analyst], team: finance, tenant: acme, attributes: {tenant_id: 1}}
policies:
  - name: p
    subjects: {users: [ada]}
"""


def load(text: str, **env: str) -> PolicySet:
    return load_texts({"a.yaml": text.encode()}, env, {"shop"})


def problems(text: str, **env: str) -> list[str]:
    with pytest.raises(PolicyFileError) as caught:
        load(text, **env)
    return [str(problem) for problem in caught.value.problems]


def test_every_part_of_a_policy_is_read() -> None:
    policies = load(DESIGN, ADA_SCRAM=VERIFIER)
    (policy,) = policies.policies
    ada = policies.principals["ada"]
    assert (ada.tenant, ada.team, ada.roles, ada.scram) == ("acme", "finance", ("analyst",), VERIFIER)
    assert ada.attributes == {"tenant_id": 1}
    assert policies.principals["bob"].attributes == {"tenant_id": 2, "regions": ("eu", "us")}
    assert policies.principals["bob"].scram is None
    assert policy.database == "shop"
    assert policy.statements == {Statement.SELECT, Statement.COPY_TO}
    assert policy.tables_allow == (TablePattern("shop", "*"),)
    assert [p for p, _ in policy.tables_block] == [TablePattern("shop", "salaries")]
    assert [c for c, _ in policy.columns_block] == [ColumnName("shop", "payments", "card_number")]
    assert [(r.schema, r.table, r.expression) for r in policy.rows] == [
        ("shop", "customers", "tenant_id = {tenant_id}")
    ]
    assert [(str(m.column), m.mask) for m in policy.masks] == [
        ("shop.customers.email", MaskSpec("email")),
        ("shop.employees.email", MaskSpec("email")),
        ("shop.customers.phone", MaskSpec("partial", (("keep_last", 4),))),
    ]
    assert policy.functions_allow == ("shop.safe_report",)
    assert (policy.limits.rows, policy.limits.runtime_s) == (100_000, 30.0)
    assert [one.prices for one in policies.prices.lists] == [Prices(0.0005, 0.05, 0.01, "EUR")]


def test_rules_know_their_names_and_places() -> None:
    (policy,) = load(DESIGN, ADA_SCRAM=VERIFIER).policies
    rules = [
        policy.statements_rule,
        policy.tables_allow_rule,
        policy.tables_block[0][1],
        policy.columns_block[0][1],
        policy.rows[0].rule,
        policy.masks[1].rule,
        policy.masks[2].rule,
        policy.functions_allow_rule,
        policy.limits.rows_rule,
        policy.limits.runtime_rule,
    ]
    assert [f"{rule} {rule.source}" for rule in rules if rule] == [
        "analysts/statements a.yaml:12:17",
        "analysts/tables.allow a.yaml:13:21",
        "analysts/tables.block[0] a.yaml:13:41",
        "analysts/columns.block[0] a.yaml:14:23",
        "analysts/rows[0] a.yaml:16:9",
        "analysts/masks[0] a.yaml:18:9",
        "analysts/masks[1] a.yaml:19:9",
        "analysts/functions.allow a.yaml:20:24",
        "analysts/limits.rows a.yaml:21:20",
        "analysts/limits.runtime a.yaml:21:37",
    ]


def test_absent_parts_are_no_opinion_and_empty_ones_allow_nothing() -> None:
    (absent,) = load(FRAME).policies
    assert (absent.statements, absent.tables_allow, absent.functions_allow) == (None, None, None)
    assert absent.database == "*"
    (empty,) = load(FRAME + "    statements: []\n    tables: {allow: []}\n    functions: {allow: []}\n").policies
    assert (empty.statements, empty.tables_allow, empty.functions_allow) == (frozenset(), (), ())


@pytest.mark.parametrize("kind", list(Statement))
def test_every_statement_name_is_accepted(kind: Statement) -> None:
    assert load(FRAME + f"    statements: [{kind}]\n").policies[0].statements == {kind}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("30s", 30), ("5m", 300), ("5min", 300), ("1h", 3600), ("2147483647ms", 2147483.647)],
)
def test_runtime(text: str, seconds: float) -> None:
    assert load(FRAME + f"    limits: {{runtime: {text}}}\n").policies[0].limits.runtime_s == seconds


def test_except_may_stand_beside_subjects_or_inside() -> None:
    beside = load(FRAME.replace("{users: [ada]}", "{any: true}\n    except: {users: [ada]}")).policies[0]
    inside = load(FRAME.replace("{users: [ada]}", "{any: true, except: {users: [ada]}}")).policies[0]
    assert beside.except_ == inside.except_
    assert beside.except_ is not None
    assert beside.except_.users == ("ada",)
    assert beside.subjects == inside.subjects


# What is appended to FRAME, where the problem is, and words that must be in its message.
FAULTY_PARTS = [
    ("    statments: [select]", "7:5", "unknown key 'statments' in a policy; did you mean 'statements'?"),
    ("    statements: select", "7:17", "must be a list, not text"),
    ("    statements: [selct]", "7:18", "unknown statement 'selct'; did you mean 'select'?"),
    ("    statements: [SELECT]", "7:18", "unknown statement 'SELECT'"),
    ("    statements: [select, select]", "7:26", "'select' stands twice in 'statements'"),
    ("    statements: [1]", "7:18", "must be text, not the number 1"),
    ("    statements:", "7:16", "must be a list, not nothing"),
    ("    tables: [shop.a]", "7:13", "must be a mapping (allow, block), not a list"),
    ("    tables: {alow: []}", "7:14", "unknown key 'alow' in 'tables'; did you mean 'allow'?"),
    ("    tables: {allow: [customers]}", "7:22", "'customers' has 1 part: write schema.table"),
    ("    tables: {allow: ['*']}", "7:22", "'*' has 1 part"),
    ("    tables: {allow: [a.b.c]}", "7:22", "has 3 parts"),
    ("    tables: {block: ['shop.cust*']}", "7:22", "is no name"),
    ("    tables: {block: ['shop.my-table']}", "7:22", "is no name"),
    ("    tables: {block: ['shop.\"open']}", "7:22", "is no name"),
    ("    tables: {block: [shop.]}", "7:22", "is no name"),
    ("    tables: {block: ['shop.\"*\"']}", "7:22", "quoted asterisk"),
    (f"    tables: {{block: [s.{'x' * 64}]}}", "7:22", "at most 63 bytes"),
    ("    columns: {block: [shop.customers]}", "7:23", "has 2 parts: write schema.table.column"),
    ("    columns: {block: ['shop.customers.*']}", "7:23", "no wildcard here"),
    ("    columns: {allow: [a.b.c]}", "7:15", "unknown key 'allow' in 'columns'"),
    ("    functions: {allow: ['*.f']}", "7:25", "the schema of a function can't be a wildcard"),
    ("    functions: {allow: [f]}", "7:25", "has 1 part"),
    ("    functions: {block: [a.b]}", "7:17", "unknown key 'block' in 'functions'"),
    ("    rows: {table: a.b}", "7:11", "must be a list, not a mapping"),
    ("    rows:\n      - {table: a.b}", "8:9", "an entry of 'rows' needs 'filter'"),
    ("    rows:\n      - {filter: x = 1}", "8:9", "an entry of 'rows' needs 'table'"),
    ("    rows:\n      - {table: 'shop.*', filter: x = 1}", "8:17", "no wildcard here"),
    ("    rows:\n      - {table: a.b, filter: 'x = (1'}", "8:30", "the expression can't be used"),
    ("    rows:\n      - {table: a.b, filter: 'x = 1; drop table t'}", "8:30", "can't be used"),
    ("    rows:\n      - {table: a.b, filter: ''}", "8:30", "'filter' is empty"),
    ("    rows:\n      - {table: a.b, filter: true}", "8:30", "must be text, not the truth value true"),
    (
        "    rows:\n      - {table: a.b, filter: 'x = {region}'}",
        "8:30",
        "attribute 'region' is needed here, but 'ada' lacks it",
    ),
    (
        "    rows:\n      - {table: a.b, filter: \"x = '{tenant_id}'\"}",
        "8:30",
        "'{tenant_id}' in quotes is plain text; write {tenant_id} without quotes",
    ),
    ("    masks:\n      - {column: a.b.c}", "8:9", "needs 'mask'"),
    ("    masks:\n      - {mask: {kind: redact}}", "8:9", "needs either 'column' or 'tag'"),
    ("    masks:\n      - {column: a.b.c, tag: t, mask: {kind: redact}}", "8:9", "needs either"),
    ("    masks:\n      - {tag: pii, mask: {kind: redact}}", "8:15", "unknown tag 'pii'"),
    ("    masks:\n      - {column: a.b, mask: {kind: redact}}", "8:18", "has 2 parts"),
    ("    masks:\n      - {column: a.b.c, mask: redact}", "8:31", "must be a mapping such as {kind: redact}"),
    ("    masks:\n      - {column: a.b.c, mask: {}}", "8:31", "'mask' needs 'kind'"),
    ("    masks:\n      - {column: a.b.c, mask: {kind: scramble}}", "8:31", "unknown mask kind 'scramble'"),
    ("    masks:\n      - {column: a.b.c, mask: {kind: partial, last: 4}}", "8:31", "no parameter 'last'"),
    ("    masks:\n      - {column: a.b.c, mask: {kind: truncate, unit: eon}}", "8:31", "must be one of"),
    ("    masks:\n      - {column: a.b.c, mask: {kind: hash, salt: env:SALT}}", "8:50", "'SALT' is not set"),
    ("    masks:\n      - {column: a.b.c, mask: {kind: hash, salt: {}}}", "8:50", "can't be a mapping"),
    (
        "    masks:\n      - {column: a.b.c, mask: {kind: sql, expression: 'left({column}, {n})'}}",
        "8:55",
        "attribute 'n' is needed here, but 'ada' lacks it",
    ),
    (
        "    masks:\n      - {column: a.b.c, mask: {kind: redact}}\n      - {column: A.B.C, mask: {kind: hash}}",
        "9:9",
        "a.b.c is masked twice here (first on line 8)",
    ),
    ("    limits: {rows: 0}", "7:20", "must be a whole number from 1"),
    ("    limits: {rows: -5}", "7:20", "must be a whole number from 1"),
    ("    limits: {rows: 1.5}", "7:20", "not the number 1.5"),
    ("    limits: {rows: true}", "7:20", "not the truth value true"),
    ("    limits: {rows: '100'}", "7:20", "not text"),
    ("    limits: {rows: 9223372036854775808}", "7:20", "must be a whole number"),
    ("    limits: {runtime: 30}", "7:23", "a time with its unit"),
    ("    limits: {runtime: 0s}", "7:23", "a time with its unit"),
    ("    limits: {runtime: -1s}", "7:23", "a time with its unit"),
    ("    limits: {runtime: 25d}", "7:23", "a time with its unit"),
    ("    limits: {runtime: 2147483648ms}", "7:23", "below 24 days"),
    ("    limits: {row: 8}", "7:14", "unknown key 'row' in 'limits'; did you mean 'rows'?"),
    ("    database: shp", "7:15", "unknown database 'shp'; did you mean 'shop'?"),
    ("    name: q", "7:5", "the key 'name' is given twice (first on line 5)"),
    ("  - subjects: {any: true}", "7:5", "a policy needs 'name'"),
    ("  - name: q", "7:5", "a policy needs 'subjects'"),
    ("  - {name: p, subjects: {any: true}}", "7:5", "policy 'p' is defined twice (first at a.yaml:5:5)"),
    ("  - {name: a/b, subjects: {any: true}}", "7:12", "can't name a policy"),
    ("  - {name: pgwarden, subjects: {any: true}}", "7:12", "can't name a policy"),
    ("  - {name: q, subjects: {}}", "7:25", "'subjects' names nobody"),
    ("  - {name: q, subjects: {any: false}}", "7:25", "'subjects' names nobody"),
    ("  - {name: q, subjects: {users: []}}", "7:25", "'subjects' names nobody"),
    ("  - {name: q, subjects: {any: 'yes'}}", "7:31", "must be true or false, not text"),
    ("  - {name: q, subjects: {user: [ada]}}", "7:26", "unknown key 'user' in 'subjects'"),
    ("  - {name: q, subjects: {users: [adda]}}", "7:34", "no principal has user 'adda'; did you mean 'ada'?"),
    ("  - {name: q, subjects: {roles: [analist]}}", "7:34", "no principal has role 'analist'"),
    ("  - {name: q, subjects: {teams: [x]}}", "7:34", "no principal has team 'x'"),
    ("  - {name: q, subjects: {tenants: [acne]}}", "7:36", "did you mean 'acme'?"),
    ("  - {name: q, subjects: {any: true}, except: {users: [x]}}", "7:55", "no principal has user 'x'"),
    ("  - just text", "7:5", "a policy must be a mapping"),
    ("budgets: {}", "7:10", "must be a list"),
    ("polices: []", "7:1", "unknown key 'polices' in a policy file; did you mean 'policies'?"),
    ("tags: [a]", "7:7", "must be a mapping of tags to lists of columns"),
    ("tags: {a: [x.y]}", "7:12", "has 2 parts"),
    ("tags: {a: [x.y.z, X.Y.Z]}", "7:19", "stands twice in tag 'a'"),
    ("prices: {per_second: -1}", "7:22", "must be a number from 0 up"),
    ("prices: {per_hour: 1}", "7:10", "unknown key 'per_hour' in 'prices'"),
    ("prices: {currency: dollars}", "7:20", "three capital letters"),
    ("prices: {per_second: .inf}", "7:22", "no plain decimal number"),
]


@pytest.mark.parametrize(("part", "place", "words"), FAULTY_PARTS, ids=[p[0].strip()[:50] for p in FAULTY_PARTS])
def test_a_faulty_part_is_named_with_its_place(part: str, place: str, words: str) -> None:
    (problem,) = problems(FRAME + part + "\n")
    assert problem.startswith(f"a.yaml:{place}: ")
    assert words in problem


# A principal, the column of the problem in line 2, and words of the message.
FAULTY_PRINCIPALS = [
    ("{tenant: a}", 3, "a principal needs 'user'"),
    ("{user: }", 9, "must be text, not nothing"),
    ("{user: 5}", 10, "must be text, not the number 5; put it in quotes"),
    ("{user: ''}", 10, "'user' is empty"),
    ("{user: ' ada'}", 10, "without spaces around"),
    ('{user: "a\\x07b"}', 10, "must be printable"),
    (f"{{user: {'u' * 64}}}", 10, "63 bytes at most"),
    ("{user: a, tenant: no}", 21, "no means a truth value in YAML"),
    ("{user: a, tennant: x}", 13, "did you mean 'tenant'?"),
    ("{user: a, roles: analyst}", 20, "must be a list"),
    ("{user: a, roles: [x, x]}", 24, "stands twice"),
    ("{user: a, attributes: [x]}", 25, "must be a mapping of names to values"),
    ("{user: a, attributes: {a-b: 1}}", 26, "can't name an attribute"),
    ("{user: a, attributes: {column: 1}}", 26, "can't name an attribute"),
    ("{user: a, attributes: {x: null}}", 29, "attribute 'x' must be text, a number"),
    ("{user: a, attributes: {x: {y: 1}}}", 29, "attribute 'x' must be text, a number"),
    ("{user: a, attributes: {x: [1, a]}}", 29, "a list of texts, of numbers or of truth values"),
    ("{user: a, attributes: {x: [1, true]}}", 29, "a list of texts, of numbers or of truth values"),
    ("{user: a, attributes: {x: [[1]]}}", 29, "a list of texts, of numbers or of truth values"),
    ("{user: a, attributes: {x: 010}}", 29, "no plain decimal number"),
    ("{user: a, attributes: {x: 12:30}}", 29, "no plain decimal number"),
    ("{user: a, attributes: {x: 2024-01-01}}", 29, "is a date in YAML"),
    ("{user: a, attributes: {x: .nan}}", 29, "no plain decimal number"),
    ('{user: a, attributes: {x: "a\\0b"}}', 29, "can't store"),
    ("{user: a, auth: {}}", 19, "'auth' needs 'scram'"),
    ("{user: a, auth: {password: x}}", 20, "unknown key 'password' in 'auth'"),
    ("{user: a, auth: {scram: secret}}", 27, "'scram' is no verifier"),
    ("{user: a, auth: {scram: env:NOWHERE}}", 27, "the environment variable 'NOWHERE' is not set"),
    ("{user: a, auth: {scram: env:WRONG}}", 27, "'scram' is no verifier"),
]


@pytest.mark.parametrize(("principal", "column", "words"), FAULTY_PRINCIPALS)
def test_a_faulty_principal_is_named_with_its_place(principal: str, column: int, words: str) -> None:
    found = problems(f"principals:\n- {principal}\n", WRONG="hunter2")
    assert any(p.startswith(f"a.yaml:2:{column}: ") and words in p for p in found), found
    assert not any("hunter2" in p for p in found), "a secret is never quoted"


@pytest.mark.parametrize(
    "verifier",
    [
        "SCRAM-SHA-256$0:c2FsdA==$" + VERIFIER.split("$", 2)[2],
        "SCRAM-SHA-1$4096:c2FsdA==$" + VERIFIER.split("$", 2)[2],
        f"SCRAM-SHA-256$4096:c2FsdA==${_b64(b'k', 31)}:{_b64(b'v', 32)}",
        f"SCRAM-SHA-256$4096:c2FsdA==${_b64(b'k', 32)}",
        f"SCRAM-SHA-256$4096:??==${_b64(b'k', 32)}:{_b64(b'v', 32)}",
        VERIFIER + "\n",
    ],
)
def test_verifiers_that_could_never_match_are_refused(verifier: str) -> None:
    (problem,) = problems("principals: [{user: a, auth: {scram: env:V}}]", V=verifier)
    assert problem.startswith("a.yaml:1:38: 'scram' is no verifier")


def test_all_problems_come_at_once_in_order() -> None:
    text = FRAME.replace("subjects:", "subject:") + "    limits: {rows: 0}\nfoo: 1\n"
    found = problems(text)
    assert [p.split(": ")[0] for p in found] == ["a.yaml:5:5", "a.yaml:6:5", "a.yaml:7:20", "a.yaml:8:1"]


def test_a_lacking_attribute_counts_only_for_principals_that_the_policy_is_for() -> None:
    rows = "    rows:\n      - {table: a.b, filter: 'x = {regions}'}\n"
    only_bob = DESIGN.replace("{roles: [analyst]}", "{users: [bob]}")
    only_bob = only_bob.replace("tenant_id = {tenant_id}", "region = any({regions})")
    assert load(only_bob, ADA_SCRAM=VERIFIER).policies[0].rows[0].expression == "region = any({regions})"
    excepted = FRAME.replace("{users: [ada]}", "{any: true}\n    except: {users: [ada]}") + rows
    assert load(excepted).policies[0].rows[0].expression == "x = {regions}"


def test_many_users_lacking_an_attribute_are_counted() -> None:
    users = "".join(f"  - {{user: u{i}}}\n" for i in range(8))
    text = f"principals:\n{users}policies:\n  - name: p\n    subjects: {{any: true}}\n"
    (problem,) = problems(text + "    rows: [{table: a.b, filter: 'x = {t}'}]\n")
    assert "'u0', 'u1', 'u2', 'u3', 'u4' and 3 more lack it" in problem


def test_an_array_literal_is_no_quoted_attribute() -> None:
    assert load(FRAME + "    rows: [{table: a.b, filter: \"regions && '{eu}'\"}]\n").policies[0].rows


def test_an_attribute_with_quotes_loads_as_it_is() -> None:
    quoted = FRAME.replace("{tenant_id: 1}", '{tenant_id: "o\'b\\"; --"}')
    policies = load(quoted + "    rows: [{table: a.b, filter: 'x = {tenant_id}'}]\n")
    assert policies.principals["ada"].attributes["tenant_id"] == "o'b\"; --"


def test_a_salt_may_come_from_the_environment() -> None:
    text = FRAME + "    masks: [{column: a.b.c, mask: {kind: hash, salt: env:SALT}}]\n"
    assert load(text, SALT="pepper").policies[0].masks[0].mask.get("salt") == "pepper"


def test_a_key_comes_from_outside_and_is_never_shown(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "token").write_text("0123456789abcdef\n")
    mask = "{kind: token, key: file:keys/token}"
    (tmp_path / "a.yaml").write_text(f"{FRAME}    masks: [{{column: a.b.c, mask: {mask}}}]\n")
    policies = load_folder(tmp_path, {})
    assert policies.policies[0].masks[0].mask.get("key") == "0123456789abcdef"
    assert "0123456789abcdef" not in repr(policies)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("0123456789abcdef", "a key has no place in a policy file"),
        ("env:NOT_SET", "the environment variable 'NOT_SET' is not set"),
        ("file:nowhere", "the file 'nowhere' can't be read"),
        ("env:SHORT", "at least 16 characters"),
    ],
)
def test_a_key_that_cant_be_used_is_named_but_not_shown(key: str, words: str) -> None:
    (problem,) = problems(
        FRAME + f"    masks: [{{column: a.b.c, mask: {{kind: token, key: '{key}'}}}}]\n", SHORT="hush"
    )
    assert words in problem
    assert "hush" not in problem
    assert "0123456789" not in problem


def test_uses_of_real_values_are_read() -> None:
    use = "use: {equality: raw, join: masked, group: raw}, probes_per_hour: 30"
    (rule,) = load(FRAME + f"    masks: [{{column: a.b.c, mask: {{kind: redact}}, {use}}}]\n").policies[0].masks
    assert (rule.uses, rule.probes_per_hour) == ({RawUse.EQUALITY, RawUse.GROUP}, 30)


@pytest.mark.parametrize(
    ("written", "at", "words"),
    [
        (
            "mask: {kind: redact}, use: {equals: raw}",
            "equals",
            "unknown key 'equals' in 'use'; did you mean 'equality'?",
        ),
        ("mask: {kind: redact}, use: {join: yes}", "yes", "yes means a truth value in YAML"),
        ("mask: {kind: redact}, use: {join: Raw}", "Raw", "'join' in 'use' must be raw or masked"),
        ("mask: {kind: redact}, use: raw", "raw}", "'use' must be a mapping (equality, join, group)"),
        ("mask: {kind: sql, expression: 'left({column}, 1)'}, use: {join: raw}", "{join", "sql doesn't"),
        ("mask: {kind: truncate, unit: year}, use: {join: raw}", "{join", "truncate doesn't"),
        ("mask: {kind: redact}, probes_per_hour: 3", "{column", "counts what 'use' allows, and there is none"),
        ("mask: {kind: redact}, use: {join: raw}, probes_per_hour: 0", "0}", "whole number from 1 to"),
    ],
)
def test_a_faulty_use_is_named_with_its_place(written: str, at: str, words: str) -> None:
    line = f"    masks: [{{column: a.b.c, {written}}}]"
    (problem,) = problems(f"{FRAME}{line}\n")
    assert problem.startswith(f"a.yaml:7:{line.index(at) + 1}: "), problem
    assert words in problem


def test_names_across_files_must_differ_and_say_where_the_first_stands() -> None:
    files = {
        "b.yaml": b"principals: [{user: ada}]\ntags: {t: [a.b.c]}\nprices: {per_second: 1}\n",
        "a.yaml": b"principals: [{user: ada}]\ntags: {t: [a.b.c]}\nprices: {per_second: 1}\n",
    }
    with pytest.raises(PolicyFileError) as caught:
        load_texts(files, {})
    assert str(caught.value).splitlines() == [
        "b.yaml:1:14: user 'ada' is defined twice (first at a.yaml:1:14)",
        "b.yaml:2:8: tag 't' is defined twice (first at a.yaml:2:8)",
        "b.yaml:3:9: prices are given twice (first at a.yaml:3:9)",
    ]


def test_policies_may_refer_to_what_other_files_define() -> None:
    files = {
        "1.yaml": b"policies: [{name: p, subjects: {users: [ada]}, masks: [{tag: t, mask: {kind: redact}}]}]",
        "2.yaml": b"principals: [{user: ada}]\ntags: {t: [a.b.c]}",
        "3.yaml": b"# nothing yet\n",
        "4.yaml": b"policies:\n  # - name: later\n",
    }
    policies = load_texts(files, {})
    assert str(policies.policies[0].masks[0].column) == "a.b.c"


class TestFingerprint:
    def test_doesnt_depend_on_formatting_comments_or_files(self) -> None:
        block = DESIGN.replace("{roles: [analyst]}", "\n      roles:\n        - analyst").replace(
            "tags:", "# a comment\n\ntags:"
        )
        principals, rest = DESIGN.split("tags:")
        split = load_texts({"x.yml": principals.encode(), "y.yml": b"tags:" + rest.encode()}, {"ADA_SCRAM": VERIFIER})
        fingerprints = {
            load(DESIGN, ADA_SCRAM=VERIFIER).fingerprint,
            load(block, ADA_SCRAM=VERIFIER).fingerprint,
            split.fingerprint,
        }
        assert len(fingerprints) == 1
        assert len(fingerprints.pop()) == 64

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("tenant_id: 1}", "tenant_id: 3}"),
            ("tenant_id: 1}", "tenant_id: '1'}"),
            ("tenant_id: 1}", "tenant_id: true}"),
            ("team: finance", "team: sales"),
            ("roles: [analyst], a", "roles: [analyst, boss], a"),
            ("database: shop", "database: '*'"),
            ("[select, copy_to]", "[select]"),
            ('["shop.*"]', '["*.*"]'),
            ("block: [shop.salaries]", "block: [shop.salary]"),
            ("card_number", "card"),
            ("tenant_id = {tenant_id}", "tenant_id  = {tenant_id}"),
            ("keep_last: 4", "keep_last: 3"),
            ("kind: email", "kind: redact"),
            ("safe_report", "report"),
            ("rows: 100000", "rows: 100001"),
            ("30s", "31s"),
            ("0.05,", "0.06,"),
            ("name: analysts", "name: analysts2"),
        ],
    )
    def test_depends_on_the_content(self, old: str, new: str) -> None:
        assert old in DESIGN
        changed = load(DESIGN.replace(old, new, 1), ADA_SCRAM=VERIFIER)
        assert changed.fingerprint != load(DESIGN, ADA_SCRAM=VERIFIER).fingerprint

    def test_equal_times_are_equal(self) -> None:
        same = DESIGN.replace("30s", "30000ms")
        assert load(same, ADA_SCRAM=VERIFIER).fingerprint == load(DESIGN, ADA_SCRAM=VERIFIER).fingerprint


class TestFolder:
    def test_reads_yaml_files_in_order_and_leaves_others_and_dot_files_out(self, tmp_path: Path) -> None:
        (tmp_path / "b.yml").write_text("principals: [{user: bob}]")
        (tmp_path / "a.yaml").write_text("principals: [{user: ada}]")
        (tmp_path / "README.md").write_text("no: [yaml")
        (tmp_path / ".swap.yaml").write_text("no: [yaml")
        (tmp_path / "..data").mkdir()
        (tmp_path / "..data" / "a.yaml").write_text("no: [yaml")
        (tmp_path / "docs").mkdir()
        (tmp_path / "docs" / "notes.txt").write_text("no: [yaml")
        assert list(load_folder(tmp_path, {}).principals) == ["ada", "bob"]

    def test_a_subfolder_with_policies_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_text("principals: [{user: ada}]")
        (tmp_path / "more").mkdir()
        (tmp_path / "more" / "b.yaml").write_text("")
        with pytest.raises(PolicyFileError, match="more/:1:1: policy files in a subfolder are not read"):
            load_folder(tmp_path, {})

    def test_a_missing_folder(self, tmp_path: Path) -> None:
        with pytest.raises(PolicyFileError, match="nowhere:1:1: can't be read: No such file"):
            load_folder(tmp_path / "nowhere", {})

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        with pytest.raises(PolicyFileError, match="the folder holds no policy files"):
            load_folder(tmp_path, {})

    def test_a_file_instead_of_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_text("")
        with pytest.raises(PolicyFileError, match="a.yaml:1:1: can't be read: Not a directory"):
            load_folder(tmp_path / "a.yaml", {})

    def test_a_dangling_link_is_an_error_beside_other_problems(self, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").symlink_to(tmp_path / "gone")
        (tmp_path / "b.yaml").write_text("foo: 1")
        with pytest.raises(PolicyFileError) as caught:
            load_folder(tmp_path, {})
        assert [p.source.file for p in caught.value.problems] == ["a.yaml", "b.yaml"]

    def test_no_path_of_the_machine_is_in_a_place(self, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_text(FRAME)
        assert load_folder(tmp_path, {}).policies[0].source.file == "a.yaml"


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "policies: []\n", "principals: []\n"])
def test_a_folder_without_principals_is_refused(tmp_path: Path, text: str) -> None:
    """A file that is being written anew is empty for a moment; that must not end every session."""
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(PolicyFileError, match="nobody could log in"):
        load_folder(tmp_path, {})


@pytest.mark.parametrize(
    ("patterns", "name", "is_believed"),
    [
        ("[]", "ana", False),
        ("[ana]", "ana", True),
        ("[ana]", "anna", False),
        ('["*"]', "", True),
        ('["*@acme.com", bob]', "ana@acme.com", True),
        ('["*@acme.com", bob]', "ana@acme.com.evil", False),
        ('["a*a"]', "a", False),
        ('["a*b*c"]', "aXbYc", True),
        ('["a*b*b"]', "ab", False),
        ('["[a-z].?"]', "[a-z].?", True),
        ('["[a-z].?"]', "b.x", False),
    ],
)
def test_a_principal_may_speak_for_those_it_names(patterns: str, name: str, is_believed: bool) -> None:
    found = load(f"principals: [{{user: metabase, speaks_for: {patterns}}}]")
    assert found.principals["metabase"].may_speak_for(name) is is_believed


@pytest.mark.parametrize("written", ["any", "{a: b}", "[[a]]", "[a, a]"])
def test_whom_a_principal_speaks_for_is_a_list_of_names(written: str) -> None:
    (problem,) = problems(f"principals: [{{user: metabase, speaks_for: {written}}}]")
    assert "speaks_for" in problem
    assert problem.startswith("a.yaml:1:")
