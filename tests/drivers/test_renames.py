"""Rules follow a table that was renamed at the server, through the running product and over its restart."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psycopg
import pytest

from tests.fix_pgwarden import MakePgwarden, Pgwarden, until


def seen(pgwarden: Pgwarden, sql: str) -> list[tuple[object, ...]] | str:
    """Rows, or the SQLSTATE of the refusal."""
    with psycopg.connect(pgwarden.dsn("ada"), autocommit=True) as connection:
        try:
            return connection.execute(sql.encode()).fetchall()
        except psycopg.Error as error:
            return error.sqlstate or ""


def test_a_renamed_table_keeps_its_rules_over_a_restart(make_pgwarden: MakePgwarden) -> None:
    pgwarden = make_pgwarden()
    question = "SELECT count(*), count(*) FILTER (WHERE email LIKE '%*%') FROM shop.{}"
    before = seen(pgwarden, question.format("customers"))
    with psycopg.connect(pgwarden.server.dsn(pgwarden.database), autocommit=True) as connection:
        connection.execute("ALTER TABLE shop.customers RENAME TO clients")
        connection.execute("CREATE TABLE shop.copied AS SELECT id, email FROM shop.clients")
    assert pgwarden.process is not None
    os.kill(pgwarden.process.pid, signal.SIGHUP)
    until(lambda: seen(pgwarden, question.format("clients")) == before, "the catalog read anew")
    assert seen(pgwarden, "SELECT email FROM shop.copied") == "42501"
    pgwarden.restart()
    assert seen(pgwarden, question.format("clients")) == before
    assert seen(pgwarden, "SELECT email FROM shop.copied") == "42501"


def test_a_state_file_that_cannot_be_read_stops_the_start(make_pgwarden: MakePgwarden) -> None:
    pgwarden = make_pgwarden()
    pgwarden.stop()
    state = Path(pgwarden.folder) / "journal" / "names.json"
    state.write_text("{")
    with pytest.raises(AssertionError, match=r"names\.json can't be read"):
        pgwarden.start()
    pgwarden.process = None
