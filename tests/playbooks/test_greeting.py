"""From the first packet to ReadyForQuery, and every way of not getting there."""

from __future__ import annotations

import pytest

from policies.catalog import Catalog
from proxy.session.phase import Phase
from proxy.session.ports import (
    CancelOther,
    CloseLinks,
    ConnectUpstream,
    RegisterKey,
    Rules,
    StartTls,
)
from proxy.wire import messages as m
from proxy.wire.codec import encode
from tests.playbooks.stage import PASSWORD, READY, Play, StageServices, kinds, policy_of, sqlstates


def test_a_login_reaches_the_server_under_the_gateways_name() -> None:
    play = Play().log_in(application_name="psql", TimeZone="UTC")
    assert play.told() == [ConnectUpstream("shop")]
    play.session.upstream_connected()
    play.collect()
    (startup,) = play.server_hears()
    assert isinstance(startup, m.StartupMessage)
    assert startup.parameters == {
        b"user": b"gate",
        b"database": b"warehouse",
        b"application_name": b"psql",
        b"timezone": b"UTC",
        b"client_encoding": b"UTF8",
        b"standard_conforming_strings": b"on",
        b"jit": b"off",
    }


def test_the_servers_process_id_stays_and_its_secret_does_not() -> None:
    play = Play().log_in()
    play.session.upstream_connected()
    play.server(m.AuthenticationOk(), m.BackendKeyData(42, b"\xaa\xbb\xcc\xdd"), m.ReadyForQuery(b"I"))
    keys = [x for x in play.client_hears() if isinstance(x, m.BackendKeyData)]
    assert keys == [m.BackendKeyData(42, b"\1\2\3\4")]
    assert RegisterKey(42, b"\1\2\3\4", b"\xaa\xbb\xcc\xdd") in play.told()
    assert b"\xaa\xbb\xcc\xdd" not in play.client_bytes
    assert play.services.logins == [True]
    assert [r.shape for r in play.services.records] == ["login"]


@pytest.mark.parametrize(
    ("user", "password"), [("ada", "wrong"), ("nobody", PASSWORD), ("silent", PASSWORD), ("silent", "")]
)
def test_every_failed_login_looks_alike(user: str, password: str) -> None:
    play = Play().log_in(user=user, password=password)
    heard = play.client_hears()
    assert kinds(heard) == ["AuthenticationSASL", "AuthenticationSASLContinue", "ErrorResponse"]
    assert sqlstates(heard) == ["28P01"]
    message = heard[-1].fields["M"]  # type: ignore[union-attr]
    assert message == f'password authentication failed for user "{user}"'.encode()
    assert play.told() == [CloseLinks()]
    assert play.services.logins == [False]
    assert [(r.shape, r.sqlstate) for r in play.services.records] == [("login", "28P01")]


def test_an_unknown_database_is_told_only_after_authentication() -> None:
    heard = Play().log_in(database="elsewhere").client_hears()
    assert kinds(heard)[-2:] == ["AuthenticationSASLFinal", "ErrorResponse"]
    assert sqlstates(heard) == ["3D000"]
    assert sqlstates(Play().log_in(database="elsewhere", password="x").client_hears()) == ["28P01"]


def test_a_walsender_without_a_database_is_told_what_to_name() -> None:
    heard = Play().log_in(database="replication", replication="true").client_hears()
    assert sqlstates(heard) == ["3D000"]
    assert b"one of `databases`" in heard[-1].fields["H"]  # type: ignore[union-attr]


def test_the_database_defaults_to_the_user() -> None:
    heard = Play().log_in(database="").client_hears()
    assert b'"ada"' in heard[-1].fields["M"]  # type: ignore[union-attr]


FORBIDDEN = [
    {"work_mem": "1GB"},
    {"options": "-c work_mem=1GB"},
    {"options": "--session_replication_role=replica"},
    {"options": "-d 5"},
    {"DateStyle": "German"},
    {"client_encoding": "LATIN1"},
    {"standard_conforming_strings": "off"},
    {"role": "postgres"},
    {"search_path": "shop, pg_catalog"},
    {"search_path": "pg_temp"},
    {"search_path": "a b"},
    {"client_min_messages": "debug5"},
]


@pytest.mark.parametrize("setting", FORBIDDEN)
def test_a_setting_that_is_not_listed_is_refused_by_name_after_the_login(setting: dict[str, str]) -> None:
    play = Play().log_in(**setting)
    heard = play.client_hears()
    assert kinds(heard) == [
        "AuthenticationSASL",
        "AuthenticationSASLContinue",
        "AuthenticationSASLFinal",
        "ErrorResponse",
    ]
    assert sqlstates(heard) == ["0A000"]
    assert play.session.phase is Phase.ENDED
    assert sqlstates(Play().log_in(password="wrong", **setting).client_hears()) == ["28P01"]


@pytest.mark.parametrize("setting", [*FORBIDDEN, {"application_name": "psql"}, {"search_path": "shop"}])
def test_where_nothing_is_guarded_every_setting_passes_as_it_came(setting: dict[str, str]) -> None:
    services = StageServices(policy=policy_of(is_everything=True))
    play = Play(services).log_in(**setting)
    play.session.upstream_connected()
    play.collect()
    (startup,) = play.server_hears()
    assert isinstance(startup, m.StartupMessage)
    own = {b"user": b"gate", b"database": b"warehouse"}
    assert startup.parameters == own | {k.encode(): v.encode() for k, v in setting.items()}
    play.server(m.AuthenticationOk(), READY)
    services.policy = policy_of("narrower")
    play.client(m.Query(b"select 1"))
    # What was set can't be known any more; a session whose settings are all listed may go on.
    assert (sqlstates(play.client_hears()) == ["57P01"]) == (setting in FORBIDDEN)


def test_a_value_that_is_no_text_passes_only_where_nothing_is_guarded() -> None:
    packet = {b"user": b"ada", b"database": b"shop", b"application_name": b"caf\xe9"}
    for is_everything in (True, False):
        play = Play(StageServices(policy=policy_of(is_everything=is_everything)))
        play.start(packet)
        assert (ConnectUpstream("shop") in play.told()) == is_everything


def test_listed_options_reach_the_server() -> None:
    play = Play().log_in(options=r'-c search_path="a\ b",public --statement_timeout=5s', client_encoding="'utf-8'")
    play.session.upstream_connected()
    play.collect()
    (startup,) = play.server_hears()
    assert isinstance(startup, m.StartupMessage)
    assert startup.parameters[b"search_path"] == b'"a b",public'
    assert startup.parameters[b"statement_timeout"] == b"5s"
    assert startup.parameters[b"client_encoding"] == b"UTF8"


# protocol versions


@pytest.mark.parametrize(
    ("asked", "options", "answer"),
    [
        ((3, 0), {}, None),
        ((3, 1), {}, None),
        ((3, 2), {}, None),
        ((3, 3), {}, (3, 2)),
        ((3, 9999), {}, (3, 2)),
        ((3, 0), {b"_pq_.novelty": b"1"}, (3, 0)),
        ((3, 2), {b"_pq_.novelty": b"1"}, (3, 2)),
        ((3, 9999), {b"_pq_.test_protocol_negotiation": b"", b"_pq_.b": b"2"}, (3, 2)),
    ],
)
def test_versions_and_options_are_negotiated_as_postgresql_18_does(
    asked: tuple[int, int], options: dict[bytes, bytes], answer: tuple[int, int] | None
) -> None:
    play = Play()
    play.client(m.StartupMessage(asked[0] << 16 | asked[1], {b"user": b"ada", **options}))
    heard = play.client_hears()
    assert kinds(heard)[-1] == "AuthenticationSASL"
    if answer is None:
        assert len(heard) == 1
    else:
        assert heard[0] == m.NegotiateProtocolVersion(answer[0] << 16 | answer[1], tuple(options))


@pytest.mark.parametrize("major", [2, 4, 1234])
def test_another_major_version_is_refused(major: int) -> None:
    play = Play().client_raw(b"\0\0\0\x11" + (major << 16).to_bytes(4, "big") + b"user\0ada\0")
    assert sqlstates(play.client_hears()) == ["0A000"]


@pytest.mark.parametrize(("minor", "length"), [(0, 4), (1, 4), (2, 32), (9999, 32)])
def test_a_cancel_key_has_the_length_of_the_clients_protocol(minor: int, length: int) -> None:
    play = Play()
    play.start({b"user": b"ada", b"database": b"shop"}, 3 << 16 | minor)
    play.session.upstream_connected()
    play.server(m.AuthenticationOk(), m.BackendKeyData(42, b"\xaa\xbb\xcc\xdd"), READY)
    (key,) = [x for x in play.client_hears() if isinstance(x, m.BackendKeyData)]
    assert (key.process_id, len(key.secret_key)) == (42, length)


def server18() -> StageServices:
    return StageServices(snapshot=Catalog(1, "shop", 180006, (), ("shop",), frozenset({"shop"})))


def test_a_server_that_knows_long_cancel_keys_is_asked_for_them() -> None:
    play = Play(server18()).log_in()
    play.session.upstream_connected()
    play.collect()
    assert play.server_hears()[0].protocol == m.PROTOCOL_3_2  # type: ignore[union-attr]
    long_key = bytes(range(200))
    play.server(m.AuthenticationOk(), m.BackendKeyData(42, long_key), READY)
    assert RegisterKey(42, b"\1\2\3\4", long_key) in play.told()
    assert play.session.phase is Phase.OPEN


def test_what_stands_before_a_server_may_negotiate_down() -> None:
    play = Play(server18()).log_in()
    play.session.upstream_connected()
    play.server(m.NegotiateProtocolVersion(m.PROTOCOL_3_0), m.AuthenticationOk())
    play.server(m.BackendKeyData(42, b"\xaa\xbb\xcc\xdd"), READY)
    assert play.session.phase is Phase.OPEN


@pytest.mark.parametrize(
    "messages",
    [
        [m.NegotiateProtocolVersion(m.PROTOCOL_3_2)],
        [m.NegotiateProtocolVersion(3 << 16 | 3)],
        [m.NegotiateProtocolVersion(2 << 16)],
        [m.NegotiateProtocolVersion(m.PROTOCOL_3_0, (b"_pq_.never_sent",))],
        [m.NegotiateProtocolVersion(m.PROTOCOL_3_0), m.NegotiateProtocolVersion(m.PROTOCOL_3_0)],
        [m.NegotiateProtocolVersion(m.PROTOCOL_3_0), m.AuthenticationOk(), m.BackendKeyData(1, bytes(32))],
        [m.AuthenticationOk(), m.NegotiateProtocolVersion(m.PROTOCOL_3_0)],
    ],
)
def test_a_server_that_negotiates_nonsense_is_not_followed(messages: list[m.BackendMessage]) -> None:
    play = Play(server18()).log_in()
    play.session.upstream_connected()
    play.client_hears()
    play.server(*messages)
    assert sqlstates(play.client_hears()) == ["XX000"]


def test_encryption_requests_are_answered_before_anything_else() -> None:
    play = Play()
    play.client(m.GSSENCRequest())
    play.client(m.SSLRequest())
    assert play.client_bytes == b"NN"
    assert play.session.phase is Phase.STARTUP
    offering = Play(rules=Rules(is_tls_offered=True))
    offering.client(m.SSLRequest())
    assert offering.client_bytes == b"S"
    assert offering.told() == [StartTls()]
    offering.session.tls_started()
    offering.log_in()
    assert ConnectUpstream("shop") in offering.told()


@pytest.mark.parametrize("request_", [m.SSLRequest(), m.GSSENCRequest()])
def test_encryption_is_asked_for_once(request_: m.Message) -> None:
    play = Play().client(request_).client(request_)
    assert play.client_bytes[:1] == b"N"
    assert b"C0A000" in play.client_bytes
    secured = Play(rules=Rules(is_tls_offered=True))
    secured.session.tls_started()
    secured.client(request_)
    assert sqlstates(secured.client_hears()) == ["0A000"]


def test_plain_links_are_refused_where_tls_is_required() -> None:
    play = Play(rules=Rules(is_tls_offered=True, is_tls_required=True)).log_in()
    assert sqlstates(play.client_hears()) == ["28000"]


def test_bytes_smuggled_behind_an_ssl_request_end_the_link() -> None:
    play = Play(rules=Rules(is_tls_offered=True))
    play.client_raw(encode(m.SSLRequest()) + encode(m.StartupMessage(m.PROTOCOL_3_0, {b"user": b"ada"})))
    assert StartTls() not in play.told()
    assert play.session.phase is Phase.ENDED


def test_a_cancel_request_is_handed_on_and_ends_its_link() -> None:
    play = Play().client(m.CancelRequest(42, b"\1\2\3\4"))
    assert play.told() == [CancelOther(42, b"\1\2\3\4"), CloseLinks()]
    assert play.client_bytes == b""


@pytest.mark.parametrize(
    "garbage",
    [b"GET / HTTP/1.1\r\n\r\n", b"\x7f\xff\xff\xff", b"\0\0\0\x08\0\2\0\0", b"\0\0\0\x09\0\3\0\0\0", b"\0\0\0\0"],
)
def test_garbage_on_the_port_gets_a_fatal_answer(garbage: bytes) -> None:
    play = Play().client_raw(garbage)
    heard = play.client_hears()
    assert kinds(heard) == ["ErrorResponse"]
    assert play.told() == [CloseLinks()]


def test_a_query_instead_of_a_password_is_refused() -> None:
    play = Play()
    play.client(m.StartupMessage(m.PROTOCOL_3_0, {b"user": b"ada", b"database": b"shop"}))
    play.client(m.Query(b"select 1"))
    assert sqlstates(play.client_hears()) == ["08P01"]
    assert play.server_hears() == []


def test_what_a_client_sends_while_the_server_connects_waits() -> None:
    play = Play().log_in()
    play.client(m.Query(b"select 1"))
    assert play.server_hears() == []
    assert not play.session.wants_client_data
    play.session.upstream_connected()
    play.server(m.AuthenticationOk(), m.ReadyForQuery(b"I"))
    assert play.server_hears()[-1] == m.Query(b"select 1")


def test_an_unreachable_server_is_a_connection_failure() -> None:
    play = Play().log_in()
    play.session.upstream_failed("connection refused")
    play.collect()
    assert sqlstates(play.client_hears()) == ["08006"]


def test_a_stalled_handshake_ends() -> None:
    play = Play()
    play.session.handshake_timed_out()
    play.collect()
    assert sqlstates(play.client_hears()) == ["08006"]
    opened = Play().open()
    opened.session.handshake_timed_out()
    opened.collect()
    assert opened.client_hears() == []
