"""pgbench in its three query modes: no transaction fails, each statement is recorded once."""

from __future__ import annotations

import subprocess
from pathlib import Path

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


@pytest.mark.parametrize("mode", MODES)
def test_writes(pgwarden: Pgwarden, tmp_path: Path, mode: str) -> None:
    with psycopg.connect(pgwarden.direct_dsn, autocommit=True) as direct:
        direct.execute("DELETE FROM shop.payments WHERE method = 'pgbench'")
        pgbench(pgwarden, pgwarden.dsn(), mode, WRITES, tmp_path)
        counted = direct.execute("SELECT count(*) FROM shop.payments WHERE method = 'pgbench'").fetchone()
    assert counted == (CLIENTS * TRANSACTIONS,)
