"""The demo as a newcomer runs it: the real program, a real PostgreSQL, real signals."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from proxy.installation import place_directory

LIMIT_S = 120


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Shared by this file's tests: the data is made once, as for a second start."""
    folder = tmp_path_factory.mktemp("demo") / "var"
    yield folder
    shutil.rmtree(place_directory(folder / "postgres"), ignore_errors=True)  # as root it lies elsewhere


def is_server_left(folder: Path) -> bool:
    data = place_directory(folder / "postgres") / "data"
    assert data.exists()
    return (data / "postmaster.pid").exists()


def command(folder: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "proxy", "demo", "--folder", str(folder), *more]


def tour(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(folder, "--tour"), capture_output=True, text=True, timeout=LIMIT_S, check=False)


@pytest.fixture
def staying(folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command(folder), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def lines_until(process: subprocess.Popen[str], wanted: str) -> str:
    seen = ""
    assert process.stdout is not None
    for line in process.stdout:
        seen += line
        if wanted in line:
            return seen
    raise AssertionError(f"ended before {wanted!r}:\n{seen}")


def test_the_tour_shows_what_it_should_and_ends_with_0(folder: Path) -> None:
    done = tour(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Everything showed what it should." in done.stdout
    assert re.search(r"shop\.yaml:\d+:\d+", done.stdout)


def test_it_stays_up_for_psql_and_ctrl_c_ends_it(folder: Path, staying: subprocess.Popen[str]) -> None:
    shown = lines_until(staying, "Ctrl-C ends everything")
    dsn = re.search(r"postgresql://ada:\S+(?=')", shown)
    assert dsn is not None
    with psycopg.connect(dsn[0]) as connection:
        assert connection.execute("SELECT count(DISTINCT tenant_id) FROM shop.customers").fetchone() == (1,)
    staying.send_signal(signal.SIGINT)
    assert staying.wait(LIMIT_S) == 0
    assert not is_server_left(folder)


def test_ctrl_c_during_the_start_ends_it_too(folder: Path, staying: subprocess.Popen[str]) -> None:
    lines_until(staying, "starting an embedded PostgreSQL")
    time.sleep(0.2)
    staying.send_signal(signal.SIGINT)
    staying.communicate(timeout=LIMIT_S)
    assert not is_server_left(folder)


def test_policies_that_are_there_are_kept_and_a_tour_that_shows_too_much_fails(folder: Path) -> None:
    policies = folder / "policies" / "shop.yaml"
    loosened = policies.read_text().replace("- {column: shop.customers.ssn, mask: {kind: redact}}\n", "\n")
    policies.write_text(loosened)
    done = tour(folder)
    assert done.returncode == 1
    assert "this did not hold: ada sees no ssn" in done.stdout
    assert policies.read_text() == loosened
