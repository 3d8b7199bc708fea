"""Clients that leave, or say what nobody understands: what came before is answered first."""

from __future__ import annotations

import pytest

from audit.record import Stage
from proxy.session.phase import Phase
from proxy.session.ports import CloseLinks
from proxy.wire import messages as m
from tests.playbooks.stage import DONE, READY, Play, StageServices, error, extended, kinds, sqlstates


def test_answers_come_before_the_end() -> None:
    services = StageServices()
    play = Play(services).open()
    play.client(m.Query(b"select 1"), m.Terminate(), m.Query(b"select 2"))
    assert play.server_hears() == [m.Query(b"select 1"), m.Terminate()]
    assert CloseLinks() not in play.told()
    play.server(DONE, READY)
    assert play.client_hears() == [DONE, READY]
    assert CloseLinks() in play.told()
    assert [code for _, code in services.statements(Stage.OUTCOME)] == [""]


def test_a_server_that_hangs_up_on_a_leaving_client_is_no_news() -> None:
    play = Play().open()
    play.client(m.Parse(b"", b"select 1"), m.Terminate())
    play.session.upstream_lost()
    play.collect()
    assert play.client_hears() == []
    assert play.session.phase is Phase.ENDED


@pytest.mark.parametrize("garbage", [b"z\0\0\0\4", b"Q\0\0\0\3", b"Q\0\0\0\6ab"])
def test_garbage_is_answered_in_its_place(garbage: bytes) -> None:
    play = Play().open()
    play.client(*extended("select 1"))
    play.client_raw(garbage + b"Q\0\0\0\x0dselect 2\0")
    assert kinds(play.server_hears()) == ["Parse", "Bind", "Describe", "Execute", "Flush"]
    play.server(m.ParseComplete(), m.BindComplete(), m.NoData())
    assert play.session.phase is Phase.OPEN
    play.server(DONE)
    heard = play.client_hears()
    assert kinds(heard) == ["ParseComplete", "BindComplete", "NoData", "CommandComplete", "ErrorResponse"]
    assert sqlstates(heard) == ["08P01"]
    assert play.session.phase is Phase.ENDED


def test_a_server_that_ends_the_session_says_so_itself() -> None:
    play = Play().open()
    play.client(m.Query(b"select 1"))
    play.server(error("57P01", "terminating connection due to administrator command", "FATAL"))
    heard = play.client_hears()
    assert sqlstates(heard) == ["57P01"]
    assert heard[0].fields["M"] == b"terminating connection due to administrator command"  # type: ignore[union-attr]
    assert CloseLinks() in play.told()


def test_a_half_closed_client_is_owed_what_waits_for_replies() -> None:
    play = Play().open()
    play.client(m.Query(b"select 1"), m.Query(b"select 2"))
    play.session.client_finished()
    play.collect()
    play.server(DONE, READY)
    assert play.session.phase is Phase.OPEN
    play.server(DONE, READY)
    assert kinds(play.client_hears()) == ["CommandComplete", "ReadyForQuery"] * 2
    assert play.session.phase is Phase.ENDED
