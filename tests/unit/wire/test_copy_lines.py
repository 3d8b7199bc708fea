"""COPY's rows are masked as taking them apart, masking and writing them gives; what doesn't add up gives nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_masks import AtOnce, Hide, Mask, Misplaced, Tag

from proxy.wire import messages as m
from proxy.wire.codec import encode
from proxy.wire.copy_lines import Lines
from proxy.wire.copy_rows import BinaryRows, CopyRows, LineRows
from proxy.wire.errors import LocalProtocolError, ProtocolViolation

SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
TEXT_ESCAPES = {0x08: b"b", 0x09: b"t", 0x0A: b"n", 0x0B: b"v", 0x0C: b"f", 0x0D: b"r"}

Row = tuple[bytes | None, ...]


class Double:
    """Gives back what it got, twice: for comparisons in tests only."""

    def mask(self, value: bytes, format_code: int) -> bytes | None:
        return value * 2


@dataclass(frozen=True)
class Form:
    """How the server writes lines, by the manual and the words of its source's comments."""

    delimiter: bytes = b"\t"
    null: bytes = b"\\N"
    quote: bytes = b""
    escape: bytes = b""

    def line(self, row: Row, forced: Sequence[bool]) -> bytes:
        written = (self.value(one, is_forced, len(row) == 1) for one, is_forced in zip(row, forced, strict=True))
        return self.delimiter.join(written) + b"\n"

    def value(self, value: bytes | None, is_forced: bool, is_alone: bool) -> bytes:
        if value is None:
            return self.null
        return self._csv(value, is_forced, is_alone) if self.quote else b"".join(map(self._escaped, value))

    def _escaped(self, octet: int) -> bytes:
        if octet in TEXT_ESCAPES:
            return b"\\" + TEXT_ESCAPES[octet]
        one = bytes((octet,))
        return b"\\" + one if one in (b"\\", self.delimiter) else one

    def _csv(self, value: bytes, is_forced: bool, is_alone: bool) -> bytes:
        special = self.delimiter + self.quote + b"\r\n"
        is_quoted = is_forced or value == self.null or any(octet in special for octet in value)
        if not is_quoted and not (is_alone and value == b"\\."):
            return value
        inner = value.replace(self.escape, self.escape * 2)
        if self.quote != self.escape:
            inner = inner.replace(self.quote, self.escape + self.quote)
        return self.quote + inner + self.quote


TEXT = Form()
CSV = Form(b",", b"", b'"', b'"')
FORMS = [
    TEXT,
    Form(b"|"),
    Form(b"\x01"),
    Form(b"\x08"),
    CSV,
    Form(b";", b"NULL", b"'", b"\\"),
    Form(b"\t", b"\\N", b'"', b"\\"),
    Form(b",", b"x", b"'", b"'"),
]
VALUES = st.one_of(
    st.none(),
    st.sampled_from([b"", b"\\N", b"\\.", b"NULL", b"x", b"\\", b'"', b"'", b"a,b;c|d", b"\r\n", b"\t", b"\x01\x08"]),
    st.lists(st.sampled_from([b"\\", b'"', b"'", b",", b";", b"\t", b"\n", b"\r", b"|", b"a", b"N", b"\xc3\xa9"])).map(
        b"".join
    ),
    st.binary(max_size=300).map(lambda value: value.replace(b"\0", b"")),
)


def frames(*bodies: bytes) -> bytes:
    return b"".join(encode(m.CopyData(body)) for body in bodies)


def lines_of(form: Form, column_count: int, forced: Sequence[bool]) -> Lines:
    return Lines(form.delimiter, form.null, form.quote, form.escape, column_count, forced)


def masked(rows: CopyRows, data: bytes) -> bytes:
    return bytes(rows.mask(data, 0, len(data))[0])


def masked_row(row: Row, masks: dict[int, Mask], format_code: int = 0) -> Row:
    return tuple(
        masks[index].mask(value, format_code) if index in masks and value is not None else value
        for index, value in enumerate(row)
    )


MASKS = st.sampled_from([None, Tag(), Hide(), Double(), AtOnce(Double()), AtOnce(Hide())])
TABLES = st.integers(1, 4).flatmap(
    lambda width: st.tuples(
        st.lists(st.tuples(*[VALUES] * width), max_size=6),
        st.lists(MASKS, min_size=width, max_size=width)
        .map(lambda masks: {index: mask for index, mask in enumerate(masks) if mask is not None})
        .map(lambda masks: masks or {0: Tag()}),
        st.lists(st.booleans(), min_size=width, max_size=width),
        st.just(width),
    )
)


@settings(max_examples=500)
@given(TABLES, st.sampled_from(FORMS), st.booleans(), st.data())
def test_lines_are_those_of_masked_rows(
    table: tuple[list[Row], dict[int, Mask], list[bool], int], form: Form, has_header: bool, data: st.DataObject
) -> None:
    rows, masks, wanted, width = table
    forced = wanted if form.quote else [False] * width
    columns = [(index, masks[index]) for index in sorted(masks)]
    lines = lines_of(form, width, [forced[index] for index, _ in columns])
    stream = LineRows(lines, columns, width, has_header)
    header = [b'id,"a\nb"\n'] if has_header else []
    given_lines = header + [form.line(row, forced) for row in rows]
    cut = data.draw(st.integers(0, len(given_lines)))
    parts = [frames(*given_lines[:cut]), frames(*given_lines[cut:])]
    shown = [stream.mask(b"dd" + part + b"x", 2, 2 + len(part)) for part in parts]
    expected = frames(*header, *(form.line(masked_row(row, masks), forced) for row in rows))
    assert b"".join(bytes(one) for one, _ in shown) == expected
    assert sum(count for _, count in shown) == len(rows)


@settings(max_examples=200)
@given(TABLES, st.data())
def test_binary_rows_are_those_of_masked_rows(
    table: tuple[list[Row], dict[int, Mask], list[bool], int], data: st.DataObject
) -> None:
    rows, masks, _, width = table
    stream = BinaryRows([(index, masks[index]) for index in sorted(masks)], width)
    bodies = [encode(m.DataRow(row))[5:] for row in rows] + [TRAILER]
    wanted = [encode(m.DataRow(masked_row(row, masks, 1)))[5:] for row in rows] + [TRAILER]
    cut = data.draw(st.integers(0, len(bodies)))
    given_bodies = [SIGNATURE + bodies[0], *bodies[1:]]
    shown = [stream.mask(part, 0, len(part)) for part in (frames(*given_bodies[:cut]), frames(*given_bodies[cut:]))]
    assert b"".join(bytes(one) for one, _ in shown) == frames(SIGNATURE + wanted[0], *wanted[1:])
    assert sum(count for _, count in shown) == len(rows)


def test_a_whole_chunk_of_lines() -> None:
    rows: list[Row] = [(b"%d" % number, b"ada\t%d" % number, None) for number in range(5000)]
    data = frames(*(TEXT.line(row, [False] * 3) for row in rows))
    stream = LineRows(lines_of(TEXT, 3, [False]), [(1, Tag())], 3, has_header=False)
    expected = frames(*(TEXT.line(masked_row(row, {1: Tag()}), [False] * 3) for row in rows))
    assert masked(stream, data) == expected


@pytest.mark.parametrize(
    ("form", "body"),
    [
        (TEXT, b""),
        (TEXT, b"a\tb"),
        (TEXT, b"a\n"),
        (TEXT, b"a\tb\tc\n"),
        (TEXT, b"a\tb\nc\td\n"),
        (TEXT, b"a\tb\\\n"),
        (TEXT, b"a\tb\\x\n"),
        (TEXT, b"a\tb\\N\n"),
        (TEXT, b"a\t\\Nb\n"),
        (TEXT, b"a\tb\r\n"),
        (CSV, b"a,b,c\n"),
        (CSV, b"a\n"),
        (CSV, b'a,"b\n'),
        (CSV, b'a,"b"c\n'),
        (CSV, b'a,b"c\n'),
        (CSV, b'a,"b""\n'),
        (CSV, b"a,b\nc,d\n"),
        (CSV, b"a,b\r\n"),
        (Form(b",", b"", b'"', b"\\"), b'a,"b\\c"\n'),
        (Form(b",", b"", b'"', b"\\"), b'a,"b\\"\n'),
    ],
)
def test_lines_that_no_server_writes_give_nothing(form: Form, body: bytes) -> None:
    good = form.line((b"1", b"2"), [False] * 2)
    stream = LineRows(lines_of(form, 2, [False]), [(1, Tag())], 2, has_header=False)
    assert masked(stream, frames(good)) == frames(form.line((b"1", b"1/0"), [False] * 2))
    with pytest.raises(ProtocolViolation):
        masked(stream, frames(good, body, good))


@pytest.mark.parametrize(
    "data", [b"d", b"d\0\0\0\4", b"d\0\0\0\6a\n"[:-1], b"D\0\0\0\6a\n", b"d\0\0\0\3", b"d\xff\xff\xff\xffa\n"]
)
def test_messages_that_are_none_give_nothing(data: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        masked(LineRows(lines_of(TEXT, 1, [False]), [(0, Tag())], 1, has_header=False), data)
    with pytest.raises(ProtocolViolation):
        masked(LineRows(lines_of(TEXT, 1, [False]), [(0, Tag())], 1, has_header=True), data)
    with pytest.raises(ProtocolViolation):
        masked(BinaryRows([(0, Tag())], 1), data)


ROW = encode(m.DataRow((b"ada",)))[5:]


@pytest.mark.parametrize(
    "bodies",
    [
        [ROW],
        [SIGNATURE],
        [SIGNATURE + ROW + ROW],
        [SIGNATURE + ROW + TRAILER],
        [SIGNATURE + ROW, SIGNATURE + ROW],
        [SIGNATURE + ROW, TRAILER, ROW],
        [SIGNATURE + TRAILER, TRAILER],
        [SIGNATURE[:-1] + b"\1" + ROW],
        [SIGNATURE[:11] + b"\0\1\0\0" + bytes(4) + ROW],
        [SIGNATURE + ROW, ROW[:-1]],
        [SIGNATURE + ROW, encode(m.DataRow((b"a", b"b")))[5:]],
        [SIGNATURE + ROW, b"\xff"],
        [SIGNATURE + ROW, b""],
    ],
)
def test_binary_data_that_no_server_writes_give_nothing(bodies: list[bytes]) -> None:
    with pytest.raises(ProtocolViolation):
        masked(BinaryRows([(0, Tag())], 1), frames(*bodies))


@settings(max_examples=300)
@given(st.sampled_from(FORMS), st.lists(st.binary(max_size=40)), st.integers(1, 3), st.booleans())
def test_any_bytes_are_masked_or_refused(form: Form, bodies: list[bytes], width: int, is_whole: bool) -> None:
    """Not one octet of a masked column comes out, whatever the server sends."""
    data = frames(*(body + b"\n" * is_whole for body in bodies))
    columns = [(index, Hide()) for index in range(width)]
    stream = LineRows(lines_of(form, width, [False] * width), columns, width, has_header=False)
    try:
        shown = masked(stream, data)
    except ProtocolViolation:
        return
    assert shown == frames(*[form.delimiter.join([form.null] * width) + b"\n"] * len(bodies))


@settings(max_examples=300)
@given(st.lists(st.binary(max_size=40)), st.integers(1, 2), st.booleans())
def test_any_binary_bytes_are_masked_or_refused(bodies: list[bytes], width: int, is_signed: bool) -> None:
    columns = [(index, Hide()) for index in range(width)]
    try:
        shown = masked(BinaryRows(columns, width), frames(*([SIGNATURE + TRAILER] * is_signed), *bodies))
    except ProtocolViolation:
        return
    assert shown == (frames(SIGNATURE + TRAILER) if is_signed else b"")


@pytest.mark.parametrize(("start", "end"), [(0, 4), (2, 1), (5, 6), (0, 1 << 62)])
def test_a_mask_that_points_outside_of_what_it_gave(start: int, end: int) -> None:
    stream = LineRows(lines_of(TEXT, 1, [False]), [(0, Misplaced(start, end))], 1, has_header=False)
    with pytest.raises(LocalProtocolError):
        masked(stream, frames(b"a\n", b"b\n"))


@pytest.mark.parametrize(
    "form",
    [
        Form(b""),
        Form(b"ab"),
        Form(b"b"),
        Form(b"\\"),
        Form(b"\n"),
        Form(b"N"),
        Form(b"\t", b"none"),
        Form(b",", b"", b",", b'"'),
        Form(b",", b"", b'"', b","),
        Form(b",", b"", b'"', b""),
        Form(b",", b"a,b", b'"', b'"'),
        Form(b",", b"\n", b'"', b'"'),
        Form(b",", b'"', b'"', b'"'),
    ],
)
def test_options_that_leave_two_readings(form: Form) -> None:
    with pytest.raises(LocalProtocolError):
        lines_of(form, 1, [False])


@pytest.mark.parametrize("indexes", [[1, 0], [0, 0], [2], [-1]])
def test_columns_out_of_their_order(indexes: list[int]) -> None:
    columns = [(index, Tag()) for index in indexes]
    with pytest.raises(LocalProtocolError):
        LineRows(lines_of(TEXT, 2, [False] * len(indexes)), columns, 2, has_header=False)
