"""Perl's DBD::Pg, from Debian."""

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


@pytest.fixture
def program() -> Program:
    perl = need("perl", "perl")
    need_module(perl, "-MDBD::Pg", "-e", "1", package="Debian: libdbd-pg-perl")
    return Program([perl, FOLDER / "perl" / "dbd_pg.pl"], {})


def test_an_administrator_sees_what_the_server_says(program: Program, pgwarden: Pgwarden) -> None:
    assert_same(program, pgwarden)


def test_an_analyst_sees_masks_on_every_path(program: Program, pgwarden: Pgwarden) -> None:
    assert_masked(program, pgwarden, "ada", "analyst")


def test_a_writer_sees_masks_on_every_path(program: Program, pgwarden: Pgwarden) -> None:
    assert_masked(program, pgwarden, "wes", "writer")


def test_prepared_statements_follow_the_policies(program: Program, changing: Pgwarden) -> None:
    assert_follows_policies(program, changing)
