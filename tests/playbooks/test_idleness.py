"""Sessions that do nothing: the gateway's time-outs, in the server's own words."""

from __future__ import annotations

import pytest

from proxy.session.phase import Phase
from proxy.session.ports import CloseLinks, Command, Rules, StartTimer, StopTimer
from proxy.wire import messages as m
from tests.playbooks.stage import DONE, FAILED, IN_BLOCK, READY, Play, extended, sqlstates

RULES = Rules(idle_s=60.0, idle_in_transaction_s=5.0)


def timers(commands: list[Command]) -> list[Command]:
    return [x for x in commands if isinstance(x, StartTimer | StopTimer)]


def running(play: Play) -> StartTimer:
    (started,) = timers(play.told())
    assert isinstance(started, StartTimer)
    return started


def ready(status: m.ReadyForQuery) -> tuple[Play, StartTimer]:
    play = Play(rules=RULES).open()
    play.client(m.Query(b"select 1"))
    play.told()
    play.server(DONE, status)
    play.client_hears()
    return play, running(play)


@pytest.mark.parametrize(
    ("status", "seconds", "code", "text"),
    [
        (READY, 60.0, "57P05", b"terminating connection due to idle-session timeout"),
        (IN_BLOCK, 5.0, "25P03", b"terminating connection due to idle-in-transaction timeout"),
        (FAILED, 5.0, "25P03", b"terminating connection due to idle-in-transaction timeout"),
    ],
)
def test_an_idle_session_ends(status: m.ReadyForQuery, seconds: float, code: str, text: bytes) -> None:
    play, timer = ready(status)
    assert timer.seconds == seconds
    play.session.timer_fired(timer.token)
    play.collect()
    heard = play.client_hears()
    assert sqlstates(heard) == [code]
    assert heard[0].fields["M"] == text  # type: ignore[union-attr]
    assert heard[0].fields["S"] == b"FATAL"  # type: ignore[union-attr]
    assert CloseLinks() in play.told()


def test_it_counts_from_the_login_on() -> None:
    play = Play(rules=RULES)
    play.log_in()
    play.session.upstream_connected()
    play.collect()
    play.told()
    play.server(m.AuthenticationOk(), m.ReadyForQuery(b"I"))
    assert running(play).seconds == 60.0


def test_a_message_stops_the_timer_and_one_that_fires_late_means_nothing() -> None:
    play, timer = ready(READY)
    play.client(m.Parse(b"", b"select 1"))
    assert timers(play.told()) == [StopTimer(timer.token)]
    play.session.timer_fired(timer.token)
    assert play.session.phase is Phase.OPEN
    play.client(m.Sync())
    play.server(m.ParseComplete(), READY)
    again = running(play)
    assert again.token != timer.token


def test_a_pipeline_is_not_idle_before_its_last_answer() -> None:
    play, timer = ready(READY)
    play.client(*extended("select 1"), m.Sync(), *extended("select 2"), m.Sync())
    assert timers(play.told()) == [StopTimer(timer.token)]
    play.server(m.ParseComplete(), m.BindComplete(), m.NoData(), DONE, READY)
    assert timers(play.told()) == []
    play.server(m.ParseComplete(), m.BindComplete(), m.NoData(), DONE, READY)
    assert running(play).seconds == 60.0


def test_without_limits_nothing_is_timed() -> None:
    play = Play().open()
    play.client(m.Query(b"select 1"))
    play.server(DONE, READY)
    assert timers(play.told()) == []


def test_what_the_server_says_by_itself_keeps_nobody_awake() -> None:
    play, timer = ready(READY)
    play.server(m.NotificationResponse(1, b"c", b""), m.ParameterStatus(b"TimeZone", b"UTC"))
    assert timers(play.told()) == []
    play.session.timer_fired(timer.token)
    assert play.session.phase is Phase.ENDED


def test_what_the_lane_has_done_since_counts_when_the_timer_fires() -> None:
    play = Play(rules=Rules(idle_s=60)).open()
    answer = (m.CommandComplete(b"SELECT 0"), m.ReadyForQuery(b"I"))
    play.client(m.Query(b"SELECT 1")).server(*answer)
    started = [command for command in play.told() if isinstance(command, StartTimer)]
    play.client(m.Query(b"SELECT 1")).server(*answer)
    assert play.taken == 1
    assert play.told() == []
    play.session.timer_fired(started[-1].token)
    play.collect()
    (again,) = play.told()
    assert isinstance(again, StartTimer)
    assert 59 < again.seconds < 60
    play.services.ticks += 61_000_000
    play.session.timer_fired(again.token)
    assert play.session.is_ended


def test_a_timer_that_fires_while_the_lane_waits_ends_nothing() -> None:
    play = Play(rules=Rules(idle_s=60)).open()
    answer = (m.CommandComplete(b"SELECT 0"), m.ReadyForQuery(b"I"))
    play.client(m.Query(b"SELECT 1")).server(*answer)
    started = [command for command in play.told() if isinstance(command, StartTimer)]
    play.client(m.Query(b"SELECT 1"))
    play.session.timer_fired(started[-1].token)
    play.collect()
    play.server(*answer)
    assert not play.session.is_ended
    assert play.client_hears()[-1] == m.ReadyForQuery(b"I")
