"""psql of the server's own version: its backslash commands, scripts, \\copy; as administrator and as analyst."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.fix_pgwarden import PATIENCE_S, Pgwarden

SCRIPT_ERROR = 3  # psql's exit code when ON_ERROR_STOP ended a script


def psql(pgwarden: Pgwarden, dsn: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    program = pgwarden.server.embedded.installation.program("psql")
    environment = {**os.environ, "PGTZ": "UTC", "PAGER": "", "PSQLRC": os.devnull}
    return subprocess.run(
        [str(program), "-X", *arguments, dsn],
        input=stdin,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def rows(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    "command",
    [
        r"\d",
        r"\d shop.*",
        r"\dt shop.*",
        r"\d shop.customers",
        r"\d+ shop.customers",
        r"\d+ shop.events",
        r"\d shop.customer_totals",
        r"\di shop.*",
        r"\dn",
        r"\dv shop.*",
        r"\df shop.*",
        r"\dT shop.*",
        r"\dx",
        r"\du",
        r"\l",
        r"\sf shop.safe_report",
        r"\dp shop.customers",
    ],
)
def test_backslash_commands_of_an_administrator_say_what_the_server_says(pgwarden: Pgwarden, command: str) -> None:
    through = psql(pgwarden, pgwarden.dsn(), "-c", command)
    direct = psql(pgwarden, pgwarden.direct_dsn, "-c", command)
    assert (through.stdout, through.stderr, through.returncode) == (direct.stdout, direct.stderr, 0)


def test_a_script_with_several_statements(pgwarden: Pgwarden, tmp_path: Path) -> None:
    script = tmp_path / "script.sql"
    script.write_text(
        "BEGIN; CREATE TEMP TABLE t (a int, b text);\n"
        "INSERT INTO t SELECT g, 'row ' || g FROM generate_series(1, 3) AS g;\n"
        "SELECT * FROM t \\; SELECT count(*) FROM t;\n"
        "\\gset\n\\echo :count\nCOPY t FROM stdin;\n4\tfour\n\\.\nTABLE t;\nROLLBACK;\n"
        "SELECT 1/0;\nSELECT 'after';\n"
    )
    through = psql(pgwarden, pgwarden.dsn(), "-f", str(script))
    direct = psql(pgwarden, pgwarden.direct_dsn, "-f", str(script))
    assert (through.stdout, through.stderr, through.returncode) == (direct.stdout, direct.stderr, direct.returncode)
    assert "4 | four" in through.stdout
    assert "after" in through.stdout


def test_on_error_stop_ends_a_script_at_a_refusal(pgwarden: Pgwarden) -> None:
    text = "SELECT 'before';\nDELETE FROM shop.orders;\nSELECT 'after';\n"
    stopped = psql(pgwarden, pgwarden.dsn("ada"), "-At", "-v", "ON_ERROR_STOP=1", "-f", "-", stdin=text)
    assert (stopped.stdout, stopped.returncode) == ("before\n", SCRIPT_ERROR)
    assert "analysts/statements" in stopped.stderr
    went_on = psql(pgwarden, pgwarden.dsn("ada"), "-At", "-f", "-", stdin=text)
    assert (went_on.stdout, went_on.returncode) == ("before\nafter\n", 0)


def test_copy_to_and_from_files_as_administrator(pgwarden: Pgwarden, tmp_path: Path) -> None:
    written, expected = tmp_path / "through.csv", tmp_path / "direct.csv"
    for dsn, file in ((pgwarden.dsn(), written), (pgwarden.direct_dsn, expected)):
        command = f"\\copy (SELECT * FROM shop.customers ORDER BY id) TO '{file}' (FORMAT csv, HEADER)"
        assert rows(psql(pgwarden, dsn, "-c", command)) == ["COPY 4000"]
    assert written.read_bytes() == expected.read_bytes()
    back = f"CREATE TEMP TABLE t (LIKE shop.customers);\n\\copy t FROM '{written}' (FORMAT csv, HEADER)\n"
    assert rows(psql(pgwarden, pgwarden.dsn(), "-f", "-", stdin=back)) == ["CREATE TABLE", "COPY 4000"]


def test_an_analyst_may_not_copy(pgwarden: Pgwarden, tmp_path: Path) -> None:
    refused = psql(pgwarden, pgwarden.dsn("ada"), "-c", f"\\copy shop.customers TO '{tmp_path / 'out'}'")
    assert refused.returncode == 1
    assert "copy_to" in refused.stderr + refused.stdout


def test_an_analyst_sees_own_rows_and_masks(pgwarden: Pgwarden) -> None:
    (line,) = rows(psql(pgwarden, pgwarden.dsn("ada"), "-At", "-c", "SELECT count(*) FROM shop.customers"))
    assert line == "2224"
    command = "SELECT id, email, birth_date, balance FROM shop.customers WHERE id = 1"
    assert rows(psql(pgwarden, pgwarden.dsn("ada"), "-At", "-c", command)) == ["1|g***@example.org|1947-01-01|-1000.00"]


@pytest.mark.parametrize("command", [r"\d", r"\dt shop.*", r"\d shop.*", r"\dn", r"\dv shop.*", r"\di shop.*"])
def test_an_analyst_lists_no_blocked_table(pgwarden: Pgwarden, command: str) -> None:
    done = psql(pgwarden, pgwarden.dsn("ada"), "-c", command)
    assert (done.stderr.replace("Did not find any relations.\n", ""), done.returncode) == ("", 0)
    assert "salaries" not in done.stdout
    if command == r"\dt shop.*":
        assert "customers" in done.stdout


def test_an_analyst_describes_a_table(pgwarden: Pgwarden) -> None:
    done = psql(pgwarden, pgwarden.dsn("ada"), "-c", r"\d shop.customers")
    assert (done.stderr, done.returncode) == ("", 0)
    for column in ("tenant_id", "email", "signature"):
        assert f" {column} " in done.stdout
    payments = psql(pgwarden, pgwarden.dsn("ada"), "-c", r"\d shop.payments")
    assert payments.returncode == 0, payments.stderr
    assert " method " in payments.stdout
    assert "card_number" not in payments.stdout


def test_a_refusal_names_rule_place_and_position(pgwarden: Pgwarden) -> None:
    done = psql(pgwarden, pgwarden.dsn("ada"), "-c", "SELECT 1 FROM shop.salaries")
    assert done.returncode == 1
    assert "analysts/tables.block[0]" in done.stderr
    assert "policies.yaml:" in done.stderr
    assert "LINE 1: SELECT 1 FROM shop.salaries" in done.stderr
