"""COPY FROM STDIN: data before it is asked for, in pipelines, in parts, and messages that have no place in it."""

from __future__ import annotations

import pytest

from audit.record import Stage
from policies.decision import Effect
from proxy.session.copying import INTRUSION
from proxy.session.phase import Phase
from proxy.wire import messages as m
from proxy.wire.codec import encode
from tests.playbooks.stage import (
    DONE,
    FAILED,
    READY,
    Play,
    StageServices,
    allow,
    error,
    kinds,
    sqlstates,
)

COPY_IN = m.CopyInResponse(0, (0,))
COPIED = m.CommandComplete(b"COPY 2")
DATA = m.CopyData(b"1\n2\n")
BAD_DATA = error("22P02")


def stage() -> StageServices:
    return StageServices({"copy": allow("copy", command="copy"), "copy out": allow("copy out", command="copy")})


def copying(services: StageServices, *, is_extended: bool = False) -> Play:
    play = Play(services).open()
    if is_extended:
        play.client(m.Parse(b"", b"copy"), m.Bind(b"", b""), m.Execute(b""), m.Sync())
        play.server(m.ParseComplete(), m.BindComplete(), COPY_IN)
    else:
        play.client(m.Query(b"copy"))
        play.server(COPY_IN)
    play.client_hears()
    play.server_hears()
    return play


@pytest.mark.parametrize("ending", [m.CopyDone(), m.CopyFail(b"no")])
def test_data_and_its_end_pass(ending: m.CopyDone | m.CopyFail) -> None:
    play = copying(stage())
    play.client(DATA, ending)
    assert play.server_hears() == [DATA, ending]


def test_rows_are_counted_by_the_tag() -> None:
    services = stage()
    play = copying(services)
    play.client(DATA, m.CopyDone())
    play.server(COPIED, READY)
    assert play.client_hears() == [COPIED, READY]
    assert services.records[-1].rows == 2


def test_data_behind_its_end_goes_nowhere() -> None:
    play = copying(stage())
    play.client(m.CopyFail(b"no"), DATA, m.CopyDone())
    assert play.server_hears() == [m.CopyFail(b"no")]
    play.server(error("57014"), READY)
    play.client(DATA, m.CopyDone(), m.Query(b"select 1"))
    assert play.server_hears() == [m.Query(b"select 1")]


def test_data_behind_an_error_goes_nowhere() -> None:
    play = copying(stage())
    play.client(DATA)
    play.server(BAD_DATA, READY)
    play.server_hears()
    play.client(DATA, m.CopyDone())
    assert play.server_hears() == []


def test_syncs_and_flushes_inside_are_ignored_as_the_server_does() -> None:
    play = copying(stage(), is_extended=True)
    play.client(DATA, m.Sync(), m.Flush(), m.CopyDone(), m.Sync())
    assert play.server_hears() == [DATA, m.Flush(), m.CopyDone(), m.Sync()]
    play.server(COPIED, READY)
    assert play.client_hears() == [COPIED, READY]


def test_a_whole_copy_in_one_pipeline() -> None:
    play = Play(stage()).open()
    play.client(m.Parse(b"", b"copy"), m.Bind(b"", b""), m.Execute(b""), DATA, m.CopyDone(), m.Sync())
    play.client(m.Query(b"select 1"))
    assert kinds(play.server_hears()) == ["Parse", "Bind", "Execute", "CopyData", "CopyDone", "Sync", "Query"]
    play.server(m.ParseComplete(), m.BindComplete(), COPY_IN, COPIED, READY, DONE, READY)
    assert kinds(play.client_hears())[-4:] == ["CommandComplete", "ReadyForQuery", "CommandComplete", "ReadyForQuery"]


def test_a_copy_that_failed_in_a_pipeline_lets_the_rest_run() -> None:
    services = stage()
    play = Play(services).open()
    play.client(m.Parse(b"", b"copy"), m.Bind(b"", b""), m.Execute(b""), DATA, m.CopyDone(), m.Sync())
    play.client(m.Query(b"select 1"))
    play.server(m.ParseComplete(), m.BindComplete(), COPY_IN, BAD_DATA, READY, DONE, READY)
    assert sqlstates(play.client_hears()) == ["22P02"]
    assert [code for _, code in services.statements(Stage.OUTCOME)] == ["22P02", ""]


@pytest.mark.parametrize("is_extended", [False, True])
def test_another_message_inside_ends_the_session_as_the_server_would(is_extended: bool) -> None:
    play = copying(stage(), is_extended=is_extended)
    play.client(DATA, m.Query(b"select 1"))
    assert play.server_hears() == [DATA, m.CopyFail(INTRUSION)]
    play.server(error("57014", f"COPY from stdin failed: {INTRUSION.decode()}"))
    heard = play.client_hears()
    assert sqlstates(heard) == ["08P01", "08P01"]
    assert heard[0].fields["M"] == b"unexpected message type 0x51 during COPY from stdin"  # type: ignore[union-attr]
    assert heard[1].fields["S"] == b"FATAL"  # type: ignore[union-attr]
    assert play.session.phase is Phase.ENDED


def test_another_message_counts_when_the_copy_had_failed_before_it() -> None:
    play = copying(stage())
    play.client(DATA, m.Query(b"select 1"))
    assert play.server_hears() == [DATA, m.CopyFail(INTRUSION)]
    play.server(BAD_DATA, READY)
    assert sqlstates(play.client_hears()) == ["22P02"]
    assert play.server_hears() == [m.Query(b"select 1")]
    play.server(DONE, READY)
    assert kinds(play.client_hears()) == ["CommandComplete", "ReadyForQuery"]


def test_a_message_that_waits_for_a_copy_of_its_own_making_is_not_forgotten() -> None:
    """Behind SET, the next message waits for its outcome; COPY asks for data first: nobody waits for ever."""
    services = stage()
    services.decisions["set; copy"] = lambda sql: allow(sql, command="copy", effect=Effect(search_path=("x",)))(sql)
    play = Play(services).open()
    play.client(m.Query(b"set; copy"), m.Query(b"select 1"))
    assert play.server_hears() == [m.Query(b"set; copy")]
    play.server(COPY_IN)
    assert play.server_hears() == [m.CopyFail(INTRUSION)]
    play.server(error("57014", f"COPY from stdin failed: {INTRUSION.decode()}"))
    assert play.session.phase is Phase.ENDED


def test_notices_and_settings_come_through_inside() -> None:
    play = copying(stage())
    spoken = (
        m.NoticeResponse({"S": b"NOTICE", "V": b"NOTICE", "C": b"00000", "M": b"m"}),
        m.ParameterStatus(b"TimeZone", b"UTC"),
        m.NotificationResponse(1, b"c", b"p"),
    )
    play.server(*spoken)
    assert kinds(play.client_hears()) == ["NoticeResponse", "ParameterStatus", "NotificationResponse"]
    play.client(DATA, m.CopyDone())
    play.server(COPIED, READY)
    assert play.client_hears() == [COPIED, READY]


def test_many_small_messages_pass_as_one_piece() -> None:
    play = copying(stage())
    data = b"".join(encode(m.CopyData(b"%d\n" % n)) for n in range(500))
    play.session.client_data(data + encode(m.CopyDone()))
    assert [bytes(chunk) for chunk in play.session.take_outbox().to_server] == [data, encode(m.CopyDone())]


def test_many_small_messages_outside_of_a_copy_go_nowhere() -> None:
    play = Play(stage()).open()
    play.session.client_data(encode(DATA) * 50 + b"S\0\0\0\4" + encode(DATA) * 50)
    assert [bytes(chunk) for chunk in play.session.take_outbox().to_server] == [b"S\0\0\0\4"]


def test_large_data_passes_in_parts() -> None:
    play = copying(stage())
    size = 300 << 20
    play.session.client_data(b"d" + (size + 4).to_bytes(4, "big") + b"x" * 1000)
    taken = b"".join(play.session.take_outbox().to_server)
    assert len(taken) == 1005
    play.session.client_data(b"x" * 5000)
    assert b"".join(play.session.take_outbox().to_server) == b"x" * 5000


def test_large_data_outside_of_a_copy_is_thrown_away_in_parts() -> None:
    play = Play(stage()).open()
    play.session.client_data(b"d" + (400_000 + 4).to_bytes(4, "big") + b"x" * 1000)
    play.session.client_data(b"x" * 399_000 + b"S\0\0\0\4")
    assert b"".join(play.session.take_outbox().to_server) == b"S\0\0\0\4"


def test_a_copy_in_a_failed_block_asks_for_nothing() -> None:
    play = Play(stage()).open()
    play.client(m.Query(b"copy"))
    play.server(error("25P02"), FAILED)
    play.server_hears()
    play.client(DATA, m.CopyDone())
    assert play.server_hears() == []
