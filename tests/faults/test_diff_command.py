"""`pgwarden diff` on a running pgwarden's own records, and on files that are no records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.fix_pgwarden import Pgwarden, policy_text, run_pgwarden
from tests.fix_servers import TestServer


@pytest.fixture(scope="module")
def asked(server18: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pgwarden]:
    """A pgwarden that has seen some statements of ada's."""
    with run_pgwarden(tmp_path_factory.mktemp("asked"), server18) as pgwarden:
        with psycopg.connect(pgwarden.dsn("ada"), autocommit=True) as connection:
            connection.execute("SELECT email FROM shop.customers LIMIT 1")
            connection.execute("SELECT count(*) FROM shop.orders")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("SELECT * FROM shop.salaries")
        pgwarden.records_of("FROM shop.orders")
        yield pgwarden


def folder_with(tmp_path: Path, *edits: tuple[str, str]) -> str:
    text = policy_text()
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "next").mkdir()
    (tmp_path / "next" / "policies.yaml").write_text(text)
    return str(tmp_path / "next")


def config_of(pgwarden: Pgwarden) -> tuple[str, str]:
    return "--config", str(pgwarden.config_file)


def test_the_store_is_replayed_under_both_folders(asked: Pgwarden, tmp_path: Path) -> None:
    new = folder_with(
        tmp_path,
        ("      - {tag: pii.email, mask: {kind: email}}\n", ""),
        ("block: [shop.salaries]", "block: [shop.orders]"),
    )
    result = asked.run("diff", str(asked.policy_folder), new, *config_of(asked), "--json", "--fail-on", "opened")
    assert result.returncode == 3, result.stderr
    found = {(c["user"], c["kind"], c["is_opening"]) for c in json.loads(result.stdout)["changes"]}
    assert ("ada", "unmasked", True) in found
    assert ("ada", "newly refused", False) in found
    assert ("ada", "newly allowed", True) in found
    text = asked.run("diff", str(asked.policy_folder), new, *config_of(asked)).stdout
    assert " !unmasked: shop.customers.email  [1 on shop]\n      SELECT email FROM shop.customers LIMIT 1" in text


def test_equal_folders_change_nothing(asked: Pgwarden) -> None:
    folder = str(asked.policy_folder)
    result = asked.run("diff", folder, folder, *config_of(asked), "--fail-on", "any")
    assert result.returncode == 0, result.stderr
    count, _, rest = result.stdout.partition(" ")
    assert int(count) >= 3
    assert rest == f"statements, {count} as before\n"


def test_a_file_of_statements(asked: Pgwarden, tmp_path: Path) -> None:
    lines = asked.run("audit", "query", *config_of(asked), "--user", "ada", "--json").stdout
    (tmp_path / "asked.jsonl").write_text(lines)
    new = folder_with(tmp_path, ('      - {table: shop.orders, filter: "tenant_id = {tenant_id}"}\n', ""))
    arguments = ("--statements", str(tmp_path / "asked.jsonl"), "--fail-on", "refused")
    result = asked.run("diff", str(asked.policy_folder), new, *config_of(asked), *arguments)
    assert result.returncode == 0, result.stderr
    assert "!unfiltered: shop.orders: tenant_id = {tenant_id}" in result.stdout


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("nonsense", "asked.jsonl:1"),
        ('{"user": "ada"}', '"sql_text"'),
        ("[1]", "JSON object"),
        ('{"user": "ada", "database": "shop", "sql_text": "\\ud800"}', "JSON object"),
    ],
)
def test_a_file_that_is_none(asked: Pgwarden, tmp_path: Path, line: str, told: str) -> None:
    (tmp_path / "asked.jsonl").write_text(line)
    folder = str(asked.policy_folder)
    statements = ("--statements", str(tmp_path / "asked.jsonl"))
    result = asked.run("diff", folder, folder, *config_of(asked), *statements)
    assert result.returncode == 1
    assert told in result.stderr


def test_a_folder_with_errors_says_where(asked: Pgwarden, tmp_path: Path) -> None:
    new = folder_with(tmp_path, ("statements: [all]", "statements: [al]"))
    result = asked.run("diff", str(asked.policy_folder), new, *config_of(asked))
    assert result.returncode == 3
    assert "policies.yaml:" in result.stderr


def test_digests_and_unknown_databases_are_left_out_aloud(asked: Pgwarden, tmp_path: Path) -> None:
    rows = [
        {"user": "ada", "database": "shop", "sql_text": "sha256:00"},
        {"user": "ada", "database": "shop", "sql_text": "SELECT name FROM shop.customers WHERE id = ?"},
        {"user": "ada", "database": "else\x1b[31mwhere", "sql_text": "SELECT 1"},
        {"user": "ada", "database": "shop", "sql_text": "SELECT 1", "stage": "outcome"},
    ]
    (tmp_path / "asked.jsonl").write_text("\n".join(map(json.dumps, rows)))
    folder = str(asked.policy_folder)
    result = asked.run("diff", folder, folder, *config_of(asked), "--statements", str(tmp_path / "asked.jsonl"))
    assert (result.returncode, result.stdout) == (0, "0 statements, 0 as before\n")
    assert "2 records hold no whole text" in result.stderr
    assert "else\\x1b[31mwhere" in result.stderr


def test_each_statement_is_held_against_its_own_time_and_address(asked: Pgwarden, tmp_path: Path) -> None:
    when = '    when: {cidr: 10.0.0.0/8, hours: "09:00-17:00"}\n    subjects: {roles: [analyst]}\n'
    new = folder_with(tmp_path, ("    subjects: {roles: [analyst]}\n", when))
    places = [("2026-03-02T12:00:00Z", "10.1.2.3"), ("2026-03-02T20:00:00Z", "10.1.2.3"), ("2026-03-02T12:00:00Z", "")]
    rows = [
        {
            "user": "ada",
            "database": "shop",
            "sql_text": "SELECT id FROM shop.orders",
            "at": at,
            "client_address": address,
        }
        for at, address in places
    ]
    (tmp_path / "asked.jsonl").write_text("\n".join(map(json.dumps, rows)))
    result = asked.run(
        "diff", str(asked.policy_folder), new, *config_of(asked), "--statements", str(tmp_path / "asked.jsonl")
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("3 statements, 1 as before\n")
    assert "newly refused" in result.stdout
    assert "[2 on shop]" in result.stdout
