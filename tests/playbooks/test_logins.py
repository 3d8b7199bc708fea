"""Every way for a client to prove who it is, message by message, and what it reads when it can't."""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import replace

import pytest

from policies.model import ApiKey, Principal
from proxy.session.phase import Phase
from proxy.session.ports import Channel, CloseLinks, ConnectUpstream, KeyFound, Rules
from proxy.wire import messages as m
from proxy.wire.scram import ScramClient
from tests.playbooks.stage import ADA, PASSWORD, READY, VERIFIER, Play, StageServices, kinds, policy_of, sqlstates

MARK = b"\x5a" * 32
TLS = Rules(is_tls_offered=True)
START = {b"database": b"shop"}
TODAY = datetime.date(2026, 7, 1)


def key(name: str, expires: datetime.date | None = None) -> ApiKey:
    return ApiKey(name, hashlib.sha256(f"{name}-key".encode()).hexdigest(), expires)


PRINCIPALS = {
    "ada": ADA,
    "robot": Principal("robot", certificate=(("CN", "robot"),)),
    "both": Principal("both", certificate=(("CN", "both"),), scram=VERIFIER),
    "ci": Principal("ci", api_keys=(key("a"), key("b", TODAY), key("c", TODAY + datetime.timedelta(1)))),
    "robot2": Principal("robot2", api_keys=(key("a"),), has_stored_keys=True),
    "locked": Principal("locked", certificate=(("CN", "locked"),), api_keys=(key("a"),)),
}


class Services(StageServices):
    def principal(self, user: str) -> Principal | None:
        return PRINCIPALS.get(user)


def begin(user: str, channel: Channel | None = None, rules: Rules = TLS) -> Play:
    play = Play(Services(), rules)
    if channel is not None:
        play.session.tls_started(channel)
    return play.client(m.StartupMessage(m.PROTOCOL_3_0, {b"user": user.encode(), **START}))


def shown(*names: str, binding: bytes = b"") -> Channel:
    return Channel(binding, tuple(("CN", name) for name in names))


def records(play: Play) -> list[tuple[str, str]]:
    return [(r.sql_text, r.sqlstate) for r in play.services.records]


# SCRAM and its channel


def test_plus_is_offered_first_where_there_is_a_mark() -> None:
    assert begin("ada", Channel(MARK)).client_hears() == [
        m.AuthenticationSASL((b"SCRAM-SHA-256-PLUS", b"SCRAM-SHA-256"))
    ]
    for channel in (Channel(), None):
        assert begin("ada", channel).client_hears() == [m.AuthenticationSASL((b"SCRAM-SHA-256",))]


@pytest.mark.parametrize(("user", "is_in"), [("ada", True), ("nobody", False)])
def test_a_bound_exchange(user: str, is_in: bool) -> None:
    play = begin(user, Channel(MARK))
    scram = ScramClient(PASSWORD, b"abcdef", binding=MARK, is_offered=True)
    play.client(m.SASLInitialResponse(scram.mechanism, scram.first()))
    challenge = play.client_hears()[-1]
    assert isinstance(challenge, m.AuthenticationSASLContinue)
    play.client(m.SASLResponse(scram.final(challenge.data)))
    heard = play.client_hears()
    assert (kinds(heard) == ["AuthenticationSASLFinal"]) == is_in
    assert (sqlstates(heard) == ["28P01"]) != is_in


def test_plus_without_tls_and_unknown_mechanisms() -> None:
    for mechanism in (b"SCRAM-SHA-256-PLUS", b"SCRAM-SHA-1", b"OAUTHBEARER", b""):
        play = begin("ada").client(m.SASLInitialResponse(mechanism, b"n,,n=,r=abc"))
        assert sqlstates(play.client_hears()) == ["08P01"]
        assert play.services.logins == [False]


def test_an_unknown_user_has_as_many_iterations_as_most() -> None:
    class Strong(Services):
        def usual_iterations(self) -> int:
            return 10_000

    play = Play(Strong()).start({b"user": b"nobody", **START})
    challenge = play.client_hears()[1]
    assert isinstance(challenge, m.AuthenticationSASLContinue)
    assert challenge.data.endswith(b",i=10000")


# certificates


def test_a_certificate_alone_asks_for_nothing() -> None:
    play = begin("robot", shown("robot"))
    assert play.client_hears() == []
    assert play.told() == [ConnectUpstream("shop")]
    play.session.upstream_connected()
    play.server(m.AuthenticationOk(), READY)
    assert play.client_hears() == [m.AuthenticationOk(), READY]
    assert records(play) == [("login by certificate CN=robot", "")]


@pytest.mark.parametrize("names", [("ada",), ("robot", "ada"), ("robot", "robot"), (), ("Robot",), ("robot\0",)])
def test_another_ones_certificate_is_28000(names: tuple[str, ...]) -> None:
    play = begin("robot", shown(*names))
    assert sqlstates(play.client_hears()) == ["28000"]
    assert play.told() == [CloseLinks()]
    assert play.services.logins == [False]


@pytest.mark.parametrize("user", ["robot", "both", "locked", "nobody"])
def test_without_a_certificate_its_user_looks_like_nobody(user: str) -> None:
    play = Play(Services(), TLS)
    play.session.tls_started(Channel())
    play.start({b"user": user.encode(), **START})
    heard = play.client_hears()
    assert kinds(heard) == ["AuthenticationSASL", "AuthenticationSASLContinue", "ErrorResponse"]
    assert heard[-1].fields["M"] == f'password authentication failed for user "{user}"'.encode()  # type: ignore[union-attr]
    (record,) = records(play)
    assert record == ("login failed" if user == "nobody" else "login failed: no client certificate", "28P01")


def test_both_proofs_are_asked_for() -> None:
    for password, is_in in ((PASSWORD, True), ("wrong", False)):
        play = Play(Services(), TLS)
        play.session.tls_started(shown("both"))
        play.start({b"user": b"both", **START}, password=password)
        assert (ConnectUpstream("shop") in play.told()) == is_in
    locked = begin("locked", shown("locked"))
    assert locked.client_hears() == [m.AuthenticationCleartextPassword()]


def test_a_certificate_nobody_asked_for_changes_nothing() -> None:
    play = Play(Services(), TLS)
    play.session.tls_started(shown("somebody"))
    assert ConnectUpstream("shop") in play.start({b"user": b"ada", **START}).told()


# API keys


@pytest.mark.parametrize(
    ("password", "told", "record"),
    [
        (b"a-key", "", "login by API key a"),
        (b"c-key", "", "login by API key c"),
        (b"b-key", 'API key "b" of user "ci" has expired', "login failed: expired API key b"),
        (b"d-key", 'password authentication failed for user "ci"', "login failed: unknown API key"),
        (b"", 'password authentication failed for user "ci"', "login failed: unknown API key"),
        (key("a").sha256.encode(), 'password authentication failed for user "ci"', "login failed: unknown API key"),
    ],
)
def test_an_api_key(password: bytes, told: str, record: str) -> None:
    play = begin("ci", Channel(MARK))
    assert play.client_hears() == [m.AuthenticationCleartextPassword()]
    play.client(m.PasswordMessage(password))
    heard = play.client_hears()
    assert [x.fields["M"].decode() for x in heard if isinstance(x, m.ErrorResponse)] == ([told] if told else [])
    if not told:
        play.session.upstream_connected()
        play.server(m.AuthenticationOk(), READY)
    assert records(play) == [(record, "28P01" if told else "")]
    assert not password or password not in play.client_bytes


def test_an_api_key_is_asked_for_where_nobody_listens() -> None:
    play = begin("ci")
    (answer,) = play.client_hears()
    assert sqlstates([answer]) == ["28000"]
    assert b"over TLS only" in play.client_bytes
    assert begin("ci", rules=Rules(is_local=True)).client_hears() == [m.AuthenticationCleartextPassword()]


@pytest.mark.parametrize("message", [m.Query(b"select 1"), m.Sync(), m.Terminate()])
def test_another_message_in_place_of_a_password(message: m.Message) -> None:
    assert sqlstates(begin("ci", Channel()).client(message).client_hears()) == ["08P01"]


def test_a_password_with_a_nul_is_no_password() -> None:
    play = begin("ci", Channel()).client_raw(b"p\0\0\0\x0ba-key\0x")
    assert sqlstates(play.client_hears()) == ["08P01"]


# keys of the store

STORED = {
    ("robot2", hashlib.sha256(text.encode()).hexdigest()): KeyFound(name, flaw)
    for text, name, flaw in [
        ("good", "pgw_aaaaaaaa", ""),
        ("lost", "pgw_bbbbbbbb", "has been revoked"),
        ("old", "", "can't be checked now"),
    ]
}
WRONG = 'password authentication failed for user "robot2"'


@pytest.mark.parametrize(
    ("password", "told", "record"),
    [
        (b"good", "", "login by API key pgw_aaaaaaaa"),
        (b"a-key", "", "login by API key a"),
        (b"lost", 'API key pgw_bbbbbbbb of user "robot2" has been revoked', "API key pgw_bbbbbbbb has been revoked"),
        (
            b"old",
            'the API key of user "robot2" can\'t be checked now',
            "login failed: the API key can't be checked now",
        ),
        (b"other", WRONG, "login failed: unknown API key"),
        (b"pgw_aaaaaaaa", WRONG, "login failed: unknown API key"),
    ],
)
def test_a_key_of_the_store(password: bytes, told: str, record: str) -> None:
    play = begin("robot2", Channel())
    play.services.stored_keys = STORED
    assert play.client_hears() == [m.AuthenticationCleartextPassword()]
    play.client(m.PasswordMessage(password))
    heard = play.client_hears()
    assert [x.fields["M"].decode() for x in heard if isinstance(x, m.ErrorResponse)] == ([told] if told else [])
    if not told:
        play.session.upstream_connected()
        play.server(m.AuthenticationOk(), READY)
    assert [text for text, _ in records(play)] == [record if record.startswith("login") else f"login failed: {record}"]


def test_a_session_ends_with_the_key_that_it_logged_in_by() -> None:
    play = begin("robot2", Channel())
    play.services.stored_keys = STORED
    play.client(m.PasswordMessage(b"good"))
    play.session.upstream_connected()
    play.server(m.AuthenticationOk(), READY)
    play.client_hears()
    asked: list[tuple[str, str]] = []
    assert not play.session.end_without_key(lambda key, user: str(asked.append((key, user)) or ""))
    assert asked == [("pgw_aaaaaaaa", "robot2")]
    assert play.session.end_without_key(lambda key, user: "has been revoked")
    play.collect()
    (answer,) = play.client_hears()
    assert sqlstates([answer]) == ["57P01"]
    assert play.session.phase is Phase.ENDED
    assert records(play)[-1] == ("the session ends: API key pgw_aaaaaaaa has been revoked", "57P01")
    assert not play.session.end_without_key(lambda key, user: "has been revoked")


def test_a_session_without_a_key_of_the_store_has_none_to_lose() -> None:
    play = Play(StageServices()).open()
    assert not play.session.end_without_key(lambda key, user: "is unknown")


# after the login


def test_who_is_in_stays_in_when_proofs_change_and_goes_when_it_is_removed() -> None:
    services = StageServices()
    play = Play(services).open()
    services.policy = replace(policy_of(), principal=replace(ADA, scram=None))
    play.client(m.Query(b"select 1"))
    assert play.server_hears() == [m.Query(b"select 1")]
    services.policy = None
    play.client(m.Query(b"select 2"))
    assert play.server_hears() == []
    assert sqlstates(play.client_hears()) == ["57P01"]
    assert play.session.phase is Phase.ENDED
