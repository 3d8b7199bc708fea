"""Ruby's pg, from Debian."""

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


@pytest.fixture
def program() -> Program:
    ruby = need("ruby", "ruby")
    need_module(ruby, "-rpg", "-e", "1", package="Debian: ruby-pg")
    return Program([ruby, FOLDER / "ruby" / "pg.rb"], {})


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
