"""The cutter gives the same frames however the bytes arrive, and nothing above its limits."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.wire.errors import LocalProtocolError, ProtocolViolation
from proxy.wire.frames import MAX_FRAME_BYTES, FrameCutter, FrameLimits

SMALL = FrameLimits(startup_bytes=32, message_bytes=64)


def frame(letter: str, body: bytes = b"") -> bytes:
    return letter.encode() + (len(body) + 4).to_bytes(4, "big") + body


def packet(body: bytes) -> bytes:
    return (len(body) + 4).to_bytes(4, "big") + body


def frames_of(cutter: FrameCutter) -> list[bytes]:
    return [cutter.buffer[start:end] for _, start, end in cutter]


streams = st.lists(st.builds(frame, st.sampled_from("DQZ"), st.binary(max_size=30)), max_size=12)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in zip(bounds, bounds[1:], strict=False)]


@settings(deadline=None)
@given(streams, st.lists(st.integers(0, 500), max_size=20), st.sampled_from([bytes, bytearray, memoryview]))
def test_any_cuts_give_the_same_frames(frames: list[bytes], places: list[int], kind: type) -> None:
    cutter, seen = FrameCutter(), []
    for chunk in cut(b"".join(frames), places):
        cutter.feed(kind(chunk))
        seen += frames_of(cutter)
    assert seen == frames
    assert cutter.unread_bytes == 0


@settings(deadline=None)
@given(streams, st.lists(st.integers(0, 500), max_size=20))
def test_runs_are_frames_of_one_type_and_as_long_as_can_be(frames: list[bytes], places: list[int]) -> None:
    cutter, total = FrameCutter(), b""
    counted = 0
    for chunk in cut(b"".join(frames), places):
        cutter.feed(chunk)
        previous = -1
        while run := cutter.next_run():
            type_byte, start, end, count = run
            part = cutter.buffer[start:end]
            inner = FrameCutter()
            inner.feed(part)
            assert [inner.buffer[a] for _, a, _ in inner] == [type_byte] * count
            assert type_byte != previous
            previous = type_byte
            total += part
            counted += count
    assert total == b"".join(frames)
    assert counted == len(frames)


@settings(deadline=None)
@given(streams, st.lists(st.integers(0, 500), max_size=20), st.randoms(use_true_random=False))
def test_passing_in_parts_loses_nothing(frames: list[bytes], places: list[int], random: object) -> None:
    cutter, total = FrameCutter(), b""
    for chunk in cut(b"".join(frames), places):
        cutter.feed(chunk)
        if cutter.is_passing:
            start, end = cutter.take_part()
            total += cutter.buffer[start:end]
        if cutter.is_passing:
            continue
        while run := cutter.next_run():
            total += cutter.buffer[run[1] : run[2]]
        if cutter.pending() is not None and random.random() < 0.5:  # type: ignore[attr-defined]
            start, end = cutter.pass_pending()
            total += cutter.buffer[start:end]
    assert total == b"".join(frames)
    assert not cutter.is_passing


def test_pending_tells_type_length_and_bytes_at_hand() -> None:
    cutter = FrameCutter()
    data = frame("D", bytes(100))
    cutter.feed(data[:4])
    assert cutter.next_run() is None
    assert cutter.pending() is None
    cutter.feed(data[4:20])
    assert cutter.next_run() is None
    assert cutter.pending() == (ord("D"), 105, 20)
    cutter.feed(data[20:30])
    assert cutter.next_run() is None
    assert cutter.pending() == (ord("D"), 105, 30)
    assert cutter.unread_bytes == 30


def test_pass_mode_ends_with_its_frame() -> None:
    cutter = FrameCutter()
    data = frame("d", bytes(range(100)))
    cutter.feed(data[:10])
    assert cutter.pass_pending() == (0, 10)
    assert cutter.is_passing
    assert cutter.take_part() == (10, 10)
    cutter.feed(data[10:] + frame("c"))
    assert cutter.take_part() == (0, 95)
    assert not cutter.is_passing
    assert frames_of(cutter) == [frame("c")]


def test_frames_wait_until_the_passed_part_is_taken() -> None:
    cutter = FrameCutter()
    cutter.feed(frame("d", b"12345678")[:-2])
    cutter.pass_pending()
    cutter.feed(b"78" + frame("c"))
    with pytest.raises(LocalProtocolError):
        cutter.next_run()
    with pytest.raises(LocalProtocolError):
        cutter.feed(b"more")


@pytest.mark.parametrize("fed", [b"", b"Q\0\0", frame("Q", b"x\0")])
def test_nothing_to_pass(fed: bytes) -> None:
    cutter = FrameCutter()
    cutter.feed(fed)
    with pytest.raises(LocalProtocolError):
        cutter.pass_pending()


def test_views_of_an_old_buffer_stay() -> None:
    cutter = FrameCutter()
    chunk = bytearray(frame("Q", b"select 1\0"))
    cutter.feed(chunk)
    view = memoryview(cutter.buffer)
    chunk[5] = 0
    cutter.feed(frame("X"))
    assert view == frame("Q", b"select 1\0")


def test_a_whole_chunk_is_not_copied() -> None:
    cutter = FrameCutter()
    chunk = frame("D", bytes(50)) * 3
    cutter.feed(chunk)
    assert cutter.buffer is chunk


def test_byte_by_byte_keeps_few_objects() -> None:
    cutter = FrameCutter()
    data = frame("Q", bytes(range(256)) * 40)
    for at in range(len(data) - 1):
        cutter.feed(data[at : at + 1])
        assert cutter.next_frame() is None
    cutter.feed(data[-1:])
    assert frames_of(cutter) == [data]


def test_startup_packets_come_one_at_a_time() -> None:
    cutter = FrameCutter(startup=True)
    ssl_request, startup = packet(b"\x04\xd2\x16\x2f"), packet(b"\0\3\0\0user\0a\0\0")
    cutter.feed(ssl_request + startup + frame("Q", b"\0"))
    assert cutter.is_startup
    assert cutter.next_run() == (0, 0, 8, 1)
    assert cutter.unread_bytes == len(startup) + 6
    assert cutter.next_frame() == (0, 8, 8 + len(startup))
    cutter.end_startup()
    assert cutter.next_frame() == (ord("Q"), 8 + len(startup), 14 + len(startup))


def test_a_pending_startup_packet_has_no_type() -> None:
    cutter = FrameCutter(startup=True)
    data = packet(b"\0\3\0\0user\0a\0\0")
    cutter.feed(data[:10])
    assert cutter.next_frame() is None
    assert cutter.pending() == (0, len(data), 10)
    with pytest.raises(LocalProtocolError):
        cutter.pass_pending()
    cutter.feed(data[10:12])
    assert cutter.pending() == (0, len(data), 12)


def test_bytes_after_the_startup_packet_in_an_early_cut() -> None:
    cutter = FrameCutter(startup=True)
    data = packet(b"\0\3\0\0user\0a\0\0")
    cutter.feed(data + b"Q\0\0")
    assert cutter.next_frame() == (0, 0, len(data))
    cutter.end_startup()
    cutter.feed(b"\0\5\0")
    assert frames_of(cutter) == [frame("Q", b"\0")]


@pytest.mark.parametrize("length", [0, 7, 33, 0x7FFFFFFF, 0xFFFFFFFF])
def test_startup_lengths_out_of_bounds(length: int) -> None:
    cutter = FrameCutter(SMALL, startup=True)
    cutter.feed(length.to_bytes(4, "big"))
    with pytest.raises(ProtocolViolation):
        cutter.next_frame()


@pytest.mark.parametrize("length", [0, 3, 65, MAX_FRAME_BYTES + 1, 0x80000000, 0xFFFFFFFF])
def test_message_lengths_out_of_bounds(length: int) -> None:
    cutter = FrameCutter(SMALL)
    cutter.feed(b"Q" + length.to_bytes(4, "big"))
    for call in (cutter.next_frame, cutter.next_run, cutter.pending, cutter.pass_pending):
        with pytest.raises(ProtocolViolation):
            call()


def test_lengths_at_the_bounds() -> None:
    cutter = FrameCutter(SMALL, startup=True)
    cutter.feed(packet(bytes(28)))
    assert cutter.next_frame() == (0, 0, 32)
    cutter.end_startup()
    cutter.feed(frame("Q", bytes(60)) + frame("S"))
    assert cutter.next_frame() == (ord("Q"), 0, 65)
    assert cutter.next_frame() == (ord("S"), 65, 70)


def test_the_largest_message_is_one_gib() -> None:
    cutter = FrameCutter(FrameLimits(message_bytes=MAX_FRAME_BYTES))
    cutter.feed(b"d\x40\0\0\0")
    assert cutter.pending() == (ord("d"), MAX_FRAME_BYTES + 1, 5)


def test_limits_by_type_and_later_limits() -> None:
    cutter = FrameCutter(FrameLimits(message_bytes=64, by_type={ord("p"): 8}))
    cutter.feed(frame("Q", bytes(20)) + frame("p", bytes(5)) + frame("p"))
    assert cutter.next_frame() is not None
    with pytest.raises(ProtocolViolation):
        cutter.next_frame()
    cutter.set_limits(SMALL)
    assert len(list(cutter)) == 2


@settings(deadline=None)
@given(streams, st.lists(st.integers(0, 500), max_size=20))
def test_alike_frames_are_taken_as_far_as_they_go(frames: list[bytes], places: list[int]) -> None:
    cutter, seen = FrameCutter(), b""
    for chunk in cut(b"".join(frames), places):
        cutter.feed(chunk)
        while (first := cutter.next_frame()) is not None:
            type_byte, start, end = first
            after = cutter.take_alike(type_byte)
            assert after >= end
            taken = cutter.buffer[start:after]
            inner = FrameCutter()
            inner.feed(taken)
            assert {found for found, _, _ in inner} <= {type_byte}
            assert inner.unread_bytes == 0
            assert not (run := cutter.next_run()) or run[0] != type_byte
            seen += taken + (cutter.buffer[run[1] : run[2]] if run else b"")
    assert seen == b"".join(frames)


def test_a_malformed_header_is_left_by_what_takes_alike_frames() -> None:
    cutter = FrameCutter(SMALL)
    cutter.feed(frame("d") + frame("d") + b"d\xff\xff\xff\xff")
    assert cutter.next_frame() == (ord("d"), 0, 5)
    assert cutter.take_alike(ord("d")) == 10
    with pytest.raises(ProtocolViolation):
        cutter.next_frame()


def test_a_run_ends_before_a_malformed_header() -> None:
    cutter = FrameCutter(SMALL)
    cutter.feed(frame("D", b"a") + frame("D", b"b") + b"D\0\0\0\3")
    assert cutter.next_run() == (ord("D"), 0, 12, 2)
    with pytest.raises(ProtocolViolation):
        cutter.next_run()


@pytest.mark.parametrize(
    "limits", [{"startup_bytes": 3}, {"message_bytes": MAX_FRAME_BYTES + 1}, {"by_type": {1: 0}}, {"by_type": {256: 8}}]
)
def test_unusable_limits(limits: dict[str, object]) -> None:
    with pytest.raises(LocalProtocolError):
        FrameLimits(**limits)  # type: ignore[arg-type]


def test_types_ahead_are_those_of_whole_frames_and_nothing_is_taken() -> None:
    cutter = FrameCutter()
    cutter.feed(b"P\0\0\0\x04B\0\0\0\x05xE\0\0\0\x04S\0\0")
    assert cutter.types_ahead(9) == b"PBE"
    assert cutter.types_ahead(2) == b"PB"
    assert cutter.next_frame() == (ord("P"), 0, 5)
    assert cutter.types_ahead(9) == b"BE"
    assert [frame[0] for frame in cutter] == list(b"BE")
    cutter.feed(b"\0\x04Q\0\0\0\x03")
    assert cutter.types_ahead(9) == b"S"  # what is malformed is told to whoever takes it
    assert cutter.types_ahead(0) == b""
