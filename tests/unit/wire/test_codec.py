"""Every message survives encoding and decoding, frames are the manual's bytes, and malformed bodies are refused."""

from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.wire import messages as m
from proxy.wire.codec import ResponseKind, decode_backend, decode_frontend, decode_startup, encode
from proxy.wire.errors import LocalProtocolError, ProtocolViolation
from tests.wire_messages import BACKEND, FRONTEND, RESPONSES, STARTUP


def body_of(frame: bytes) -> bytes:
    assert int.from_bytes(frame[1:5], "big") == len(frame) - 1
    return frame[5:]


def _built(strategies: list[Any]) -> set[type]:
    return {strategy.wrapped_strategy.target for strategy in strategies}


def test_the_strategies_cover_every_message() -> None:
    assert _built(STARTUP) == set(get_args(m.StartupPacket))
    assert _built([*FRONTEND, *RESPONSES.values()]) == set(get_args(m.FrontendMessage))
    assert _built(BACKEND) == set(get_args(m.BackendMessage))


@pytest.mark.parametrize("messages", FRONTEND, ids=lambda s: s.wrapped_strategy.target.__name__)
def test_frontend_round_trip(messages: st.SearchStrategy[m.FrontendMessage]) -> None:
    @settings(max_examples=40, deadline=None)
    @given(messages)
    def check(message: m.FrontendMessage) -> None:
        frame = encode(message)
        assert decode_frontend(frame[0], body_of(frame)) == message
        assert decode_frontend(frame[0], memoryview(frame)[5:]) == message

    check()


@pytest.mark.parametrize("messages", BACKEND, ids=lambda s: s.wrapped_strategy.target.__name__)
def test_backend_round_trip(messages: st.SearchStrategy[m.BackendMessage]) -> None:
    @settings(max_examples=40, deadline=None)
    @given(messages)
    def check(message: m.BackendMessage) -> None:
        frame = encode(message)
        assert decode_backend(frame[0], body_of(frame)) == message

    check()


@pytest.mark.parametrize("kind", ResponseKind)
def test_authentication_answers_round_trip(kind: ResponseKind) -> None:
    @settings(max_examples=40, deadline=None)
    @given(RESPONSES[kind])
    def check(message: m.FrontendMessage) -> None:
        frame = encode(message)
        assert frame[:1] == b"p"
        assert decode_frontend(frame[0], body_of(frame), kind) == message

    check()


@given(st.one_of(STARTUP))
def test_startup_round_trip(packet: m.StartupPacket) -> None:
    frame = encode(packet)
    assert int.from_bytes(frame[:4], "big") == len(frame)
    assert decode_startup(frame[4:]) == packet


# The manual's layouts, written out by hand: a round trip alone would not notice two errors that cancel out.
LAYOUTS = [
    (m.StartupMessage(m.PROTOCOL_3_0, {b"user": b"ada"}), b"\0\0\0\x12\0\3\0\0user\0ada\0\0"),
    (m.SSLRequest(), b"\0\0\0\x08\x04\xd2\x16\x2f"),
    (m.GSSENCRequest(), b"\0\0\0\x08\x04\xd2\x16\x30"),
    (m.CancelRequest(7, b"abcd"), b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x07abcd"),
    (m.Query(b"select 1"), b"Q\0\0\0\x0dselect 1\0"),
    (m.Parse(b"s", b"q", (23,)), b"P\0\0\0\x0es\0q\0\0\1\0\0\0\x17"),
    (
        m.Bind(b"", b"s", (1,), (b"xy", None), (0, 1)),
        b"B\0\0\0\x1d\0s\0\0\1\0\1\0\2\0\0\0\2xy\xff\xff\xff\xff\0\2\0\0\0\1",
    ),
    (m.Describe(b"S", b"s"), b"D\0\0\0\x07Ss\0"),
    (m.Execute(b"", 5), b"E\0\0\0\x09\0\0\0\0\5"),
    (m.Close(b"P", b""), b"C\0\0\0\x06P\0"),
    (m.Sync(), b"S\0\0\0\4"),
    (m.SASLInitialResponse(b"X", None), b"p\0\0\0\x0aX\0\xff\xff\xff\xff"),
    (m.AuthenticationOk(), b"R\0\0\0\x08\0\0\0\0"),
    (m.AuthenticationMD5Password(b"salt"), b"R\0\0\0\x0c\0\0\0\5salt"),
    (m.AuthenticationSASL((b"A", b"B")), b"R\0\0\0\x0d\0\0\0\x0aA\0B\0\0"),
    (m.BackendKeyData(7, b"abcd"), b"K\0\0\0\x0c\0\0\0\x07abcd"),
    (m.NegotiateProtocolVersion(2, (b"_pq_.x",)), b"v\0\0\0\x13\0\0\0\2\0\0\0\1_pq_.x\0"),
    (m.ReadyForQuery(b"T"), b"Z\0\0\0\5T"),
    (m.ErrorResponse({"S": b"ERROR", "C": b"42501"}), b"E\0\0\0\x13SERROR\0C42501\0\0"),
    (
        m.RowDescription((m.Field(b"c", 16384, 2, 25, -1, -1, 0),)),
        b"T\0\0\0\x1a\0\1c\0\0\0\x40\0\0\2\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0",
    ),
    (m.DataRow((b"xy", None, b"")), b"D\0\0\0\x14\0\3\0\0\0\2xy\xff\xff\xff\xff\0\0\0\0"),
    (m.CopyOutResponse(0, (0, 0)), b"H\0\0\0\x0b\0\0\2\0\0\0\0"),
    (m.FunctionCallResponse(None), b"V\0\0\0\x08\xff\xff\xff\xff"),
]


@pytest.mark.parametrize(("message", "frame"), LAYOUTS, ids=lambda value: type(value).__name__)
def test_layout(message: m.Message, frame: bytes) -> None:
    assert encode(message) == frame


MALFORMED_FRONTEND = [
    ("Q", b"no terminator"),
    ("Q", b"text\0and more"),
    ("S", b"x"),
    ("P", b"s\0q\0\0\2\0\0\0\1"),
    ("B", b"\0\0\0\0\0\1\xff\xff\xff\xfe\0\0"),
    ("B", b"\0\0\0\0\0\1\0\0\0\5abc"),
    ("D", b"Xs\0"),
    ("D", b""),
    ("E", b"\0\0\0"),
    ("Z", b"I"),
    ("\0", b""),
]


@pytest.mark.parametrize(("letter", "body"), MALFORMED_FRONTEND)
def test_malformed_frontend_messages(letter: str, body: bytes) -> None:
    with pytest.raises(ProtocolViolation) as raised:
        decode_frontend(ord(letter), body)
    assert raised.value.sqlstate == "08P01"


MALFORMED_BACKEND = [
    ("Z", b"X"),
    ("Z", b"IT"),
    ("R", b"\0\0\0\x63"),
    ("R", b"\0\0\0\5abc"),
    ("K", b"\0\0\0\1"),
    ("K", b"\0\0\0\1" + bytes(257)),
    ("v", b"\0\0\0\2\xff\xff\xff\xff"),
    ("v", b"\0\0\0\2\x7f\xff\xff\xffa\0"),
    ("E", b"SERROR\0"),
    ("E", b"SERROR\0SPANIC\0\0"),
    ("D", b"\0\2\0\0\0\1a"),
    ("T", b"\0\1c\0\0\0"),
    ("Q", b"select 1\0"),
]


@pytest.mark.parametrize(("letter", "body"), MALFORMED_BACKEND)
def test_malformed_backend_messages(letter: str, body: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        decode_backend(ord(letter), body)


@pytest.mark.parametrize(
    ("body", "sqlstate"),
    [
        (b"", "08P01"),
        (b"\0\2\0\0", "0A000"),
        (b"\0\4\0\0\0", "0A000"),
        (b"\0\3\0\0", "08P01"),
        (b"\0\3\0\0user\0ada\0", "08P01"),
        (b"\0\3\0\0user\0ada\0\0more", "08P01"),
        (b"\x04\xd2\x16\x2fx", "08P01"),
        (b"\x04\xd2\x16\x2e\0\0\0\1", "08P01"),
    ],
)
def test_malformed_startup_packets(body: bytes, sqlstate: str) -> None:
    with pytest.raises(ProtocolViolation) as raised:
        decode_startup(body)
    assert raised.value.sqlstate == sqlstate


UNWRITABLE = [
    m.Query(b"select 1\0; drop table t"),
    m.Parse(b"s", b"q", (-1,)),
    m.Bind(b"", b"", (70_000,)),
    m.Bind(b"", b"", (0,) * 65_536),
    m.Execute(b"", 2**31),
    m.Describe(b"SP", b""),
    m.Close(b"", b""),
    m.ReadyForQuery(b"Q"),
    m.StartupMessage(m.PROTOCOL_3_0, {b"": b"x"}),
    m.CancelRequest(1, b""),
    m.BackendKeyData(1, bytes(257)),
    m.AuthenticationMD5Password(b"abc"),
    m.AuthenticationSASL((b"",)),
    m.ErrorResponse({"SS": b"x"}),
    m.ErrorResponse({"\0": b"x"}),
    m.ErrorResponse({"\u0100": b"x"}),
]


@pytest.mark.parametrize("message", UNWRITABLE, ids=repr)
def test_what_cannot_be_written_is_our_own_error(message: m.Message) -> None:
    with pytest.raises(LocalProtocolError):
        encode(message)
