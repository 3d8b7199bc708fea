"""Sessions that share links, with a lane and without: each hears what it would hear alone, and leaves the same records.

Three worlds play the same script: on shared links through the lane, on shared links the long way, and each session on a
link of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from policies.decision import Leaves
from proxy.session.ports import CancelUpstream, Rules
from proxy.wire import messages as m
from proxy.wire.codec import decode_backend, encode
from proxy.wire.frames import FrameCutter
from tests.playbooks.fake_server import FakeServer, Result
from tests.playbooks.pooled import Player, PooledWorld, link_of
from tests.playbooks.stage import LIMITED, Play, StageServices, allow, policy_of, refuse, sqlstates
from tests.playbooks.test_lane import (
    BROKEN,
    CAPPED,
    FAILING,
    MASKED,
    MOVED,
    NOISY,
    ODD,
    PLAIN,
    REFUSED,
    RESULTS,
    TEXTS,
    WRITE,
    counted,
    decisions,
    prepare,
    query,
    recorded,
    run,
    unnamed,
    view_of,
)

TOKYO, LIMA, READS, DRAWS = "SET timezone TO 'Asia/Tokyo'", "SET timezone TO 'America/Lima'", "SHOW timezone", "nextval"
FORGET = 'RESET "timezone"'
ALL_TEXTS = (*TEXTS, TOKYO, LIMA, READS, DRAWS)
PLAYERS = 3


def world_decisions() -> dict[str, Any]:
    def zone(text: str) -> Any:
        return allow(text, command="set", leaves=Leaves(settings=(("timezone", text),)))

    drawn = allow(DRAWS, leaves=Leaves(has_sequences=True), tables=("s",))
    return decisions() | {TOKYO: zone(TOKYO), LIMA: zone(LIMA), READS: allow(READS, command="show"), DRAWS: drawn}


def world_results() -> dict[str, Result]:
    zone = b"TimeZone"
    return RESULTS | {
        TOKYO: Result(tag=b"SET", reports=((zone, b"Asia/Tokyo"),)),
        LIMA: Result(tag=b"SET", reports=((zone, b"America/Lima"),)),
        FORGET: Result(tag=b"RESET", reports=((zone, b"UTC"),)),
        "DISCARD SEQUENCES": Result(tag=b"DISCARD SEQUENCES"),
        "DISCARD ALL": Result(tag=b"DISCARD ALL", reports=((zone, b"UTC"),)),
        READS: Result((), (), b"SHOW"),
        DRAWS: Result((), (), b"SELECT 1"),
    }


def known(services: StageServices) -> StageServices:
    """Every text is known already."""
    play = Play(services, Rules(), has_lane=False).open()
    conversation = play.session._c
    assert conversation is not None
    assert services.policy is not None
    assert services.snapshot is not None
    namespace = conversation.basis(services.policy, "").namespace
    for text in ALL_TEXTS:
        services.decide(text, services.policy, services.snapshot, namespace)
    services.records.clear()
    services.measures.clear()
    return services


def world(*, has_lane: bool, links: int = 2, runs_code: bool = False) -> PooledWorld:
    services = known(StageServices(world_decisions(), policy_of()))
    made = [link_of(number, world_results(), runs_code=runs_code) for number in range(links)]
    return PooledWorld(services, made, PLAYERS, has_lane=has_lane)


class Alone:
    """One session on a link of its own."""

    def __init__(self) -> None:
        self.play = Play(known(StageServices(world_decisions(), policy_of())), Rules(), has_lane=False).open()
        self.play.client_bytes = b""
        self.server = FakeServer(world_results())

    def say(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.play.client_raw(piece)
        while (messages := self.play.server_hears()) or self._cancels():
            answer = self.server.take(b"".join(map(encode, messages)))
            if answer and not self.play.session.is_ended:
                self.play.server_raw(answer)

    def _cancels(self) -> bool:
        """Whether there was something to cancel: too late."""
        is_asked = any(isinstance(command, CancelUpstream) for command in self.play.told())
        if is_asked:
            self.play.session.cancel_done()
            self.play.collect()
        return is_asked


class Three:
    """The same in three worlds."""

    def __init__(self, links: int = 2, *, runs_code: bool = False) -> None:
        self.short = world(has_lane=True, links=links, runs_code=runs_code)
        self.long = world(has_lane=False, links=links, runs_code=runs_code)
        self.alone = [Alone() for _ in range(PLAYERS)]

    def say(self, number: int, *pieces: bytes, pick: int = 0, cut: int = 0) -> Three:
        self.short.say(number, *pieces, pick=pick, cut=cut)
        self.long.say(number, *pieces, pick=pick, cut=cut)
        self.alone[number].say(*pieces)
        return self

    def end(self) -> Three:
        """Everybody ends what is open, so that everybody is served; then all is compared."""
        for _ in range(2):
            for number in range(PLAYERS):
                self.say(number, query("ROLLBACK"))
        assert not self.short.waiting
        for mine, its, alone in zip(self.short.players, self.long.players, self.alone, strict=True):
            assert mine.play.client_bytes == its.play.client_bytes
            assert heard(mine.play.client_bytes) == heard(alone.play.client_bytes)
            assert state_of(mine) == state_of(its)
        assert recorded(self.short.services) == recorded(self.long.services)
        assert counted(self.short.services) == counted(self.long.services)
        assert self.short.pool.pins == self.long.pool.pins
        assert [link.shared.is_spent for link in self.short.links] == [link.shared.is_spent for link in self.long.links]
        return self


def heard(data: bytes) -> list[m.BackendMessage | str]:
    """Errors by their SQLSTATE: some are told by the server alone, and by pgwarden in a pool. Reports by what holds."""
    cutter = FrameCutter(LIMITED)
    cutter.feed(data)
    messages = [decode_backend(kind, cutter.buffer[start + 5 : end]) for kind, start, end in cutter]
    return [sqlstates([one])[0] if isinstance(one, m.ErrorResponse) else one for one in messages]


def state_of(player: Player) -> Any:
    session = player.play.session
    if session.lane is not None:
        session.lane.leave()
    c = session._c
    assert c is not None
    assert c.lending is not None
    flags = (c.group, c.status, c.is_idle, c.is_skipping, c.is_late, c.has_run, len(c.queue), c.is_ended, c.cancels)
    return (
        flags,
        c.lending.pin,
        c.lending.link is None,
        c.lending.told,
        [view_of(view) for view in (c.confirmed, c.sent)],
    )


# what goes through the lane


@pytest.mark.parametrize("say", [query, unnamed, lambda text: unnamed(text, formats=(1,), types=(23,))])
@pytest.mark.parametrize("text", [PLAIN, MASKED])
def test_plain_cycles_go_through_the_lane(say: Any, text: str) -> None:
    three = Three()
    for number, pick in ((0, 0), (1, 0), (2, 1), (0, 1), (1, 0)):
        three.say(number, say(text), pick=pick)
    assert three.short.taken == 5
    three.end()


def test_blocks_keep_their_link() -> None:
    three = Three(links=1)
    three.say(0, query("BEGIN")).say(1, query(PLAIN)).say(0, unnamed(MASKED))
    assert [player.link is None for player in three.short.players] == [False, True, True]
    assert list(three.short.waiting) == [three.short.players[1]]
    three.say(0, query("COMMIT"))
    assert three.short.taken == 4
    three.end()


def test_prepared_statements_go_through_the_lane_where_the_link_has_them() -> None:
    three = Three(links=2)
    three.say(0, prepare("p1", PLAIN)).say(1, prepare("other", PLAIN)).say(0, run("p1")).say(1, run("other"))
    assert three.short.taken == 2
    three.say(0, run("p1"), pick=1).say(1, run("other"), pick=1)  # a link that hasn't, and now has
    three.say(2, query(PLAIN), pick=1).say(0, run("p1"), pick=1)
    assert three.short.taken == 5
    three.end()


def test_writes_leave_their_sequences_to_nobody() -> None:
    three = Three(links=1)
    three.say(0, query(DRAWS)).say(0, query(DRAWS)).say(1, query(PLAIN)).say(1, query(PLAIN))
    assert three.short.taken == 3
    for world in (three.short, three.long):
        assert sum(b"DISCARD SEQUENCES" in said for said in world.links[0].said) == 1
    three.end()


def test_what_stored_code_left_is_discarded() -> None:
    three = Three(links=1, runs_code=True)
    three.say(0, query(DRAWS)).say(1, query(PLAIN)).say(1, query(PLAIN)).say(2, query(PLAIN))
    for world in (three.short, three.long):
        # A text without any table may run it, too: by an operator, a cast, a condition of a domain.
        assert sum(b"DISCARD ALL" in said for said in world.links[0].said) == 2
    three.end()


# what doesn't


def test_settings_follow_their_session() -> None:
    three = Three(links=1)
    three.say(0, query(TOKYO)).say(1, query(READS)).say(1, query(PLAIN)).say(0, query(PLAIN)).say(0, query(READS))
    assert [b"Tokyo" in said for said in three.short.links[0].said] == [
        b"Tokyo" in said for said in three.long.links[0].said
    ]
    assert three.short.taken == 2  # who comes to a link with other settings takes the long way
    three.end()


def test_a_report_that_came_to_an_idle_link_is_told() -> None:
    worlds = [world(has_lane=has_lane, links=1) for has_lane in (True, False)]
    for one in worlds:
        one.say(0, query(PLAIN))
        one.links[0].shared.reported[b"TimeZone"] = b"Europe/Riga"
        one.say(0, query(PLAIN))
        assert m.ParameterStatus(b"TimeZone", b"Europe/Riga") in heard(one.players[0].play.client_bytes)
    assert worlds[0].players[0].play.client_bytes == worlds[1].players[0].play.client_bytes


@pytest.mark.parametrize("said", [query(PLAIN), prepare("p1", PLAIN)])
def test_a_query_of_anybodys_takes_the_unnamed_statement_away(said: bytes) -> None:
    three = Three(links=1)
    three.say(0, encode(m.Parse(b"", PLAIN.encode())) + encode(m.Sync()))
    three.say(1, said)
    three.say(0, run("")).say(0, run("", describes=False))
    three.end()


@pytest.mark.parametrize("text", [REFUSED, "SELECT unheard of", FAILING, NOISY])
@pytest.mark.parametrize("say", [query, unnamed])
def test_what_is_unusual_takes_the_long_way_with_the_link(text: str, say: Any) -> None:
    three = Three(links=1)
    three.say(0, query(PLAIN)).say(0, say(text)).say(1, say(text)).say(0, query("BEGIN")).say(0, say(text)).end()


def test_a_change_of_policies_is_seen_by_who_waited() -> None:
    three = Three(links=1)
    three.say(1, query(PLAIN)).say(0, query("BEGIN")).say(1, query(PLAIN))
    for one in (three.short, three.long):
        assert len(one.waiting) == 1
        one.services.policy = policy_of("p2")
        one.services.decisions[PLAIN] = refuse()
        one.say(0, query("COMMIT"))
        assert sqlstates(one.players[1].play.client_hears()) == ["42501"]
    assert recorded(three.short.services) == recorded(three.long.services)


def test_hours_are_asked_when_the_link_comes() -> None:
    for has_lane in (True, False):
        one = world(has_lane=has_lane, links=1)
        one.services.is_timed_now = True
        one.say(1, query(PLAIN)).say(0, query("BEGIN")).say(1, query(PLAIN))
        one.services.__dict__["policy"] = policy_of("night")  # nobody tells the epoch
        one.services.__dict__["decisions"] = {PLAIN: refuse()}
        one.say(0, query("COMMIT"))
        assert sqlstates(one.players[1].play.client_hears()) == ["42501"]


# who waits


def test_who_waits_may_say_more() -> None:
    three = Three(links=1)
    three.say(0, query("BEGIN"))
    three.say(1, query(PLAIN), unnamed(MASKED), query(WRITE)[:7])
    three.say(1, query(WRITE)[7:])
    assert len(three.short.waiting) == 1
    three.say(0, query("COMMIT")).end()


def test_who_waits_isnt_between_transactions() -> None:
    for has_lane in (True, False):
        one = world(has_lane=has_lane, links=1).say(0, query("BEGIN"))
        waiter = one.players[1].play.session
        assert waiter.is_between_transactions
        one.say(1, query(PLAIN))
        assert not waiter.is_between_transactions
        waiter.drain()
        assert not waiter.is_ended


@pytest.mark.parametrize("event", ["client_lost", "end_by_operator"])
def test_an_event_finds_who_waits(event: str) -> None:
    ended: list[bytes] = []
    for has_lane in (True, False):
        one = world(has_lane=has_lane, links=1).say(0, query("BEGIN")).say(1, query(PLAIN))
        before = len(one.services.records)
        getattr(one.players[1].play.session, event)()
        one.players[1].play.collect()
        one._carry_out(one.players[1])
        assert not one.waiting
        assert len(one.services.records) == before
        ended.append(one.players[1].play.client_bytes)
    assert ended[0] == ended[1]


def test_who_waits_for_a_catalog_goes_on_with_it() -> None:
    three = Three(links=1)
    three.say(1, query(PLAIN)).say(0, query("BEGIN")).say(1, query(PLAIN))
    for one in (three.short, three.long):
        assert one.players[1].play.session.hold_for_catalog("shop")
    three.say(0, query("COMMIT"))
    for one in (three.short, three.long):
        one.players[1].play.session.catalog_refreshed()
        one.players[1].play.collect()
        one._carry_out(one.players[1])
        one.settle()
    three.end()


def test_a_link_that_fails_to_come() -> None:
    ended: list[bytes] = []
    for has_lane in (True, False):
        one = world(has_lane=has_lane, links=1).say(0, query("BEGIN")).say(1, query(PLAIN))
        one.players[1].play.session.lend_failed("53300", "none came free")
        one.players[1].play.collect()
        ended.append(one.players[1].play.client_bytes)
        assert one.players[1].play.session.is_ended
    assert ended[0] == ended[1]


# everything at once

# What ends a session in the middle of an answer is told behind as much of it as has come; and of a broken text under a
# name that is taken, only the server alone says that it is broken. What is cut short in a transaction ends the session
# if more was said meanwhile, which who waits has the time for.
SAID = st.sampled_from([text for text in ALL_TEXTS if text not in (ODD, BROKEN, CAPPED, MOVED)]).flatmap(
    lambda text: st.sampled_from(
        [
            [query(text)],
            [query(text)],
            [unnamed(text)],
            [unnamed(text, describes=False)],
            [prepare("p1", text)],
            [run("p1")],
            [run("p1", formats=(1,))],
            [run("", describes=False)],
            [encode(m.Parse(b"", text.encode())) + encode(m.Sync())],
            [encode(m.Close(b"S", b"p1")) + encode(m.Sync())],
            [query(text), query(PLAIN)],
            [query(text)[:8], query(text)[8:]],
        ]
    )
)
STEP = st.tuples(st.integers(0, PLAYERS - 1), SAID, st.integers(0, 3), st.integers(-12, 12))


@settings(deadline=None, max_examples=60, phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink))
@given(st.integers(1, 3), st.booleans(), st.lists(STEP, max_size=14))
@example(1, False, [(0, [unnamed(PLAIN)], 0, 0), (1, [query(PLAIN)], 0, 0), (0, [run("", describes=False)], 0, 0)])
def test_any_script_is_heard_as_alone(
    links: int, runs_code: bool, script: Sequence[tuple[int, list[bytes], int, int]]
) -> None:
    three = Three(links, runs_code=runs_code)
    for number, pieces, pick, cut in script:
        three.say(number, *pieces, pick=pick, cut=cut)
    three.end()
