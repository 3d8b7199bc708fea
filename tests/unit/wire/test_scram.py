"""SCRAM by RFC 7677's vectors, both ends against each other, and everything a hostile end can change."""

import base64
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.wire.errors import AuthenticationFailed, LocalProtocolError, ProtocolViolation
from proxy.wire.saslprep import prepare_password, saslprep
from proxy.wire.scram import (
    MAX_ITERATIONS,
    KnownKeys,
    ScramClient,
    ScramServer,
    Verifier,
    make_nonce,
    make_verifier,
    md5_password,
    offered_mechanisms,
)

SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
CLIENT_NONCE, SERVER_NONCE = b"rOprNGfwEbeRWgbNEkqO", b"%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
BOTH = CLIENT_NONCE + SERVER_NONCE

# RFC 7677, section 3
CLIENT_FIRST = b"n,,n=user,r=" + CLIENT_NONCE
SERVER_FIRST = b"r=" + BOTH + b",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
CLIENT_FINAL = b"c=biws,r=" + BOTH + b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

VERIFIER = make_verifier("pencil", 4096, SALT)
SECRET = b"a secret of this process"
MARK = b"\x5a" * 32  # of a channel: the hash of its certificate


def server(verifier: str | None = VERIFIER, user: str = "user", nonce: bytes = SERVER_NONCE) -> ScramServer:
    return ScramServer(verifier, user, SECRET, nonce)


def client(password: str = "pencil", binding: bytes = b"", is_offered: bool = False) -> ScramClient:
    return ScramClient(password, CLIENT_NONCE, "user", binding, is_offered)


def agree(end: ScramClient, other: ScramServer) -> None:
    end.verify(other.respond(end.final(other.respond(end.first()))))


def test_vectors_of_rfc_7677_client() -> None:
    end = client()
    assert end.first() == CLIENT_FIRST
    assert end.final(SERVER_FIRST) == CLIENT_FINAL
    assert not end.is_authenticated
    end.verify(SERVER_FINAL)
    assert end.is_authenticated


def test_vectors_of_rfc_7677_server() -> None:
    end = server()
    assert not end.is_final_next
    assert end.respond(CLIENT_FIRST) == SERVER_FIRST
    assert end.is_final_next
    assert end.respond(CLIENT_FINAL) == SERVER_FINAL
    assert end.is_authenticated


@settings(deadline=None, max_examples=30)
@given(st.text(max_size=10), st.text(max_size=10), st.sampled_from([b"", MARK]))
def test_both_ends_agree_exactly_on_the_same_password(password: str, other: str, binding: bytes) -> None:
    end, peer = client(password, binding), server(make_verifier(other, 2, SALT))
    if prepare_password(password) == prepare_password(other):
        agree(end, peer)
        assert end.is_authenticated
    else:
        with pytest.raises(AuthenticationFailed):
            agree(end, peer)
        assert not peer.is_authenticated


def test_an_unknown_user_gets_the_whole_exchange_and_fails_at_the_proof() -> None:
    doomed = server(None, "nobody")
    first = doomed.respond(CLIENT_FIRST)
    assert [part[:2] for part in first.split(b",")] == [b"r=", b"s=", b"i="]
    assert len(first) == len(SERVER_FIRST)
    with pytest.raises(AuthenticationFailed) as unknown:
        doomed.respond(client().final(first))
    wrong, end = server(), client("pen")
    with pytest.raises(AuthenticationFailed) as known:
        wrong.respond(end.final(wrong.respond(end.first())))
    assert str(unknown.value) == str(known.value)
    assert unknown.value.sqlstate == known.value.sqlstate == "28P01"


def test_a_fake_salt_is_the_users_own_and_stays() -> None:
    def salt(user: str, secret: bytes = SECRET, nonce: bytes = b"x") -> bytes:
        return ScramServer(None, user, secret, nonce).respond(CLIENT_FIRST).split(b",")[1]

    assert salt("a") == salt("a", nonce=b"y")
    assert salt("a") != salt("b")
    assert salt("a") != salt("a", secret=b"another")


def test_the_fake_iterations_are_what_one_asks_for() -> None:
    assert ScramServer(None, "a", SECRET, b"x", 9000).respond(CLIENT_FIRST).endswith(b",i=9000")


def test_no_proof_helps_an_unknown_user() -> None:
    # Of a fake verifier of zeros the proof that the signature cancels would be known to anyone.
    doomed = server(None)
    doomed.respond(CLIENT_FIRST)
    with pytest.raises(AuthenticationFailed):
        doomed.respond(CLIENT_FINAL)


@pytest.mark.parametrize("over_by", [CLIENT_FINAL, CLIENT_FINAL.replace(b"p=d", b"p=e"), b"nonsense"])
def test_one_guess_for_one_nonce(over_by: bytes) -> None:
    end = server()
    end.respond(CLIENT_FIRST)
    try:
        end.respond(over_by)
    except ProtocolViolation:
        assert not end.is_authenticated
    with pytest.raises(LocalProtocolError):
        end.respond(CLIENT_FINAL)


def test_an_initial_response_without_data() -> None:
    end = server()
    assert end.respond(None) == b""
    assert end.respond(CLIENT_FIRST) == SERVER_FIRST
    with pytest.raises(ProtocolViolation):
        end.respond(None)


def test_the_username_in_the_message_is_ignored() -> None:
    assert server().respond(b"n,,n=,r=" + CLIENT_NONCE) == SERVER_FIRST


def test_extensions_are_ignored_unless_mandatory() -> None:
    end = server()
    assert end.respond(CLIENT_FIRST + b",x=1") == SERVER_FIRST
    with pytest.raises(AuthenticationFailed):
        end.respond(CLIENT_FINAL)  # the extension belongs to what is signed


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"n",
        b"n,,",
        b"x,,n=,r=abc",
        b"n,,n=,r=",
        b"n,,n=,r=a b",
        b"n,,n=,r=\xff",
        b"n,,r=abc",
        b"n,,m=x,n=,r=abc",
        b"n,a=root,n=,r=abc",
        b"p=tls-server-end-point,,n=,r=abc",
        b"n,,n=,r=abc,",
        b"n,,n=,r=abc,x",
        b"n,,n=a\0b,r=abc",
        b"n,,n=,r=abc\n",
        b"n,,n=,r=" + b"a" * 66_000,
    ],
)
def test_malformed_first_messages(message: bytes) -> None:
    with pytest.raises(ProtocolViolation) as raised:
        server().respond(message)
    assert raised.value.sqlstate == "08P01"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"c=biws", b"c=eSws"),
        (b"c=biws", b"c="),
        (b"c=biws,", b""),
        (BOTH, CLIENT_NONCE),
        (BOTH, BOTH + b"x"),
        (BOTH, b"x" + BOTH),
        (b",p=", b",q="),
        (b"p=dHzb", b"p=dHz"),
        (b"p=dHzb", b"p=dHz?"),
        (b"VQ=", b"VQ=,x=1"),
        (b"VQ=", b"VQ=\n"),
    ],
)
def test_malformed_final_messages(old: bytes, new: bytes) -> None:
    end = server()
    end.respond(CLIENT_FIRST)
    assert old in CLIENT_FINAL
    with pytest.raises(ProtocolViolation) as raised:
        end.respond(CLIENT_FINAL.replace(old, new))
    assert raised.value.sqlstate == "08P01"
    assert not end.is_authenticated


@pytest.mark.parametrize(
    "message",
    [
        b"",
        SERVER_FIRST.replace(BOTH, CLIENT_NONCE),
        SERVER_FIRST.replace(BOTH, SERVER_NONCE),
        SERVER_FIRST.replace(b"i=4096", b"i=0"),
        SERVER_FIRST.replace(b"i=4096", b"i=%d" % (MAX_ITERATIONS + 1)),
        SERVER_FIRST.replace(b"i=4096", b"i=-1"),
        SERVER_FIRST.replace(b"s=W22Z", b"s=W2="),
        SERVER_FIRST.replace(b"s=W22ZaJ0SNY7soEsUEjb6gQ==", b"s="),
        b"m=x," + SERVER_FIRST,
        SERVER_FIRST + b",",
        SERVER_FIRST + b"\n",
    ],
)
def test_malformed_server_first_messages(message: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        client().final(message)


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (b"e=invalid-proof", AuthenticationFailed),
        (SERVER_FINAL.replace(b"v=6", b"v=7"), AuthenticationFailed),
        (b"v=", ProtocolViolation),
        (SERVER_FINAL + b"\n", ProtocolViolation),
        (b"", ProtocolViolation),
    ],
)
def test_a_server_that_does_not_know_the_verifier(message: bytes, error: type[ProtocolViolation]) -> None:
    end = client()
    end.final(SERVER_FIRST)
    with pytest.raises(ProtocolViolation) as raised:
        end.verify(message)
    assert raised.type is error
    assert not end.is_authenticated


def test_a_server_that_skips_the_exchange() -> None:
    with pytest.raises(LocalProtocolError):
        client().verify(SERVER_FINAL)


PLUS, PLAIN = b"SCRAM-SHA-256-PLUS", b"SCRAM-SHA-256"


def bound_server(mechanism: bytes = PLUS, binding: bytes = MARK, verifier: str | None = VERIFIER) -> ScramServer:
    return ScramServer(verifier, "user", SECRET, SERVER_NONCE, binding=binding, mechanism=mechanism)


def test_the_channel_goes_under_the_proof_where_it_is_offered() -> None:
    end, peer = client(binding=MARK, is_offered=True), bound_server()
    assert end.mechanism == PLUS == offered_mechanisms(MARK)[0]
    assert end.first().startswith(b"p=tls-server-end-point,,n=")
    agree(end, peer)
    assert end.is_authenticated
    assert peer.is_authenticated


def test_one_who_holds_two_channels_together_is_found() -> None:
    end, peer = client(binding=b"\x11" * 32, is_offered=True), bound_server()
    with pytest.raises(ProtocolViolation, match="channel binding check failed") as raised:
        agree(end, peer)
    assert raised.value.sqlstate == "28000"
    assert not peer.is_authenticated


def test_one_who_takes_the_offer_away_is_found() -> None:
    end = client(binding=MARK)  # sees TLS, but no offer of PLUS
    assert end.mechanism == PLAIN
    with pytest.raises(ProtocolViolation, match="was offered") as raised:
        bound_server(PLAIN).respond(end.first())
    assert raised.value.sqlstate == "28000"
    # ... and one who also rewrites what the client says of it, at the proof.
    peer = bound_server(PLAIN)
    answer = peer.respond(b"n" + end.first()[1:])
    with pytest.raises(ProtocolViolation, match="channel binding"):
        peer.respond(end.final(answer))


@pytest.mark.parametrize(
    ("mechanism", "header"),
    [(PLUS, b"n,,"), (PLUS, b"y,,"), (PLAIN, b"p=tls-server-end-point,,"), (PLUS, b"p=tls-unique,,")],
)
def test_a_header_that_does_not_fit_its_mechanism(mechanism: bytes, header: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        bound_server(mechanism).respond(header + b"n=,r=abc")


def test_a_mechanism_that_was_not_offered() -> None:
    for mechanism, binding in ((PLUS, b""), (b"SCRAM-SHA-1", MARK), (b"", MARK)):
        with pytest.raises(ProtocolViolation, match="invalid SASL"):
            bound_server(mechanism, binding)


def test_an_unknown_user_is_bound_to_the_channel_as_any_other() -> None:
    doomed = bound_server(verifier=None)
    end = client(binding=MARK, is_offered=True)
    with pytest.raises(AuthenticationFailed):
        agree(end, doomed)


def test_names_are_escaped() -> None:
    assert ScramClient("x", b"abc", "a=b,c").first() == b"n,,n=a=3Db=2Cc,r=abc"


def test_verifiers() -> None:
    assert str(Verifier.parse(VERIFIER)) == VERIFIER
    assert VERIFIER.startswith("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$")
    assert "pencil" not in VERIFIER
    assert make_verifier("pencil", salt=SALT) == VERIFIER
    assert make_verifier("pencil", 4096, b"another salt") != VERIFIER


@pytest.mark.parametrize(
    "text",
    [
        "",
        VERIFIER[:-4],
        VERIFIER.replace("4096", "0"),
        VERIFIER.replace("256", "1"),
        VERIFIER + "\n",
        VERIFIER.replace("W22Z", "?22Z"),
        VERIFIER.replace("4096", "٤"),
    ],
)
def test_what_is_no_verifier(text: str) -> None:
    with pytest.raises(LocalProtocolError):
        ScramServer(text, "user", SECRET, SERVER_NONCE)


def test_wrong_use_is_our_own_error() -> None:
    with pytest.raises(LocalProtocolError):
        make_verifier("x")
    with pytest.raises(LocalProtocolError):
        make_verifier("x", 0, SALT)
    for nonce in (b"", b"a,b", b"\xff", b"a\n"):
        with pytest.raises(LocalProtocolError):
            ScramClient("x", nonce)


@given(st.binary(min_size=1, max_size=30))
def test_nonces_are_fit_for_use(random_bytes: bytes) -> None:
    assert ScramClient("x", make_nonce(random_bytes)).first().endswith(b"r=" + make_nonce(random_bytes))


def test_md5_password() -> None:
    # From PostgreSQL: select 'md5' || md5(md5('secret' || 'ada') || 'salt')
    assert md5_password("ada", "secret", b"salt") == b"md5" + _md5(_md5(b"secretada") + b"salt")


def _md5(data: bytes) -> bytes:
    import hashlib

    return hashlib.md5(data).hexdigest().encode()


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        ("I\u00adX", "IX"),  # RFC 4013, section 3
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("\u0007", None),
        ("\u0627\u0031", None),
        ("a\u00a0b", "a b"),
        ("a\u200bb", "a b"),
        ("\u00ad", None),
        ("\u0627\u0628", "\u0627\u0628"),
        ("\u0627a\u0628", None),
        ("\ue000", None),
        ("\u0221", None),
    ],
)
def test_saslprep(text: str, prepared: str | None) -> None:
    assert saslprep(text) == prepared


def test_passwords_that_saslprep_refuses_are_taken_as_they_are() -> None:
    assert prepare_password("\u00adx") == b"x"
    assert prepare_password("\u0627\u0031") == "\u0627\u0031".encode()
    assert prepare_password("\x07") == b"\x07"
    assert prepare_password("\udcff") == b"\xff"


def counted_derivations(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rounds of each derivation from here on."""
    rounds: list[int] = []
    derive = hashlib.pbkdf2_hmac

    def counted(name: str, password: bytes, salt: bytes, iterations: int) -> bytes:
        rounds.append(iterations)
        return derive(name, password, salt, iterations)

    monkeypatch.setattr(hashlib, "pbkdf2_hmac", counted)
    return rounds


def test_known_keys_are_derived_once_for_a_password_salt_and_iterations(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = counted_derivations(monkeypatch)
    known = KnownKeys()
    first = known.derive("secret", b"salt", 10)
    assert known.derive("secret", b"salt", 10) == first
    assert rounds == [10]
    others = [("Secret", b"salt", 10), ("secret", b"Salt", 10), ("secret", b"salt", 11)]
    assert first not in [known.derive(*other) for other in others]
    assert rounds == [10, 10, 10, 11]


def test_known_keys_are_bounded_and_the_oldest_go() -> None:
    known = KnownKeys(limit=3)
    for number in range(10):
        known.derive("secret", b"%d" % number, 1)
    assert len(known) == 3


def test_known_keys_show_and_keep_no_secret() -> None:
    known = KnownKeys()
    keys = known.derive("open-sesame", b"salt", 1)
    assert repr(keys) == "Keys()"
    assert "open-sesame" not in repr(vars(known))


def test_a_login_with_known_keys_proves_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    verifier = make_verifier("secret", 100, b"0123456789abcdef")
    rounds = counted_derivations(monkeypatch)
    known = KnownKeys()
    for number in range(3):
        server = ScramServer(verifier, "ada", b"s", b"server%d" % number)
        client = ScramClient("secret", b"client%d" % number, known=known)
        client.verify(server.respond(client.final(server.respond(client.first()))))
        assert server.is_authenticated
        assert client.is_authenticated
    assert rounds == [100]


def test_known_keys_of_another_password_prove_nothing() -> None:
    verifier = make_verifier("secret", 100, b"0123456789abcdef")
    known = KnownKeys()
    for password in ("secret", "wrong"):
        server = ScramServer(verifier, "ada", b"s", b"server")
        client = ScramClient(password, b"client", known=known)
        proof = client.final(server.respond(client.first()))
        if password == "secret":
            server.respond(proof)
        else:
            with pytest.raises(AuthenticationFailed):
                server.respond(proof)
