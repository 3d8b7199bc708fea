"""Records that are made in place are, byte for byte, those that are made of objects."""

import mmap

import pytest
from audit_samples import START_US, intent, outcome
from hypothesis import given
from hypothesis import strategies as st

from audit.cost import price_list
from audit.ids import Ids
from audit.libraries import Functions, found
from audit.lines import Lines
from audit.record import NO_HASH
from audit.recovery import ChainState
from audit.segment import HEADER_BYTES, SegmentHeader
from audit.tail import Tail

SEGMENT_BYTES = 1 << 18
PRICES = price_list(0.0005, 0.05, 0.01, "USD")
texts = st.binary(max_size=80) | st.sampled_from([b"SELECT 1", "SELECT 'ä'".encode(), b"x" * 300, b"y" * 40_000])
measures = st.integers(0, 2**40) | st.integers(0, 300)
statements = st.tuples(texts, measures, measures, measures, st.sampled_from(["", "", "", "57014"]))


def tail_of(functions: Functions) -> tuple[Tail, mmap.mmap]:
    times = iter(range(START_US, START_US + 10_000_000, 1000))
    ids = Ids(lambda: START_US, lambda count: b"\x07" * count)
    tail = Tail(lambda: next(times), ids, lambda: None, functions)
    mapping = mmap.mmap(-1, SEGMENT_BYTES)
    tail.start(ChainState())
    tail.move_to(SegmentHeader(1, 0, 0, NO_HASH), mapping)
    tail.is_open = True
    return tail, mapping


def played(functions: Functions, statements: list[tuple[bytes, int, int, int, str]]) -> tuple[bytes, ChainState]:
    tail, mapping = tail_of(functions)
    lines = Lines(intent(), outcome(""), PRICES)
    for text, rows, bytes_out, duration_us, sqlstate in statements:
        statement_id = tail.intent(lines, text)
        assert statement_id is not None
        assert tail.outcome(lines, statement_id, rows, bytes_out, duration_us, sqlstate)
    state = tail.state
    tail.leave()
    written = mapping[:]
    mapping.close()
    return written, state


@given(st.lists(statements, max_size=4))
def test_a_record_made_in_place_is_that_made_of_objects(statements: list[tuple[bytes, int, int, int, str]]) -> None:
    assert played(found(), statements) == played(Functions(), statements)


def test_what_finds_no_room_leaves_nothing_behind() -> None:
    tail, mapping = tail_of(found())
    lines = Lines(intent(), outcome(""), PRICES)
    while tail.intent(lines, b"SELECT 1") is not None:
        pass
    while tail.outcome(lines, b"0" * 32, 1, 1, 1, ""):
        pass
    assert mapping[tail.end :] == bytes(SEGMENT_BYTES - tail.end)
    assert tail.needed_bytes > SEGMENT_BYTES - tail.end
    tail.leave()
    mapping.close()


def test_a_mapping_that_was_left_can_be_closed() -> None:
    tail, mapping = tail_of(found())
    assert tail.intent(Lines(intent(), outcome(""), PRICES), b"SELECT 1") is not None
    with pytest.raises(BufferError):
        mapping.close()
    tail.leave()
    mapping.close()


def test_functions_that_are_missing_are_not_called() -> None:
    assert not Functions().is_complete
    written, state = played(Functions(), [(b"SELECT 1", 1, 2, 3, "")])
    assert state.records == 2
    assert written[HEADER_BYTES : HEADER_BYTES + 4] != bytes(4)


def test_the_functions_of_this_machine_are_true_or_missing() -> None:
    functions = found()
    assert bool(functions.sha256_init) == bool(functions.sha256_update) == bool(functions.sha256_final)
