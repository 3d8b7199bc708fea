from pathlib import Path

import pytest

from audit.errors import CorruptJournalError
from audit.record import NO_HASH, hash_of
from audit.segment import (
    HEADER_BYTES,
    End,
    SegmentHeader,
    SegmentReader,
    frame_bytes,
    header_bytes,
    parse_header,
    write_frame,
)

HEADER = SegmentHeader(sequence=3, base=4096, records_before=17, prev_hash=NO_HASH)


def make_segment(path: Path, bodies: list[bytes], spare: int = 64) -> None:
    data = bytearray(header_bytes(HEADER) + bytes(sum(frame_bytes(len(body)) for body in bodies) + spare))
    offset, prev_hash = HEADER_BYTES, NO_HASH
    for body in bodies:
        own_hash = hash_of(prev_hash, body)
        offset = write_frame(memoryview(data), offset, prev_hash, own_hash, body)
        prev_hash = own_hash
    path.write_bytes(data)


def test_a_header_comes_back() -> None:
    assert len(header_bytes(HEADER)) == HEADER_BYTES
    assert parse_header(header_bytes(HEADER)) == HEADER


@pytest.mark.parametrize("length", [0, 5, HEADER_BYTES - 1])
def test_a_short_header_is_damage(length: int) -> None:
    with pytest.raises(CorruptJournalError):
        parse_header(header_bytes(HEADER)[:length])


def test_any_edited_byte_of_a_header_is_damage() -> None:
    good = header_bytes(HEADER)
    for index in range(len(good.rstrip(b"\0"))):
        with pytest.raises(CorruptJournalError):
            parse_header(good[:index] + bytes([good[index] ^ 1]) + good[index + 1 :])


@pytest.mark.parametrize("limit", [1, 100, 1000, 1 << 20])
@pytest.mark.parametrize("spare", [0, 8, 64, 200])
def test_frames_come_back_whatever_is_read_at_once(tmp_path: Path, limit: int, spare: int) -> None:
    bodies = [b"a", b"", b"x" * 500, b"y" * 7, b"z" * 8]
    bodies = [body or b"-" for body in bodies]
    make_segment(tmp_path / "0.seg", bodies, spare)
    with SegmentReader(tmp_path / "0.seg") as reader:
        found, offset, end = [], HEADER_BYTES, None
        while end is None:
            scan = reader.read(offset, limit)
            found += [frame.body for frame in scan.frames]
            offset, end = scan.offset, scan.end
    assert found == bodies
    assert end is End.CLEAN


def test_any_edited_byte_of_a_frame_is_found(tmp_path: Path) -> None:
    path = tmp_path / "0.seg"
    make_segment(path, [b"first", b"second body", b"third"])
    good = path.read_bytes()
    start = HEADER_BYTES + frame_bytes(len(b"first"))
    for index in range(start, start + 72 + len(b"second body")):
        path.write_bytes(good[:index] + bytes([good[index] ^ 0x10]) + good[index + 1 :])
        with SegmentReader(path) as reader:
            scan = reader.read(HEADER_BYTES)
        assert [frame.body for frame in scan.frames] == [b"first"], index
        assert scan.end is End.DAMAGED


def test_a_damaged_frame_is_told_from_a_torn_tail(tmp_path: Path) -> None:
    path = tmp_path / "0.seg"
    make_segment(path, [b"first", b"second", b"third"])
    second = HEADER_BYTES + frame_bytes(len(b"first"))
    data = bytearray(path.read_bytes())
    data[second + 75] ^= 1
    path.write_bytes(data)
    third = second + frame_bytes(len(b"second"))
    with SegmentReader(path) as reader:
        assert reader.offset_behind(second) == third
        assert reader.offset_behind(third + frame_bytes(len(b"third"))) is None


def test_a_length_beyond_the_file_is_damage_not_a_wait(tmp_path: Path) -> None:
    path = tmp_path / "0.seg"
    make_segment(path, [b"first"])
    with open(path, "r+b") as stream:
        stream.seek(HEADER_BYTES)
        stream.write((1 << 29).to_bytes(4, "little"))
    with SegmentReader(path) as reader:
        assert reader.read(HEADER_BYTES).end is End.DAMAGED
