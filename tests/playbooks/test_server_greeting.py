"""From the client's login to the server's ReadyForQuery: the gateway's own login, and hosts that won't do."""

from __future__ import annotations

import pytest

from proxy.session.phase import Phase
from proxy.session.ports import Channel, ConnectUpstream, Gateway
from proxy.wire import messages as m
from proxy.wire.scram import ScramServer, md5_password
from tests.playbooks.stage import PASSWORD, READY, VERIFIER, Play, StageServices, error, kinds, sqlstates


def log_in_at_server(play: Play, *messages: m.Message) -> Play:
    play.log_in()
    play.session.upstream_connected()
    play.collect()
    play.server_hears()
    return play.server(*messages)


def test_cleartext_and_md5_towards_the_server() -> None:
    services = StageServices(gateway_password="geheim")
    play = log_in_at_server(Play(services), m.AuthenticationCleartextPassword())
    assert play.server_hears() == [m.SASLResponse(b"geheim\0")]
    play = log_in_at_server(Play(services), m.AuthenticationMD5Password(b"salt"))
    assert play.server_hears() == [m.SASLResponse(md5_password("gate", "geheim", b"salt") + b"\0")]


def test_scram_towards_the_server_checks_its_proof() -> None:
    services = StageServices(gateway_password=PASSWORD)
    play = log_in_at_server(Play(services), m.AuthenticationSASL((b"SCRAM-SHA-256",)))
    (first,) = play.server_hears()
    assert isinstance(first, m.SASLResponse)
    server = ScramServer(VERIFIER, "gate", b"s", b"serversnonce")
    play.server(m.AuthenticationSASLContinue(server.respond(first.data.split(b"\0", 1)[1][4:])))
    (final,) = play.server_hears()
    assert isinstance(final, m.SASLResponse)
    proof = server.respond(final.data)
    play.client_hears()
    play.server(m.AuthenticationSASLFinal(proof), m.AuthenticationOk())
    assert play.client_hears() == []  # another server may have to be taken
    play.server(READY)
    assert play.client_hears() == [m.AuthenticationOk(), READY]


def test_a_server_that_skips_its_proof_is_not_trusted() -> None:
    services = StageServices(gateway_password=PASSWORD)
    play = log_in_at_server(Play(services), m.AuthenticationSASL((b"SCRAM-SHA-256",)), m.AuthenticationOk())
    heard = play.client_hears()
    assert sqlstates(heard) == ["08006"]
    assert m.AuthenticationOk() not in heard


def test_what_the_server_says_of_the_gateways_login_stays_inside() -> None:
    refusal = error("28P01", 'password authentication failed for user "gate"', "FATAL")
    heard = log_in_at_server(Play(), refusal).client_hears()
    assert sqlstates(heard) == ["08006"]
    assert b'gate"' not in heard[-1].fields["M"]  # type: ignore[union-attr]
    heard = log_in_at_server(Play(), error("53300", "too many clients", "FATAL")).client_hears()
    assert sqlstates(heard) == ["53300"]


# another host


class Wanting(StageServices):
    """A DSN with target_session_attrs."""

    def __init__(self, wanted: str) -> None:
        super().__init__()
        self.wanted = wanted

    def gateway(self, database: str) -> Gateway:
        return Gateway("gate", "warehouse", target_session_attrs=self.wanted)


def greet(play: Play, standby: str, read_only: str) -> Play:
    return play.server(
        m.AuthenticationOk(),
        m.ParameterStatus(b"in_hot_standby", standby.encode()),
        m.ParameterStatus(b"default_transaction_read_only", read_only.encode()),
        m.BackendKeyData(42, b"\xaa\xbb\xcc\xdd"),
        READY,
    )


@pytest.mark.parametrize(
    ("wanted", "standby", "read_only", "is_fit"),
    [
        ("any", "on", "on", True),
        ("read-write", "off", "off", True),
        ("read-write", "off", "on", False),
        ("read-write", "on", "off", False),
        ("read-only", "off", "on", True),
        ("read-only", "off", "off", False),
        ("primary", "off", "on", True),
        ("primary", "on", "on", False),
        ("standby", "on", "off", True),
        ("standby", "off", "on", False),
    ],
)
def test_a_server_of_another_kind_is_left_for_the_next(wanted: str, standby: str, read_only: str, is_fit: bool) -> None:
    play = Play(Wanting(wanted)).log_in()
    play.client_hears()
    play.told()
    play.session.upstream_connected(is_last=False)
    greet(play, standby, read_only)
    if is_fit:
        assert kinds(play.client_hears())[-1] == "ReadyForQuery"
        return
    assert play.client_hears() == []
    assert play.told() == [ConnectUpstream("shop")], "and no key that would cancel elsewhere"
    play.session.upstream_connected(is_last=True)
    play.client_hears()
    greet(play, standby, read_only)
    assert sqlstates(play.client_hears()) == ["08006"]
    assert play.session.phase is Phase.ENDED


@pytest.mark.parametrize(
    ("sqlstate", "is_left"), [("57P03", True), ("28000", True), ("28P01", False), ("53300", False), ("3D000", False)]
)
def test_a_refusal_that_another_way_may_cure(sqlstate: str, is_left: bool) -> None:
    play = Play().log_in()
    play.client_hears()
    play.told()
    play.session.upstream_connected(is_last=False)
    play.server(error(sqlstate, "no", "FATAL"))
    assert (play.told() == [ConnectUpstream("shop")]) == is_left
    assert (play.client_hears() == []) == is_left
    if is_left:
        play.session.upstream_connected(is_last=True)
        greet(play, "off", "off")
        assert kinds(play.client_hears()) == [
            "AuthenticationOk",
            *["ParameterStatus"] * 2,
            "BackendKeyData",
            "ReadyForQuery",
        ]


def test_a_refused_proof_is_not_tried_without_tls() -> None:
    """Whoever stands between could else have the password asked for in clear."""
    services = StageServices(gateway_password="geheim")
    play = Play(services).log_in()
    play.client_hears()
    play.told()
    play.session.upstream_connected(is_last=False)
    play.server(m.AuthenticationCleartextPassword(), error("28000", "no", "FATAL"))
    assert sqlstates(play.client_hears()) == ["08006"]
    assert ConnectUpstream("shop") not in play.told()


# binding the gateway's login


class Binding(StageServices):
    def __init__(self, wanted: str) -> None:
        super().__init__()
        self.wanted = wanted

    def gateway(self, database: str) -> Gateway:
        return Gateway("gate", "warehouse", PASSWORD, channel_binding=self.wanted)


BOTH = m.AuthenticationSASL((b"SCRAM-SHA-256-PLUS", b"SCRAM-SHA-256"))
PLAIN = m.AuthenticationSASL((b"SCRAM-SHA-256",))


@pytest.mark.parametrize(
    ("wanted", "channel", "offer", "begins"),
    [
        ("prefer", Channel(b"m" * 32), BOTH, b"SCRAM-SHA-256-PLUS\0????p=tls-server-end-point,,"),
        ("prefer", Channel(b"m" * 32), PLAIN, b"SCRAM-SHA-256\0????y,,"),
        ("prefer", Channel(), BOTH, b"SCRAM-SHA-256\0????n,,"),
        ("prefer", None, PLAIN, b"SCRAM-SHA-256\0????n,,"),
        ("disable", Channel(b"m" * 32), BOTH, b"SCRAM-SHA-256\0????n,,"),
        ("require", Channel(b"m" * 32), BOTH, b"SCRAM-SHA-256-PLUS\0????p=tls-server-end-point,,"),
        ("require", Channel(b"m" * 32), PLAIN, b""),
        ("require", Channel(), BOTH, b""),
        ("require", None, BOTH, b""),
        ("require", Channel(b"m" * 32), m.AuthenticationCleartextPassword(), b""),
        ("require", Channel(b"m" * 32), m.AuthenticationMD5Password(b"salt"), b""),
        ("require", Channel(b"m" * 32), m.AuthenticationOk(), b""),
    ],
)
def test_the_gateways_login_is_bound_as_the_dsn_says(
    wanted: str, channel: Channel | None, offer: m.BackendMessage, begins: bytes
) -> None:
    play = Play(Binding(wanted)).log_in()
    play.session.upstream_connected(channel)
    play.collect()
    play.server_hears()
    play.client_hears()
    play.server(offer)
    heard = play.server_hears()
    if not begins:
        assert heard == [], "nothing of the password leaves"
        assert sqlstates(play.client_hears()) == ["08006"]
        return
    (first,) = heard
    assert isinstance(first, m.SASLResponse)
    mechanism, _, rest = first.data.partition(b"\0")
    assert (mechanism + b"\0????" + rest[4:]).startswith(begins)
