from __future__ import annotations

import itertools
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.masks import MaskError, arrays, check_spec, check_type, sql_form, stream_form, stronger
from policies.masks.forms import bytea_escape, bytea_hex, bytea_value
from policies.model import MaskSpec


def spec(kind: str, **parameters: Any) -> MaskSpec:
    return MaskSpec(kind, tuple(sorted(parameters.items())))


def masked(mask: MaskSpec, oid: int, name: str, value: bytes, form: int = 0) -> bytes | None:
    stream = stream_form(mask, oid, name)
    assert stream is not None
    return stream.mask(value, form)


@pytest.mark.parametrize(
    ("oid", "name", "text", "binary"),
    [
        (25, "text", b"REDACTED", b"REDACTED"),
        (1043, "character varying(3)", b"RED", b"RED"),
        (1042, "character(10)", b"REDACTED  ", b"REDACTED  "),
        (21, "smallint", b"0", bytes(2)),
        (23, "integer", b"0", bytes(4)),
        (20, "bigint", b"0", bytes(8)),
        (1700, "numeric(10,2)", b"0.00", struct.pack("!HhHH", 0, 0, 0, 2)),
        (701, "double precision", b"0", bytes(8)),
        (16, "boolean", b"f", b"\0"),
        (1082, "date", b"1970-01-01", struct.pack("!i", -10957)),
        (1114, "timestamp without time zone", b"1970-01-01 00:00:00", struct.pack("!q", -946684800000000)),
        (1184, "timestamp with time zone", b"1970-01-01 00:00:00+00", struct.pack("!q", -946684800000000)),
        (2950, "uuid", b"00000000-0000-0000-0000-000000000000", bytes(16)),
        (114, "json", b'"REDACTED"', b'"REDACTED"'),
        (3802, "jsonb", b'"REDACTED"', b'\1"REDACTED"'),
        (17, "bytea", b"\\x", b""),
        (1009, "text[]", b"{}", struct.pack("!iiI", 0, 0, 25)),
        (1015, "character varying(4)[]", b"{}", struct.pack("!iiI", 0, 0, 1043)),
    ],
)
def test_redact_is_a_value_of_the_type(oid: int, name: str, text: bytes, binary: bytes) -> None:
    raw = b"\\x41" if oid == 17 else b"secret"
    assert masked(spec("redact"), oid, name, raw) == text
    assert masked(spec("redact"), oid, name, raw, 1) == binary


@pytest.mark.parametrize(
    ("parameters", "value", "expected"),
    [
        ({"keep_last": 4}, "4111111111111111", "************1111"),
        ({"keep_last": 4}, "1234", "****"),
        ({"keep_first": 1, "keep_last": 1}, "ab", "**"),
        ({"keep_first": 1, "keep_last": 1}, "abc", "a*c"),
        ({"keep_first": 2}, "", ""),
        ({}, "abc", "***"),
        ({"keep_first": 2, "fill": "é"}, "日本語テ", "日本éé"),
        ({"keep_first": 2, "fill": "•"}, "abcd", "ab••"),
    ],
)
def test_partial(parameters: dict[str, Any], value: str, expected: str) -> None:
    assert masked(spec("partial", **parameters), 25, "text", value.encode()) == expected.encode()


def test_partial_does_not_count_the_blanks_that_pad_a_char() -> None:
    assert masked(spec("partial", keep_last=2), 1042, "character(8)", b"abcd    ") == b"**cd    "


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("ada@example.com", "a***@example.com"),
        ("a@example.com", "a***@example.com"),
        ("élan@example.com", "é***@example.com"),
        ("not an address", "***"),
        ("", "***"),
        ("@example.com", "***"),
        ("ada@", "***"),
        ("ada@example.com, bob@example.com", "***"),
        ("my secret is @ home", "***"),
        ("ada@exämple.com", "***"),
        ("ada@example.com\n", "***"),
    ],
)
def test_email(value: str, expected: str) -> None:
    assert masked(spec("email"), 25, "text", value.encode()) == expected.encode()


def test_masked_addresses_are_cut_to_the_length_of_the_column() -> None:
    assert masked(spec("email"), 1043, "character varying(5)", b"a@b.c") == b"a***@"


def test_hash_is_salted_sha256() -> None:
    known = b"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, "abc"
    assert masked(spec("hash"), 25, "text", b"abc") == known
    assert masked(spec("hash", salt="ab"), 25, "text", b"c") == known
    assert masked(spec("hash"), 17, "bytea", b"abc", 1) == bytes.fromhex(known.decode())


def test_octets_that_are_not_utf8_are_masked_one_by_one() -> None:
    assert masked(spec("partial", keep_last=1), 25, "text", b"\xff\xfeab") == b"***b"
    assert masked(spec("email"), 25, "text", b"\xffb@x.y") == b"\xff***@x.y"


def test_null_elements_stay_and_shape_becomes_flat() -> None:
    mask = spec("partial", keep_first=1)
    assert masked(mask, 1009, "text[]", b'[0:1][1:2]={{ab,NULL},{"c,d","NULL"}}') == b"{a*,NULL,c**,N***}"
    assert masked(mask, 1009, "text[]", b"{}") == b"{}"


@pytest.mark.parametrize("form", [0, 1])
def test_nullify(form: int) -> None:
    assert masked(spec("nullify"), 869, "inet", b"::1", form) is None


@pytest.mark.parametrize(
    ("mask", "oid", "name"),
    [
        (spec("truncate", unit="year"), 1082, "date"),
        (spec("truncate", bucket=10), 1700, "numeric"),
        (spec("truncate", bucket=10), 701, "double precision"),
        (spec("sql", expression="{column}"), 25, "text"),
    ],
)
def test_forms_that_depend_on_settings_are_only_at_the_source(mask: MaskSpec, oid: int, name: str) -> None:
    assert stream_form(mask, oid, name) is None


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (spec("blur"), "unknown mask kind 'blur'"),
        (spec("token", key="k"), "key must be a text of at least 16"),
        (spec("token"), "needs the parameter .key."),
        (spec("shred"), "unknown mask kind"),
        (spec("redact", text="x"), "no parameter 'text'"),
        (spec("constant"), "needs the parameter 'value'"),
        (spec("constant", value=None), "nullify"),
        (spec("partial", keep_first=-1), "keep_first must be"),
        (spec("partial", keep_first=True), "keep_first must be"),
        (spec("partial", keep_last="4"), "keep_last must be"),
        (spec("partial", fill="**"), "exactly one character"),
        (spec("partial", fill="\0"), "NUL"),
        (spec("hash", salt=5), "salt must be a string"),
        (spec("truncate"), "either a unit"),
        (spec("truncate", unit="year", bucket=5), "either a unit"),
        (spec("truncate", unit="years"), "one of year"),
        (spec("truncate", bucket=0), "above 0"),
        (spec("truncate", bucket=float("nan")), "above 0"),
        (spec("sql"), "needs the parameter 'expression'"),
        (spec("sql", expression="1; DROP TABLE t"), "semicolon"),
        (spec("sql", expression="lower({column}"), "don't match"),
    ],
)
def test_a_mask_written_wrongly_is_refused(mask: MaskSpec, words: str) -> None:
    with pytest.raises(MaskError, match=words):
        check_spec(mask)


@pytest.mark.parametrize(
    ("mask", "oid", "name"),
    [
        (spec("hash"), 1043, "character varying(63)"),
        (spec("hash"), 1042, "character(20)"),
        (spec("hash"), 1015, "character varying(63)[]"),
        (spec("hash"), 23, "integer"),
        (spec("hash"), 3802, "jsonb"),
        (spec("email"), 23, "integer"),
        (spec("partial", keep_first=1), 17, "bytea"),
        (spec("truncate", unit="year"), 25, "text"),
        (spec("truncate", unit="day"), 1082, "date"),
        (spec("truncate", bucket=10), 1082, "date"),
        (spec("truncate", bucket=1), 23, "integer"),
        (spec("truncate", bucket=2.5), 23, "integer"),
        (spec("truncate", bucket="0.001"), 1700, "numeric(10,2)"),
        (spec("truncate", bucket=1e300), 701, "double precision"),
        (spec("redact"), 20001, "shop.pair"),
        (spec("redact"), 1560, "shop.flags"),
        (spec("constant", value="10.0.0.1"), 869, "inet"),
        (spec("constant", value="x"), 23, "integer"),
        (spec("constant", value=True), 23, "integer"),
        (spec("constant", value=2**31), 23, "integer"),
        (spec("constant", value=5), 25, "text"),
        (spec("constant", value="a\0b"), 25, "text"),
        (spec("constant", value="toolong"), 1043, "character varying(6)"),
        (spec("constant", value=1.005), 1700, "numeric(6,2)"),
        (spec("constant", value=10000), 1700, "numeric(6,2)"),
        (spec("constant", value="NaN"), 1700, "numeric"),
        (spec("constant", value=1e39), 700, "real"),
        (spec("constant", value="1e999"), 701, "double precision"),
        (spec("constant", value=1), 16, "boolean"),
        (spec("constant", value="2023-02-29"), 1082, "date"),
        (spec("constant", value="1.2.2023"), 1082, "date"),
        (spec("constant", value="2023-01-01 00:00:00"), 1184, "timestamp with time zone"),
        (spec("constant", value="2023-01-01 00:00:00+00"), 1114, "timestamp without time zone"),
        (spec("constant", value="2023-01-01 00:00:00.5"), 1114, "timestamp(0) without time zone"),
        (spec("constant", value="0001-01-01 00:00:00+02"), 1184, "timestamp with time zone"),
        (spec("constant", value="xyz"), 2950, "uuid"),
        (spec("constant", value="hidden"), 114, "json"),
        (spec("constant", value="NaN"), 3802, "jsonb"),
        (spec("constant", value="1e999999999"), 3802, "jsonb"),
        (spec("constant", value='"\\u0000"'), 3802, "jsonb"),
        (spec("constant", value='"\\ud800"'), 3802, "jsonb"),
        (spec("constant", value="x"), 17, "bytea"),
        (spec("constant", value="x"), 1009, "text[]"),
        (spec("constant", value=[1]), 1009, "text[]"),
    ],
)
def test_a_mask_that_cannot_yield_a_value_of_the_type_is_refused(mask: MaskSpec, oid: int, name: str) -> None:
    for check in (check_type, stream_form):
        with pytest.raises(MaskError):
            check(mask, oid, name)
    with pytest.raises(MaskError):
        sql_form(mask, oid, name, "c", {})


def test_a_missing_attribute_is_named() -> None:
    with pytest.raises(MaskError, match="'secret_key'"):
        sql_form(spec("sql", expression="{column} || {secret_key}"), 25, "text", "c", {})


ORDERED = [
    spec("nullify"),
    spec("redact"),
    spec("constant", value="x"),
    spec("hash", salt="s"),
    spec("hash"),
    spec("truncate", bucket=100),
    spec("truncate", bucket=10),
    spec("truncate", unit="year"),
    spec("truncate", unit="month"),
    spec("email"),
    spec("partial", keep_first=1),
    spec("partial", keep_first=1, keep_last=1),
    spec("sql", expression="{column}"),
]


def test_the_stronger_mask_wins_in_any_order() -> None:
    for strong, weak in itertools.combinations(ORDERED, 2):
        assert stronger(strong, weak) == strong
        assert stronger(weak, strong) == strong


@given(st.binary(max_size=40))
def test_bytea_is_read_in_both_styles(octets: bytes) -> None:
    assert bytea_value(bytea_hex(octets)) == octets
    assert bytea_value(bytea_escape(octets)) == octets


@given(st.lists(st.none() | st.binary(max_size=6), max_size=5))
def test_arrays_round_trip(elements: list[bytes | None]) -> None:
    assert arrays.read_text(arrays.write_text(elements)) == elements
    assert arrays.read_binary(arrays.write_binary(elements, 25)) == elements


@pytest.mark.parametrize("value", [b"", b"x", b'{"a', b'{a"b\\'])
def test_malformed_arrays_in_text_are_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match="malformed"):
        arrays.read_text(value)


@given(st.binary(max_size=60))
def test_any_octets_are_an_array_in_binary_or_refused(value: bytes) -> None:
    try:
        elements = arrays.read_binary(value)
    except ValueError:
        return
    assert all(element is None or element in value for element in elements)
