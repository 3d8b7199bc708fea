"""Masked rows are what decoding, masking and encoding gives; rows that don't add up give nothing at all."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_masks import AtOnce, Hide, Misplaced, Tag

from proxy.wire import messages as m
from proxy.wire.codec import encode
from proxy.wire.errors import LocalProtocolError, ProtocolViolation
from proxy.wire.rows import mask_rows


class Grow:
    """A mask whose values are longer than what they hide, and quote it: for comparisons in tests only."""

    def mask(self, value: bytes, format_code: int) -> bytes | None:
        return value[::-1] * 3


class Broken:
    def mask(self, value: bytes, format_code: int) -> bytes | None:
        raise ValueError("not mine")


def rows(*all_values: tuple[bytes | None, ...]) -> bytes:
    return b"".join(encode(m.DataRow(values)) for values in all_values)


def masked(data: bytes, columns: list[tuple[int, int, object]], count: int) -> bytes:
    return mask_rows(data, 0, len(data), columns, count)  # type: ignore[arg-type]


def test_text_binary_and_null() -> None:
    data = rows((b"ada", b"\0\0\0\1", None), (None, b"", b"keep"))
    columns = [(0, 0, Tag()), (1, 1, Tag())]
    assert masked(data, columns, 3) == rows((b"3/0", b"4/1", None), (None, b"0/1", b"keep"))


def test_mask_to_null() -> None:
    assert masked(rows((b"a", b"b"), (None, b"c")), [(0, 0, Hide())], 2) == rows((None, b"b"), (None, b"c"))


def test_order_of_columns_does_not_matter() -> None:
    data = rows((b"a", b"b", b"c"))
    assert masked(data, [(2, 0, Hide()), (0, 0, Tag())], 3) == rows((b"1/0", b"b", None))


def test_only_the_run_is_read_and_given() -> None:
    before, data, after = b"Z\0\0\0\5I", rows((b"a",), (b"bb",)), b"C\0\0\0\5\0"
    buffer = before + data + after
    assert mask_rows(buffer, len(before), len(before + data), [(0, 0, Tag())], 1) == rows((b"1/0",), (b"2/0",))
    assert mask_rows(buffer, 3, 3, [(0, 0, Tag())], 1) == b""


def test_the_last_columns_are_hidden() -> None:
    data = rows((b"ada", b"x", None, b"ours"), (None, b"y", b"1", b""))
    assert mask_rows(data, 0, len(data), [(0, 0, Tag())], 4, 2) == rows((b"3/0", b"x"), (None, b"y"))
    assert mask_rows(data, 0, len(data), [], 4, 4) == rows((), ())


def test_hidden_columns_are_walked_too() -> None:
    data = rows((b"a", b"ours"))
    with pytest.raises(ProtocolViolation):
        mask_rows(data, 0, len(data), [], 1, 1)
    with pytest.raises(ProtocolViolation):
        mask_rows(data[:-1] + b"\0\0\0\5", 0, len(data) + 3, [], 2, 1)
    longer = data[:-8] + b"\0\0\0\5ours"
    with pytest.raises(ProtocolViolation):
        mask_rows(longer, 0, len(longer), [], 2, 1)
    for columns, hidden in (([(1, 0, Tag())], 1), ([], 3), ([], -1)):
        with pytest.raises(LocalProtocolError):
            mask_rows(data, 0, len(data), columns, 2, hidden)


def test_rows_without_columns() -> None:
    assert masked(rows((), ()), [], 0) == rows((), ())


_masks = [Tag(), Hide(), Grow(), AtOnce(Tag()), AtOnce(Hide()), AtOnce(Grow())]


@settings(deadline=None)
@given(st.data(), st.integers(0, 5), st.integers(0, 2))
def test_the_same_as_decoding_masking_encoding(data: st.DataObject, count: int, hidden: int) -> None:
    cells = st.none() | st.binary(max_size=9) | st.integers(200, 400).map(bytes)
    # A few rows go another way than many.
    table = data.draw(st.lists(st.tuples(*[cells] * (count + hidden)), max_size=12))
    chosen = data.draw(st.dictionaries(st.integers(0, max(count - 1, 0)), st.sampled_from(_masks)))
    columns = [(index, index % 2, mask) for index, mask in chosen.items() if index < count]
    by_index = {index: (mask, format_code) for index, format_code, mask in columns}

    def cell(index: int, value: bytes | None) -> bytes | None:
        if value is None or index not in by_index:
            return value
        mask, format_code = by_index[index]
        return mask.mask(value, format_code)

    expected = [tuple(cell(index, value) for index, value in enumerate(row[:count])) for row in table]
    found = mask_rows(rows(*table), 0, len(rows(*table)), columns, count + hidden, hidden)
    assert found == rows(*expected)


GOOD = rows((b"ada", b"b"))


def one_by_one(data: bytes, columns: list[tuple[int, int, object]], count: int) -> bytes | None:
    """Each frame as a run of its own, as far as frames can be told; None when one doesn't add up."""
    shown, at = b"", 0
    try:
        while at < len(data):
            end = at + 1 + int.from_bytes(data[at + 1 : at + 5], "big")
            shown += mask_rows(data, at, max(at, min(end, len(data))), columns, count)  # type: ignore[arg-type]
            if end <= at or end > len(data):
                return None
            at = end
    except ProtocolViolation:
        return None
    return shown


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.tuples(*[st.none() | st.binary(max_size=5)] * 2), min_size=5, max_size=9).map(lambda t: rows(*t)),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=3),
)
def test_many_rows_are_what_each_is_alone(data: bytes, changes: list[tuple[int, int]]) -> None:
    spoiled = bytearray(data)
    for at, octet in changes:
        spoiled[at % len(spoiled)] = octet
    columns = [(1, 0, Tag()), (0, 1, AtOnce(Grow()))]
    expected = one_by_one(bytes(spoiled), columns, 2)
    if expected is None:
        with pytest.raises(ProtocolViolation):
            masked(bytes(spoiled), columns, 2)
    else:
        assert masked(bytes(spoiled), columns, 2) == expected


MALFORMED = {
    "too few columns": rows((b"ada",)),
    "too many columns": rows((b"ada", b"b", b"c")),
    "another message": b"d" + GOOD[1:],
    "cut short": GOOD[:-1],
    "header alone": GOOD[:6],
    "frame shorter than its header": b"D\0\0\0\5" + GOOD[5:],
    "frame of no length": b"D\0\0\0\0" + GOOD[5:],
    "frame beyond the run": b"D\0\0\0\xff" + GOOD[5:],
    "negative frame length": b"D\xff\xff\xff\xff" + GOOD[5:],
    "column beyond its row": GOOD[:7] + b"\0\0\0\x09" + GOOD[11:],
    "column of a negative length": GOOD[:7] + b"\xff\xff\xff\xfe" + GOOD[11:],
    "column of the largest length": GOOD[:7] + b"\x7f\xff\xff\xff" + GOOD[11:],
    "row ends inside a length": b"D\0\0\0\x0e\0\2\0\0\0\3ada\0",
    "bytes after the last column": b"D\0\0\0\x13\0\2\0\0\0\3ada\0\0\0\1bX",
    "column that reaches into the next row": GOOD[:14] + b"\0\0\0\5b" + GOOD,
}


@pytest.mark.parametrize("name", MALFORMED)
def test_rows_that_do_not_add_up(name: str) -> None:
    for data in (
        MALFORMED[name],
        GOOD + MALFORMED[name],
        GOOD * 9 + MALFORMED[name],
        GOOD * 9 + MALFORMED[name] + GOOD,
    ):
        for mask in (Tag(), AtOnce(Tag())):
            with pytest.raises(ProtocolViolation) as raised:
                masked(data, [(0, 0, mask)], 2)
            assert "ada" not in str(raised.value)


@pytest.mark.parametrize("place", [(0, 4), (4, 4), (2, 1), (1, -1), (0, 1 << 62)])
def test_a_mask_that_says_a_wrong_place(place: tuple[int, int]) -> None:
    for columns in ([(0, 0, Misplaced(*place))], [(0, 0, AtOnce(Tag())), (1, 0, Misplaced(*place))]):
        with pytest.raises(LocalProtocolError):
            masked(GOOD * 9, columns, 2)


def test_a_run_beyond_the_buffer() -> None:
    for start, end in ((0, len(GOOD) + 1), (-len(GOOD), len(GOOD)), (len(GOOD), 0)):
        with pytest.raises(LocalProtocolError):
            mask_rows(GOOD, start, end, [(0, 0, Tag())], 2)


@pytest.mark.parametrize(("indexes", "count"), [([2], 2), ([-1], 2), ([0, 0], 2), ([0], 0), ([], -1)])
def test_columns_out_of_range(indexes: list[int], count: int) -> None:
    with pytest.raises(LocalProtocolError):
        masked(GOOD, [(index, 0, Tag()) for index in indexes], count)


def test_a_mask_that_breaks_gives_nothing() -> None:
    for data in (GOOD, GOOD * 9):
        with pytest.raises(ValueError, match="not mine"):
            masked(data, [(0, 0, Broken())], 2)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_large_values_are_masked_as_small_ones_are(count: int) -> None:
    """They take another way, which copies less."""
    large = b"\xff" * 70_000
    data = rows(*[(large, b"ada", None)] * count)
    columns = [(1, 0, Tag()), (2, 1, Tag())]
    assert masked(data, columns, 3) == rows(*[(large, b"3/0", None)] * count)
    assert masked(data, [(0, 0, Tag())], 3) == rows(*[(b"70000/0", b"ada", None)] * count)
    with pytest.raises(ProtocolViolation):
        masked(data[:-1], columns, 3)
