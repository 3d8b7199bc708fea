"""What clients bring along when they connect: all of it where nothing is guarded, a reviewed list elsewhere."""

from __future__ import annotations

import os
import subprocess

import psycopg
import pytest

from tests.fix_pgwarden import Pgwarden


def shown(dsn: str, *names: str) -> list[str]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return [str((connection.execute(f"SHOW {name}".encode()).fetchone() or ("",))[0]) for name in names]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"options": "-c geqo=off -c work_mem=7MB"}, {"geqo": "off", "work_mem": "7MB"}),
        ({"options": r'--search-path="a\ b" -c DateStyle=German'}, {"datestyle": "German, DMY"}),
        ({"client_encoding": "LATIN1"}, {"client_encoding": "LATIN1"}),
        ({"options": "-c standard_conforming_strings=off"}, {"standard_conforming_strings": "off"}),
        ({"options": "-c pgwarden.own=1"}, {"pgwarden.own": "1"}),
    ],
)
def test_where_nothing_is_guarded_all_of_it_arrives(
    pgwarden: Pgwarden, options: dict[str, str], expected: dict[str, str]
) -> None:
    assert shown(pgwarden.dsn("admin", **options), *expected) == list(expected.values())
    with pytest.raises(psycopg.OperationalError, match="at startup through pgwarden|not supported|under a policy"):
        psycopg.connect(pgwarden.dsn("ada", **options))


def test_another_encoding_passes_byte_for_byte(pgwarden: Pgwarden) -> None:
    results = []
    for dsn in (pgwarden.dsn("admin", client_encoding="LATIN1"), f"{pgwarden.direct_dsn}?client_encoding=LATIN1"):
        with psycopg.connect(dsn) as connection:
            result = connection.pgconn.exec_(b"SELECT '\xe4\xf6\xfc', convert_to('\xe4', 'UTF8')")
            results.append((result.get_value(0, 0), result.get_value(0, 1)))
    assert results == [(b"\xe4\xf6\xfc", b"\\xc3a4")] * 2


def test_settings_on_the_list_arrive_under_a_policy(pgwarden: Pgwarden) -> None:
    given = r"-c statement_timeout=5s -c TimeZone=Asia/Tokyo --idle-session-timeout=1h -c search_path=shop,public"
    names = ("statement_timeout", "timezone", "idle_session_timeout", "search_path")
    assert shown(pgwarden.dsn("ada", options=given), *names) == ["5s", "Asia/Tokyo", "1h", "shop,public"]
    environment = {**os.environ, "PGOPTIONS": "-c search_path=shop", "PGTZ": "UTC", "PGAPPNAME": "night"}
    command = ["psql", "-XAt", pgwarden.dsn("ada"), "-c", "SHOW timezone", "-c", "SELECT count(*) > 0 FROM customers"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.stderr) == ("UTC\nt\n", "")


@pytest.mark.parametrize(
    "path", ["shop, pg_catalog", "pg_temp, shop", '"pg_temp_3"', "shop,,public", '"unclosed', "public, PG_CATALOG"]
)
def test_a_path_that_could_change_what_operators_mean_is_refused(pgwarden: Pgwarden, path: str) -> None:
    escaped = path.replace(" ", r"\ ")
    with pytest.raises(psycopg.OperationalError, match="can't have this value"):
        psycopg.connect(pgwarden.dsn("ada", options=f"-c search_path={escaped}"))
