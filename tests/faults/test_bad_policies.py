"""Policy files that are wrong, and good edits under open sessions."""

from __future__ import annotations

import re

import psycopg
import pytest
from psycopg import errors

from tests.faults.test_bad_input import ask
from tests.fix_pgwarden import POLICIES, MakePgwarden, until


def test_a_typo_while_running_keeps_the_last_good_set(make_pgwarden: MakePgwarden) -> None:
    pgwarden = make_pgwarden()
    text = POLICIES.read_text("utf-8")
    fingerprint = pgwarden.get("/version")[1]
    for number, bad in enumerate(
        (
            text.replace("tables: {allow", "tabels: {allow", 1),
            text.replace('filter: "tenant_id', 'filter: "tenent_id', 1),
            text + "\n  - [unclosed",
            text.replace("{tenant_id}", "{tenant}", 1),
        ),
        start=1,
    ):
        pgwarden.write_policies(bad)
        failed = 'pgwarden_policy_loads_total{outcome="failed"}'
        until(lambda: pgwarden.metric(failed) >= number, f"refusal {number}")  # noqa: B023
        assert ask(pgwarden, "SELECT count(*) FROM shop.customers", "ada") == 2224
        assert not pgwarden.readiness()[0]
    assert pgwarden.get("/version")[1] == fingerprint
    told = [entry["message"] for entry in pgwarden.log_entries() if entry["level"] == "error"]
    assert any(re.search(r"policies\.yaml:\d+:\d+: .*tabels", line) for line in told), told
    assert any("tenent_id" in line for line in told), told
    pgwarden.write_policies(text)
    until(lambda: pgwarden.readiness()[0], "readiness")


def test_a_typo_at_the_start_is_told_with_its_place(make_pgwarden: MakePgwarden) -> None:
    pgwarden = make_pgwarden(policies="principals: []\npolicy: []\n", is_started=False)
    pgwarden.write_configuration()
    done = pgwarden.run("serve")
    assert done.returncode != 0
    assert re.search(r"policies\.yaml:2:1: ", done.stderr), done.stderr
    assert "Traceback" not in done.stderr


def test_a_good_edit_counts_from_the_next_statement_of_open_sessions(make_pgwarden: MakePgwarden) -> None:
    pgwarden = make_pgwarden()
    text = POLICIES.read_text("utf-8")
    sql = "SELECT email FROM shop.customers WHERE id = 1"
    with (
        psycopg.connect(pgwarden.dsn("ada"), autocommit=True, prepare_threshold=0) as prepared,
        psycopg.connect(pgwarden.dsn("ada"), autocommit=True, prepare_threshold=None) as plain,
    ):
        sessions = (prepared, plain)
        for _ in range(2):
            assert {session.execute(sql).fetchone() for session in sessions} == {("g***@example.org",)}

        def load(changed: str) -> None:
            before = pgwarden.get("/version")[1]
            pgwarden.write_policies(changed)
            until(lambda: pgwarden.get("/version")[1] != before, "the edit")

        load(text.replace("{tag: pii.email, mask: {kind: email}}", "{tag: pii.email, mask: {kind: redact}}"))
        assert {session.execute(sql).fetchone() for session in sessions} == {("REDACTED",)}
        load(text.replace("block: [shop.salaries]", "block: [shop.salaries, shop.customers]"))
        for session in sessions:
            with pytest.raises(errors.InsufficientPrivilege):
                session.execute(sql)
        load(text.replace("      - {tag: pii.email, mask: {kind: email}}\n", ""))
        (seen,) = {session.execute(sql).fetchone() for session in sessions}
        assert seen is not None
        assert "***" not in seen[0]
        load(text.replace('filter: "tenant_id = {tenant_id}"', 'filter: "tenant_id = {tenant_id} AND id > 1"', 1))
        assert {session.execute(sql).fetchone() for session in sessions} == {None}
        load(text.replace("user: ada,", "user: eve,"))
        for session in sessions:
            with pytest.raises(psycopg.OperationalError):
                session.execute(sql)


def test_the_records_say_what_an_edit_changed_and_who_made_it(make_pgwarden: MakePgwarden) -> None:
    pgwarden = make_pgwarden()
    text = POLICIES.read_text("utf-8")
    pgwarden.write_policies(text.replace("name: trainees", "name: beginners"))
    change = "policies: 1 new (beginners), 1 gone (trainees)"
    loads = until(lambda: pgwarden.records("shape = 'policy_load' AND strpos(sql_text, %s) > 0", change), "the record")
    assert "files of " in loads[0]["sql_text"]
    pgwarden.write_policies("nonsense: 1\n")
    until(lambda: pgwarden.records("shape = 'policy_load' AND decision = 'deny'"), "the refusal's record")
