"""The invariant: any bytes, in any cuts, parse or raise ProtocolViolation, nothing else; no byte is lost.

Inputs worth keeping lie in `crashers` as raw bytes and are fed whole and byte by byte.
"""

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.wire.codec import ResponseKind, decode_backend, decode_frontend, decode_startup, encode
from proxy.wire.errors import ProtocolViolation
from proxy.wire.frames import FrameCutter, FrameLimits
from proxy.wire.rows import mask_rows
from proxy.wire.scram import ScramClient, ScramServer, make_verifier
from tests.wire_messages import BACKEND, FRONTEND, STARTUP

CRASHERS = sorted((Path(__file__).parent / "crashers").glob("*.bin"))
VERIFIER = make_verifier("pencil", 1, b"salt")


class Hide:
    def mask(self, value: bytes, format_code: int) -> bytes | None:
        return value[:1] or None


def attempt(call: Callable[[], object]) -> None:
    with contextlib.suppress(ProtocolViolation):
        call()


def read_everything(type_byte: int, frame: bytes) -> None:
    body = frame[5:]
    attempt(lambda: decode_backend(type_byte, body))
    for kind in ResponseKind:
        attempt(lambda kind=kind: decode_frontend(type_byte, body, kind))  # type: ignore[misc]
    for count in (0, 1, 2):
        columns = [(index, 0, Hide()) for index in range(count)]
        attempt(lambda: mask_rows(frame, 0, len(frame), columns, count))  # noqa: B023 - called at once


def walk(chunks: Iterable[bytes], startup: bool) -> tuple[bytes, int]:
    """Cuts and reads all; gives what was handed out and how many bytes were left over."""
    cutter, handed = FrameCutter(FrameLimits(message_bytes=4096), startup), b""
    for chunk in chunks:
        cutter.feed(chunk)
        while (frame := cutter.next_frame()) is not None:
            data = cutter.buffer[frame[1] : frame[2]]
            handed += data
            if cutter.is_startup:
                attempt(lambda: decode_startup(data[4:]))  # noqa: B023 - called at once
                cutter.end_startup()
            else:
                read_everything(frame[0], data)
        cutter.pending()
    return handed, cutter.unread_bytes


def cuts_of(data: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in zip(bounds, bounds[1:], strict=False)]


def check(data: bytes, chunks: list[bytes], startup: bool) -> None:
    try:
        handed, left = walk(chunks, startup)
    except ProtocolViolation:
        # However they are cut: the same bytes are refused whole.
        with pytest.raises(ProtocolViolation):
            walk([data], startup)
        return
    assert data[: len(handed)] == handed
    assert len(handed) + left == len(data)
    assert walk([data], startup) == (handed, left)


valid = st.lists(st.one_of(*FRONTEND, *BACKEND).map(encode), max_size=4).map(b"".join)
opened = st.builds(bytes.__add__, st.one_of(STARTUP).map(encode), valid)


@st.composite
def damaged(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    data = bytearray(draw(whole))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(data)


places = st.lists(st.integers(0, 400), max_size=10)


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=200) | damaged(valid), places)
@example(b"D\0\0\0\x08\0\1\xff\xff", [])
@example(b"Q\xff\xff\xff\xff", [1, 2, 3, 4])
def test_any_bytes_in_any_cuts(data: bytes, cuts: list[int]) -> None:
    check(data, cuts_of(data, cuts), startup=False)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80) | damaged(opened), places)
def test_any_bytes_at_startup(data: bytes, cuts: list[int]) -> None:
    check(data, cuts_of(data, cuts), startup=True)


@settings(max_examples=200, deadline=None)
@given(valid, places)
def test_valid_bytes_come_out_whole(data: bytes, cuts: list[int]) -> None:
    assert walk(cuts_of(data, cuts), startup=False) == (data, 0)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 255), st.binary(max_size=60))
def test_any_body_under_any_type(type_byte: int, body: bytes) -> None:
    frame = bytes([type_byte]) + (len(body) + 4).to_bytes(4, "big") + body
    read_everything(type_byte, frame)
    attempt(lambda: decode_startup(body))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60) | st.builds(b"n,,n=%b,r=%b".__mod__, st.tuples(st.binary(), st.binary())))
def test_any_bytes_in_a_scram_exchange(data: bytes) -> None:
    server = ScramServer(VERIFIER, "a", b"s", b"nonce")
    attempt(lambda: server.respond(data))
    fresh = ScramServer(VERIFIER, "a", b"s", b"nonce")
    fresh.respond(b"n,,n=,r=abc")
    attempt(lambda: fresh.respond(data))
    assert not server.is_authenticated
    assert not fresh.is_authenticated
    attempt(lambda: ScramClient("x", b"abc").final(data))


@pytest.mark.parametrize("path", CRASHERS, ids=lambda path: path.stem)
@pytest.mark.parametrize("startup", [False, True])
def test_crashers(path: Path, startup: bool) -> None:
    data = path.read_bytes()
    check(data, [data[at : at + 1] for at in range(len(data))], startup)
