"""PHP's pgsql and PDO, from Debian."""

from __future__ import annotations

import pytest

from tests.drivers.programs import (
    FOLDER,
    Program,
    assert_follows_policies,
    assert_masked,
    assert_same,
    need,
    need_module,
)
from tests.fix_pgwarden import Pgwarden

EXTENSIONS = {"pgsql": "pgsql", "pdo": "pdo_pgsql"}


@pytest.fixture(params=EXTENSIONS)
def program(request: pytest.FixtureRequest) -> Program:
    php, extension = need("php", "php-cli"), EXTENSIONS[request.param]
    need_module(php, "-r", f"exit(extension_loaded('{extension}') ? 0 : 1);", package="Debian: php-pgsql")
    return Program([php, FOLDER / "php" / f"{request.param}.php"], {})


def test_an_administrator_sees_what_the_server_says(program: Program, pgwarden: Pgwarden) -> None:
    assert_same(program, pgwarden)


def test_an_analyst_sees_masks_on_every_path(program: Program, pgwarden: Pgwarden) -> None:
    assert_masked(program, pgwarden, "ada", "analyst")


def test_a_writer_sees_masks_on_every_path(program: Program, pgwarden: Pgwarden) -> None:
    assert_masked(program, pgwarden, "wes", "writer")


@pytest.mark.parametrize("program", ["pgsql"], indirect=True)
def test_prepared_statements_follow_the_policies(program: Program, changing: Pgwarden) -> None:
    assert_follows_policies(program, changing)
