"""The one pass sees the frames that a segment's reader sees, whatever has become of the bytes."""

import zlib
from pathlib import Path

import pytest
from audit_samples import START_US, intent
from hypothesis import given
from hypothesis import strategies as st

from audit.copy_rows import RowWriter
from audit.frame_rows import FrameRows
from audit.libraries import Functions, found
from audit.record import NO_HASH, body_of, completed, hash_of
from audit.segment import (
    HEADER_BYTES,
    End,
    SegmentHeader,
    SegmentReader,
    frame_bytes,
    header_bytes,
    segment_path,
    write_frame,
)

LENGTHS = [0, 40, 5_000, 40_000]  # of texts; the last makes a frame longer than the draft
WAYS = pytest.mark.parametrize("functions", [found(), Functions()], ids=["libraries", "python"])


def segment_of(lengths: list[int]) -> bytes:
    """The frames of so many records, without a header."""
    data, prev_hash = b"", NO_HASH
    for number, length in enumerate(lengths, 1):
        body = body_of(completed(intent(f"{number:032x}", sql_text="x" * length), f"{number:032x}", START_US))
        own_hash = hash_of(prev_hash, body)
        frame = bytearray(frame_bytes(len(body)))
        write_frame(memoryview(frame), 0, prev_hash, own_hash, body)
        data, prev_hash = data + bytes(frame), own_hash
    return data


def seen_by_reader(tmp_path: Path, data: bytes) -> tuple[int, int, End | None, list[bool]]:
    """Frames, offset behind them, why reading stopped, and which of them are what was hashed."""
    path = segment_path(tmp_path, 1)
    path.write_bytes(header_bytes(SegmentHeader(1, 0, 0, NO_HASH)) + data)
    with SegmentReader(path) as reader:
        scan = reader.read(HEADER_BYTES)
    return len(scan.frames), scan.offset - HEADER_BYTES, scan.end, [frame.is_hash_true() for frame in scan.frames]


@WAYS
@given(
    changes=st.lists(st.tuples(st.integers(0, 60_000), st.integers(0, 255)), max_size=3), kept=st.integers(0, 60_000)
)
def test_both_see_the_same(
    tmp_path_factory: pytest.TempPathFactory, functions: Functions, changes: list[tuple[int, int]], kept: int
) -> None:
    data = bytearray(segment_of(LENGTHS))
    for at, byte in changes:
        data[at % len(data)] = byte
    cut = bytes(data[: max(kept, 1) if kept < len(data) else len(data)])
    frames, offset, end, are_true = seen_by_reader(tmp_path_factory.mktemp("one"), cut)
    writer = RowWriter("chain/0")
    pass_ = FrameRows(writer, functions)
    assert pass_.take(cut, 1, is_cut=False) == offset
    assert (pass_.frames, pass_.end) == (frames, end)
    assert writer.count == sum(are_true)
    assert pass_.edited == frames - writer.count


@WAYS
@pytest.mark.parametrize("length", LENGTHS)
def test_an_edit_under_a_true_checksum_isnt_passed_on(functions: Functions, length: int) -> None:
    data = bytearray(segment_of([length]))
    size = int.from_bytes(data[:4], "little")
    data[-20] ^= 1
    data[4:8] = zlib.crc32(data[8 : 72 + size], zlib.crc32(data[:4])).to_bytes(4, "little")
    writer = RowWriter("chain/0")
    pass_ = FrameRows(writer, functions)
    assert pass_.take(bytes(data), 1, is_cut=False) == len(data)
    assert (pass_.frames, pass_.edited, writer.count) == (1, 1, 0)


@WAYS
def test_what_is_cut_off_is_wanted_whole(functions: Functions) -> None:
    data = segment_of([40, 5_000])
    pass_ = FrameRows(RowWriter("chain/0"), functions)
    behind = pass_.take(data[:-100], 1, is_cut=True)
    assert (pass_.frames, pass_.end) == (1, None)
    assert pass_.needed_bytes in range(5_000, len(data) - behind + 1)
