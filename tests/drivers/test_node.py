"""node: pg (with pg-cursor, pg-copy-streams, pg-native), postgres, knex and pg-promise."""

from __future__ import annotations

import pytest

from tests.drivers.programs import FOLDER, Program, assert_masked, assert_same, need, need_file
from tests.fix_pgwarden import Pgwarden


@pytest.fixture(params=["pg", "postgres", "knex", "pg-promise"])
def program(request: pytest.FixtureRequest) -> Program:
    node = need("node", "nodejs")
    need_file(FOLDER / "node" / "node_modules" / request.param, "npm")
    return Program([node, "--no-deprecation", FOLDER / "node" / f"{request.param}.js"], {})


def test_an_administrator_sees_what_the_server_says(program: Program, pgwarden: Pgwarden) -> None:
    assert_same(program, pgwarden)


def test_an_analyst_sees_masks_on_every_path(program: Program, pgwarden: Pgwarden) -> None:
    assert_masked(program, pgwarden, "ada", "analyst")


def test_a_writer_sees_masks_on_every_path(program: Program, pgwarden: Pgwarden) -> None:
    assert_masked(program, pgwarden, "wes", "writer")
