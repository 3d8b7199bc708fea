"""pgbench in its three query modes: no transaction fails, each statement is recorded once."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.fix_pgwarden import PATIENCE_S, Pgwarden

CLIENTS, TRANSACTIONS = 4, 25
MODES = ["simple", "extended", "prepared"]
READS = r"""\set id random(1, 4000)
SELECT name, balance, created_at FROM shop.customers WHERE id = :id;
"""
WRITES = r"""\set id random(1, 12000)
BEGIN;
UPDATE shop.orders SET total = total + 1 WHERE id = :id;
SELECT total FROM shop.orders WHERE id = :id;
INSERT INTO shop.payments (tenant_id, order_id, method, amount, paid_at) VALUES (1, :id, 'pgbench', 1, now());
END;
"""
PIPELINE = r"""\set id random(1, 4000)
SELECT count(*) AS n FROM shop.customers WHERE id = :id \gset
\startpipeline
SELECT email FROM shop.customers WHERE id = :id;
SELECT total FROM shop.orders WHERE customer_id = :id;
SELECT :n + 1;
\endpipeline
"""


def pgbench(pgwarden: Pgwarden, dsn: str, mode: str, script: str, folder: Path) -> str:
    """What it printed; it fails unless all transactions went well."""
    file = folder / "script.sql"
    file.write_text(script)
    program = pgwarden.server.embedded.installation.program("pgbench")
    done = subprocess.run(
        [str(program), "-n", "-M", mode, "-c", str(CLIENTS), "-t", str(TRANSACTIONS), "-f", str(file), dsn],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    total = CLIENTS * TRANSACTIONS
    assert f"actually processed: {total}/{total}" in done.stdout
    assert "number of failed transactions: 0 " in done.stdout
    return done.stdout


@pytest.mark.parametrize("user", ["admin", "ada"])
@pytest.mark.parametrize("mode", MODES)
def test_reads(pgwarden: Pgwarden, tmp_path: Path, mode: str, user: str) -> None:
    marker = f"-- {user} reads {mode}"
    script = READS.replace("SELECT", f"SELECT /* {marker} */")
    pgbench(pgwarden, pgwarden.dsn(user), mode, script, tmp_path)
    found = pgwarden.records_of(marker, outcomes=CLIENTS * TRANSACTIONS)
    assert len(found) == 2 * CLIENTS * TRANSACTIONS
    assert {record["sqlstate"] for record in found} == {""}
    assert {record["decision"] for record in found} == {"allow" if user == "admin" else "rewrite"}


@pytest.mark.parametrize("user", ["admin", "wes"])
@pytest.mark.parametrize("mode", MODES)
def test_writes(pgwarden: Pgwarden, tmp_path: Path, mode: str, user: str) -> None:
    """Half of the orders aren't visible to `wes`: an UPDATE of one changes nothing."""
    mine = "tenant_id = 1" if user == "wes" else "true"
    with psycopg.connect(pgwarden.direct_dsn, autocommit=True) as direct:

        def total(condition: str) -> Any:
            return direct.execute(f"SELECT sum(total) FROM shop.orders WHERE {condition}".encode()).fetchone()

        hidden, visible = total(f"NOT ({mine})"), total(mine)
        pgbench(pgwarden, pgwarden.dsn(user), mode, WRITES, tmp_path)
        counted = direct.execute("SELECT count(*) FROM shop.payments WHERE method = 'pgbench'").fetchone()
        assert counted == (CLIENTS * TRANSACTIONS,)
        assert total(f"NOT ({mine})") == hidden
        assert total(mine)[0] > visible[0]
        direct.execute("DELETE FROM shop.payments WHERE method = 'pgbench'")


@pytest.mark.parametrize("mode", MODES)
def test_a_row_that_the_filter_forbids_fails_its_transaction(pgwarden: Pgwarden, tmp_path: Path, mode: str) -> None:
    script = WRITES.replace("VALUES (1,", "VALUES (2,").replace("'pgbench'", "'forbidden'")
    with pytest.raises(AssertionError, match="row filter"):
        pgbench(pgwarden, pgwarden.dsn("wes"), mode, script, tmp_path)
    with psycopg.connect(pgwarden.direct_dsn) as direct:
        counted = direct.execute("SELECT count(*) FROM shop.payments WHERE method = 'forbidden'").fetchone()
    assert counted == (0,)


@pytest.mark.parametrize("user", ["admin", "wes"])
def test_its_pipeline_mode_and_gset(pgwarden: Pgwarden, tmp_path: Path, user: str) -> None:
    pgbench(pgwarden, pgwarden.dsn(user), "extended", PIPELINE, tmp_path)


def test_its_own_tables_and_transaction(pgwarden: Pgwarden, tmp_path: Path) -> None:
    """pgbench -i makes its tables by DDL and COPY, in a schema of its own; then its TPC-B-like transaction."""
    schema = "pgbench_site"
    with psycopg.connect(pgwarden.server.dsn(pgwarden.database), autocommit=True) as direct:
        direct.execute(f"CREATE SCHEMA {schema} AUTHORIZATION gateway".encode())
        dsn = pgwarden.dsn(options=f"-c search_path={schema}")
        program = pgwarden.server.embedded.installation.program("pgbench")
        made = subprocess.run(
            [program, "-i", "-q", "-I", "dtGvpf", dsn], capture_output=True, text=True, timeout=PATIENCE_S
        )
        assert made.returncode == 0, made.stderr
        ran = subprocess.run([program, "-c", "4", "-t", "20", dsn], capture_output=True, text=True, timeout=PATIENCE_S)
        assert "actually processed: 80/80" in ran.stdout, ran.stderr
        direct.execute(f"DROP SCHEMA {schema} CASCADE".encode())
