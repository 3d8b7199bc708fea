"""Go: lib/pq through database/sql, and pgx, from Debian's packages."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.drivers.programs import (
    FOLDER,
    Program,
    TlsGate,
    assert_follows_policies,
    assert_masked,
    assert_masked_through_tls,
    assert_same,
    need,
    need_file,
)
from tests.fix_pgwarden import Pgwarden

DEBIANS_GOPATH = Path("/usr/share/gocode")
SOURCES = {
    "pq": (DEBIANS_GOPATH / "src/github.com/lib/pq", "Debian: golang-github-lib-pq-dev"),
    "pgx": (DEBIANS_GOPATH / "src/github.com/jackc/pgx/v4", "Debian: golang-github-jackc-pgx-v4-dev"),
}


@pytest.fixture(scope="session", params=SOURCES)
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """Compiled once."""
    compiler = need("go", "golang-go")
    need_file(*SOURCES[request.param])
    built = tmp_path_factory.mktemp("go") / request.param
    environment = {**os.environ, "GO111MODULE": "off", "GOPATH": str(DEBIANS_GOPATH), "GOFLAGS": ""}
    command = [compiler, "build", "-o", str(built), f"{request.param}.go", "lines.go"]
    subprocess.run(command, check=True, cwd=FOLDER / "go", env=environment, timeout=300)
    return Program([built], {})


def test_an_administrator_sees_what_the_server_says(program: Program, pgwarden: Pgwarden) -> None:
    assert_same(program, pgwarden)


def test_an_analyst_sees_masks_on_every_path(program: Program, pgwarden: Pgwarden) -> None:
    assert_masked(program, pgwarden, "ada", "analyst")


def test_a_writer_sees_masks_on_every_path(program: Program, pgwarden: Pgwarden) -> None:
    assert_masked(program, pgwarden, "wes", "writer")


def test_prepared_statements_follow_the_policies(program: Program, changing: Pgwarden) -> None:
    assert_follows_policies(program, changing)


def test_tls(program: Program, tls_gate: TlsGate) -> None:
    assert_masked_through_tls(program, tls_gate)
