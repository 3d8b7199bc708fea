"""Explanations: who, which rules, what goes upstream, and a caret under what was refused."""

from __future__ import annotations

import json
from dataclasses import replace

from policies.catalog import Catalog, Column, FormerName, Relation
from policies.decision import ColumnMask, Decision, Edit, Plan, Refusal
from policies.explain import explain, explain_data
from policies.load import load_texts
from policies.masks import stream_form
from policies.model import EffectivePolicy, MaskSpec
from policies.resolve import resolve

POLICY = """principals: [{user: ada, tenant: acme, roles: [analyst], attributes: {tenant_id: 77}}]
policies:
  - name: analysts
    database: shop
    subjects: {roles: [analyst]}
    statements: [select]
    tables: {allow: ["shop.*"], block: [shop.salaries]}
    columns: {block: [shop.customers.card]}
    rows: [{table: shop.customers, filter: "tenant_id = {tenant_id}"}]
    masks:
      - {column: shop.customers.email, mask: {kind: redact}}
      - {column: shop.customers.phone, mask: {kind: hash, salt: pepper}}
    limits: {rows: 100, runtime: 30s}
"""
SQL = "SELECT email, upper(phone) FROM customers"
COLUMNS = (Column("email", 1, 25, "text"), Column("phone", 2, 25, "text"))
CATALOG = Catalog(1, "shop", 180000, (Relation(5, "shop", "customers", "r", COLUMNS),), search_path=("shop",))


def policy() -> EffectivePolicy:
    found = resolve(load_texts({"a.yaml": POLICY.encode()}, {}), "ada", "shop")
    assert found is not None
    return found


def rewritten() -> Decision:
    mask = stream_form(MaskSpec("redact"), 25, "text")
    assert mask is not None
    plan = Plan(
        "select",
        SQL,
        is_rewritten=True,
        is_guarded=True,
        column_masks=(ColumnMask(5, 1, 1, mask),),
        masked_columns=("shop.customers.email", "shop.customers.phone"),
        tables=("shop.customers",),
        rule_ids=("analysts/rows[0]",),
    )
    return Decision("SELECT guarded", (plan,), edits=(Edit(32, 41, "x"),))


def refused(position: int) -> Decision:
    refusal = Refusal("42501", "analysts/tables.block[0]", "no", "a.yaml line 7", "ask", position)
    return Decision("", (), refusal)


def test_a_rewritten_statement_with_the_rules_that_made_it() -> None:
    assert explain(rewritten(), policy(), SQL, CATALOG).splitlines() == [
        "user        ada (tenant acme; roles analyst)",
        "database    shop",
        "policies    analysts (a.yaml:3:5)",
        "statements  select  [analysts/statements a.yaml:6:17]",
        "functions   none",
        "limit       rows 100  [analysts/limits.rows a.yaml:13:20]",
        "limit       runtime_s 30.0  [analysts/limits.runtime a.yaml:13:34]",
        "",
        "decision    rewrite",
        "statement   select",
        "  shop.customers: guarded",
        "    only rows where tenant_id = {tenant_id}  [analysts/rows[0] a.yaml:9:12]",
        "    without column card  [analysts/columns.block[0] a.yaml:8:23]",
        "    email masked by redact in the stream  [analysts/masks[0] a.yaml:11:9]",
        "    phone masked by hash (salt: (secret)) at the source  [analysts/masks[1] a.yaml:12:9]",
        "goes upstream",
        "  SELECT guarded",
        "lineage (approximate, by sqlglot)",
        "  email <- shop.customers.email",
        "  _col_1 <- shop.customers.phone",
    ]


def test_a_refusal_points_at_its_place() -> None:
    lines = explain(refused(8), policy(), SQL).splitlines()
    assert lines[lines.index("decision    deny") :] == [
        "decision    deny",
        "refused     42501 by analysts/tables.block[0]",
        "  message: no",
        "  detail:  a.yaml line 7",
        "  hint:    ask",
        "  LINE 1: SELECT email, upper(phone) FROM customers",
        "                 ^",
    ]


def test_the_caret_counts_characters_tabs_and_lines() -> None:
    sql = "SELECT 1,\r\n\té, secret"
    position = sql.index("secret") + 1
    shown, caret = explain(refused(position), policy(), sql).splitlines()[-2:]
    assert shown == "  LINE 2:     é, secret"
    assert shown[caret.index("^") :] == "secret"


def test_a_long_line_is_cut_around_the_place() -> None:
    sql = "SELECT " + "x, " * 200 + "secret" + ", y" * 200
    shown, caret = explain(refused(sql.index("secret") + 1), policy(), sql).splitlines()[-2:]
    assert shown[caret.index("^") :].startswith("secret")
    assert shown.endswith("...")
    assert len(shown) < 130


def test_an_unknown_or_impossible_position_has_no_caret() -> None:
    for position in (0, -1, len(SQL) + 2):
        assert "LINE" not in explain(refused(position), policy(), SQL)


def test_the_end_of_the_text_is_a_place() -> None:
    assert explain(refused(len(SQL) + 1), policy(), SQL).splitlines()[-1].endswith("^")


def test_data_is_json_and_shows_no_secret() -> None:
    for decision in (rewritten(), refused(8)):
        text = json.dumps(explain_data(decision, policy(), SQL, CATALOG))
        assert "pepper" not in text
        assert "77" not in text
    data = explain_data(rewritten(), policy(), SQL, CATALOG)
    assert data["decision"] == "rewrite"
    assert data["plans"][0]["masked_columns"] == [
        {"column": "shop.customers.email", "where": "stream"},
        {"column": "shop.customers.phone", "where": "source"},
    ]
    assert explain_data(refused(8), policy(), SQL)["refusal"]["column"] == 8


def test_without_a_catalog_the_place_of_a_mask_is_left_open() -> None:
    (plan,) = explain_data(rewritten(), policy(), SQL)["plans"]
    assert {entry["where"] for entry in plan["masked_columns"]} == {"stream or source"}


def test_a_mask_in_the_stream_alone_is_a_rewrite() -> None:
    (plan,) = rewritten().plans
    decision = Decision(SQL, (plan,))
    assert explain_data(decision, policy(), SQL)["decision"] == "rewrite"
    assert explain_data(decision, policy(), SQL)["rewritten_sql"] is None


def test_nobody_is_allowed_anything() -> None:
    found = resolve(load_texts({"a.yaml": b"principals: [{user: eve}]"}, {}), "eve", "shop")
    assert found is not None
    text = explain(Decision("SELECT 1", (Plan("select", "SELECT 1"),)), found, "SELECT 1")
    assert "policies    none matches: nothing is allowed" in text
    assert "decision    allow" in text


NARROWER = """principals: [{user: ada}]
policies:
  - {name: base, subjects: {any: true}, statements: {allow: [select], deny: [ddl]}, tables: {allow: ["shop.*"]},
     limits: {bytes: 1kB, concurrent: 2, statements_per_minute: 3}}
  - {name: night, subjects: {any: true}, when: {hours: "22:00-06:00"}, statements: [all]}
  - {name: next, subjects: {any: true}, mode: shadow, tables: {block: [shop.customers]}}
"""


def test_what_is_denied_waits_or_stands_in_the_shadow() -> None:
    found = resolve(load_texts({"a.yaml": NARROWER.encode()}, {}), "ada", "shop")
    assert found is not None
    text = explain(Decision("SELECT 1", (Plan("select", "SELECT 1"),)), found, "SELECT 1", CATALOG, refused(1))
    assert text.splitlines()[2:] == [
        "policies    base (a.yaml:3:5)",
        "waiting     night (a.yaml:5:5): its `when` doesn't hold",
        "statements  select  [base/statements a.yaml:3:61]",
        "denied      ddl  [base/statements.deny[0] a.yaml:3:78]",
        "functions   none",
        "limit       bytes 1000  [base/limits.bytes a.yaml:4:22]",
        "limit       concurrent 2  [base/limits.concurrent a.yaml:4:39]",
        "limit       statements_per_minute 3  [base/limits.statements_per_minute a.yaml:4:65]",
        "",
        "decision    allow",
        "statement   select",
        "shadow      deny, were it enforced: next (a.yaml:6:5)",
        "  refused by analysts/tables.block[0]: no",
        "lineage (approximate, by sqlglot)",
        "  1 <- no column",
    ]


def test_a_lineage_that_sqlglot_cannot_tell_is_said_and_breaks_nothing() -> None:
    for sql in ("VACUUM", "SELECT ((", "SELECT 1; SELECT 2", "TABLE customers)", "\0", "SELECT " + "(" * 500):
        data = explain_data(Decision(sql, (Plan("select", sql),)), policy(), sql, CATALOG)
        assert (data["lineage"], bool(data["lineage_problem"])) == ([], True), sql
        assert "lineage     not known: " in explain(Decision(sql, ()), policy(), sql, CATALOG)
    assert explain_data(rewritten(), policy(), SQL)["lineage"] == []


def test_rules_of_a_name_that_the_table_bore_before_are_told() -> None:
    renamed = Relation(5, "shop", "clients", "r", (Column("mail", 1, 25, "text"),))
    former = FormerName("shop", "customers", {"email": ("mail",)}, frozenset({"email"}))
    catalog = replace(CATALOG, relations=(renamed,), former_names={5: (former,)})
    plan = Plan("select", "SELECT mail FROM clients", tables=("shop.clients",))
    tables = explain_data(Decision("", (plan,)), policy(), "SELECT mail FROM clients", catalog)["plans"][0]["tables"]
    assert [table["table"] for table in tables] == ["shop.clients", "shop.customers"]
    assert [mask["column"] for mask in tables[1]["masks"]] == ["mail", "phone"]
