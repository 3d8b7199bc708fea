"""How sessions of a pool are greeted, what is put in place before their first statement, and cancels of who waits."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from proxy.session.ports import BorrowServer, CloseLinks, ConnectUpstream, RegisterKey, ReturnServer
from proxy.session.shared_link import LinkKind
from proxy.session.track import Settings
from proxy.wire import messages as m
from proxy.wire.codec import encode
from tests.playbooks.pooled import REPORTED, KnownPool, PooledWorld, link_of
from tests.playbooks.stage import DONE, READY, Play, StageServices, error, kinds, sqlstates
from tests.playbooks.test_lane import MASKED, PLAIN, query, unnamed
from tests.playbooks.test_pooled import world

GREETED = ["AuthenticationOk", "ParameterStatus", "ParameterStatus", "BackendKeyData", "ReadyForQuery"]
TOKYO = {"timezone": "Asia/Tokyo"}


class NewPool(KnownPool):
    """Nobody has logged in yet."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: dict[Settings, Mapping[bytes, bytes]] = {}

    def reported(self, kind: LinkKind, base: Settings) -> Mapping[bytes, bytes] | None:
        return self.noted.get(base)

    def note_reported(self, kind: LinkKind, base: Settings, values: Mapping[bytes, bytes]) -> None:
        self.noted[base] = values


def logged_in(pool: KnownPool | None = None, services: StageServices | None = None, **more: str) -> Play:
    """As far as that goes without a link."""
    services = services or StageServices()
    services.pool = pool or NewPool()
    play = Play(services)
    play._to_server.end_startup()
    play.log_in(**more)
    login = ("AuthenticationSASL", "AuthenticationSASLContinue", "AuthenticationSASLFinal")
    play._heard_by_client = [one for one in play._heard_by_client if type(one).__name__ not in login]
    return play


def test_who_comes_first_is_greeted_from_a_link() -> None:
    pool = NewPool()
    play = logged_in(pool)
    assert play.told() == [BorrowServer(LinkKind.GUARDED, is_first=True)]
    assert play.client_hears() == []
    play.lend(link_of(0, {}).shared)
    assert kinds(play.client_hears()) == GREETED
    assert play.server_hears() == []
    (key, back) = play.told()
    assert isinstance(key, RegisterKey)
    assert key.server_key == b"", "the key of a link is nobody's"
    assert back == ReturnServer()
    assert pool.noted == {(): REPORTED}


def test_who_comes_later_needs_none() -> None:
    play = logged_in(KnownPool())
    assert kinds(play.client_hears()) == GREETED
    assert [type(command) for command in play.told()] == [RegisterKey]


def test_the_applications_name_is_its_own() -> None:
    play = logged_in(KnownPool(), application_name="mine")
    assert m.ParameterStatus(b"application_name", b"mine") in play.client_hears()


def test_settings_of_the_startup_packet_are_put_in_place_first() -> None:
    pool = NewPool()
    play = logged_in(pool, **TOKYO)
    link = link_of(0, {}).shared
    play.lend(link)
    (asked,) = play.server_hears()
    assert isinstance(asked, m.Query)
    assert b"set_config" in asked.query
    assert b"Asia/Tokyo" in asked.query
    assert play.client_hears() == []
    play.server(m.CommandComplete(b"SELECT 1"), m.ParameterStatus(b"TimeZone", b"Asia/Tokyo"), READY)
    heard = play.client_hears()
    assert kinds(heard) == GREETED
    assert m.ParameterStatus(b"TimeZone", b"Asia/Tokyo") in heard
    assert [dict(values)[b"TimeZone"] for values in pool.noted.values()] == [b"Asia/Tokyo"]


def test_the_next_with_the_same_settings_needs_no_link() -> None:
    pool = NewPool()
    play = logged_in(pool, **TOKYO)
    play.lend(link_of(0, {}).shared)
    play.server(m.CommandComplete(b"SELECT 1"), m.ParameterStatus(b"TimeZone", b"Asia/Tokyo"), READY)
    again = logged_in(pool, **TOKYO)
    assert m.ParameterStatus(b"TimeZone", b"Asia/Tokyo") in again.client_hears()
    assert kinds(logged_in(pool).client_hears()) == [], "other settings are other settings"


def test_settings_that_the_server_refuses_end_the_session() -> None:
    play = logged_in(**TOKYO)
    link = link_of(0, {}).shared
    play.lend(link)
    play.server(error("22023", "invalid value, says the server"), READY)
    heard = play.client_hears()
    assert sqlstates(heard) == ["57P01"]
    assert "22023" in str(heard)
    assert "says the server" not in str(heard)
    assert link.is_spent
    assert CloseLinks() in play.told()


def test_an_unknown_catalog_is_told() -> None:
    play = logged_in(services=StageServices(snapshot=None))
    play.lend(link_of(0, {}).shared)
    assert sqlstates(play.client_hears()) == ["57P03"]


def test_no_link_for_the_first() -> None:
    play = logged_in()
    play.session.lend_failed("08006", "could not connect to the database server: refused")
    play.collect()
    assert sqlstates(play.client_hears()) == ["08006"]
    assert play.session.is_ended


def test_who_needs_a_link_of_its_own_gets_one() -> None:
    play = logged_in(KnownPool(), options="-c transaction_read_only=on")
    assert play.told() == [ConnectUpstream("shop")]


def test_a_server_that_speaks_out_of_turn_is_nobody_elses() -> None:
    for has_lane in (True, False):
        one = world(has_lane=has_lane, links=1).say(0, query(PLAIN))
        player = one.players[0]
        player.play.client_raw(query(PLAIN))
        one._carry_out(player)
        shared = one.links[0].shared
        player.play.lend(shared)
        player.play.server(m.RowDescription(()), DONE, READY, DONE)
        assert shared.is_spent or player.play.session.is_ended


# cancelled while it waits


def waiting(*, has_lane: bool) -> PooledWorld:
    return world(has_lane=has_lane, links=1).say(1, query(PLAIN)).say(0, query("BEGIN"))


def cancelled(one: PooledWorld) -> list[m.BackendMessage]:
    play = one.players[1].play
    play.client_hears()
    one.waiting.remove(one.players[1])  # as the pool forgets it
    play.session.wait_cancelled()
    play.collect()
    one._carry_out(one.players[1])
    return play.client_hears()


@pytest.mark.parametrize("has_lane", [True, False])
@pytest.mark.parametrize("said", [query(PLAIN), unnamed(MASKED)])
def test_a_cancel_answers_who_waits(said: bytes, has_lane: bool) -> None:
    one = waiting(has_lane=has_lane)
    records = len(one.services.records)
    one.say(1, said)
    heard = cancelled(one)
    assert sqlstates(heard) == ["57014"]
    assert heard[1:] == [READY]
    assert one.players[1].play.session.is_between_transactions
    assert len(one.services.records) == records
    one.say(1, said).say(0, query("COMMIT"))
    assert kinds(one.players[1].play.client_hears())[-2:] == ["CommandComplete", "ReadyForQuery"]


@pytest.mark.parametrize("has_lane", [True, False])
def test_a_cancel_skips_to_the_sync(has_lane: bool) -> None:
    one = waiting(has_lane=has_lane)
    said = unnamed(MASKED)
    one.say(1, said[:-5])
    assert sqlstates(cancelled(one)) == ["57014"]
    one.say(1, encode(m.Parse(b"", PLAIN.encode())))
    assert one.players[1].play.client_hears() == []
    one.say(1, encode(m.Sync()))
    assert one.players[1].play.client_hears() == [READY]
    one.say(1, query(PLAIN)).say(0, query("COMMIT"))
    assert kinds(one.players[1].play.client_hears())[-1] == "ReadyForQuery"


@pytest.mark.parametrize("has_lane", [True, False])
def test_a_cancel_is_of_one_statement(has_lane: bool) -> None:
    one = waiting(has_lane=has_lane)
    one.say(1, query(PLAIN), query(MASKED))
    assert sqlstates(cancelled(one)) == ["57014"]
    assert len(one.waiting) == 1
    one.say(0, query("COMMIT"))
    assert kinds(one.players[1].play.client_hears()) == [
        "RowDescription",
        "DataRow",
        "DataRow",
        "CommandComplete",
        "ReadyForQuery",
    ]


@pytest.mark.parametrize("has_lane", [True, False])
def test_a_cancel_for_one_that_doesnt_wait(has_lane: bool) -> None:
    one = world(has_lane=has_lane, links=1).say(0, query("BEGIN"))
    for player in one.players[:2]:
        player.play.client_hears()
        player.play.session.wait_cancelled()
        player.play.collect()
        assert player.play.client_hears() == []
    one.say(0, query("COMMIT"))
    assert kinds(one.players[0].play.client_hears())[-1] == "ReadyForQuery"
