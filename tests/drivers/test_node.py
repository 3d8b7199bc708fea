"""node: pg (with pg-cursor and pg-copy-streams), pg-native, postgres, knex and pg-promise, from npm."""

from __future__ import annotations

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
    need_module,
)
from tests.fix_pgwarden import Pgwarden

PROGRAMS = ["pg", "pg-native", "postgres", "knex", "pg-promise"]


@pytest.fixture(params=PROGRAMS)
def program(request: pytest.FixtureRequest) -> Program:
    node, file = need("node", "nodejs"), FOLDER / "node" / f"{request.param}.js"
    need_module(node, "-e", f"require('module').createRequire('{file}')('{request.param}')", package="npm")
    return Program([node, "--no-deprecation", file], {})


def test_an_administrator_sees_what_the_server_says(program: Program, pgwarden: Pgwarden) -> None:
    assert_same(program, pgwarden)


def test_an_analyst_sees_masks_on_every_path(program: Program, pgwarden: Pgwarden) -> None:
    assert_masked(program, pgwarden, "ada", "analyst")


def test_a_writer_sees_masks_on_every_path(program: Program, pgwarden: Pgwarden) -> None:
    assert_masked(program, pgwarden, "wes", "writer")


@pytest.mark.parametrize("program", ["pg"], indirect=True)
def test_prepared_statements_follow_the_policies(program: Program, changing: Pgwarden) -> None:
    assert_follows_policies(program, changing)


@pytest.mark.parametrize("program", ["pg", "postgres"], indirect=True)
def test_tls(program: Program, tls_gate: TlsGate) -> None:
    assert_masked_through_tls(program, tls_gate)
