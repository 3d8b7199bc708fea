"""Bind's values as texts: those that drivers send in binary come back as PostgreSQL would write them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.adapt import PyFormat, Transformer
from psycopg.types.json import Jsonb

from proxy.session.bound_values import MAX_BYTES, MAX_TOTAL_BYTES, MAX_VALUES, bound_values
from proxy.wire.binding import read_bind


def values_of(
    values: Sequence[bytes | None], formats: Sequence[int] = (), types: tuple[int, ...] = ()
) -> tuple[str | None, ...]:
    body = b"portal\0name\0" + struct.pack(f"!H{len(formats)}hH", len(formats), *formats, len(values))
    for value in values:
        body += struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value
    body += struct.pack("!H", 0)
    frame = memoryview(b"B" + struct.pack("!i", len(body) + 4) + body)
    return bound_values(frame, read_bind(frame), types)


def binary(value: Any) -> tuple[bytes, int]:
    """As psycopg sends it, and the type's OID."""
    transformer = Transformer()
    (data,) = transformer.dump_sequence([value], [PyFormat.BINARY])
    assert data is not None
    return bytes(data), transformer.types[0] if transformer.types else 0


def test_texts_are_kept_as_they_are() -> None:
    assert values_of([b"7", None, b"", "ä€".encode(), b"\xff"]) == ("7", None, "", "ä€", "\ufffd")
    assert values_of([]) == ()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "t"), (False, "f"), (7, "7"), (-40_000, "-40000"), (2**40, str(2**40)), (1.5, "1.5"), ("ä", "ä"),
        (Decimal("0"), "0"), (Decimal("-12.50"), "-12.50"), (Decimal("0.0001"), "0.0001"), (Decimal("NaN"), "NaN"),
        (Decimal("12345678901234567890.000000001"), "12345678901234567890.000000001"), (Decimal("1E+5"), "100000"),
        (Decimal("-Infinity"), "-Infinity"), (date(1999, 12, 31), "1999-12-31"), (date(1, 1, 1), "0001-01-01"),
        (datetime(2024, 2, 29, 12, 30, 1, 5), "2024-02-29 12:30:01.000005"),
        (datetime(2024, 2, 29, 12, tzinfo=UTC), "2024-02-29 12:00:00+00:00"),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"), (Jsonb({"a": 1}), '{"a": 1}'),
    ],
)  # fmt: skip
def test_binary_values_are_written_as_the_server_would(value: Any, text: str) -> None:
    data, oid = binary(value)
    assert values_of([data], [1], (oid,)) == (text,)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30, places=12))
def test_numerics_are_written_exactly(value: Decimal) -> None:
    data, oid = binary(value)
    (text,) = values_of([data], [1], (oid,))
    assert text is not None
    assert Decimal(text) == value


def test_other_binary_values_are_written_as_bytea() -> None:
    assert values_of([b"\x00\x01", b"\xff" * 3], [1], (0, 23)) == ("\\x0001", "\\xffffff")
    assert values_of([b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00"], [1], (1082, 1082)) == ("infinity", "-infinity")
    assert values_of([b"\x7f\xff\xff\xfe"], [1], (1082,)) == ("\\x7ffffffe",)
    assert values_of([b"a", b"\x01"], [0, 1], ()) == ("a", "\\x01")


def test_long_values_and_many_of_them_are_cut() -> None:
    text = "é" * MAX_BYTES
    (cut,) = values_of([text.encode()])
    assert cut == "é" * (MAX_BYTES // 2) + "…"
    (cut,) = values_of([b"x" + text.encode()])
    assert cut == "x" + "é" * (MAX_BYTES // 2 - 1) + "…"
    (cut,) = values_of([b"\1" * MAX_BYTES * 2], [1])
    assert cut == "\\x" + "01" * (MAX_BYTES // 2) + "…"
    many = values_of([b"1"] * 300)
    assert len(many) == MAX_VALUES + 1
    assert many[-1] == "(100 more)"
    big = values_of([b"x" * MAX_BYTES] * 100)
    assert sum(len(value or "") for value in big) < MAX_TOTAL_BYTES + 2 * MAX_BYTES
    assert big[-1] is not None
    assert big[-1].endswith(" more)")


@given(
    st.lists(st.binary(max_size=30), max_size=4),
    st.sampled_from([16, 20, 21, 23, 700, 1082, 1114, 1184, 1700, 2950, 3802]),
)
def test_no_binary_value_is_too_odd(values: list[bytes], oid: int) -> None:
    assert len(values_of(values, [1], (oid,) * len(values))) == len(values)
