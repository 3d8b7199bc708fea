"""Masks with a key: the same value gives the same, in both formats; nothing of the value or the key shows."""

from __future__ import annotations

import struct
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.masks import MaskError, check_type, fakes, forms, sql_form, stream_form, stronger
from policies.masks.fpe import FormatMask, IntegerFormatMask
from policies.masks.keyed import subkey
from policies.masks.secret import Secret
from policies.masks.spec import Kind
from policies.model import MaskSpec

KEY = "a key of sixteen characters"
TYPES = {"text": 25, "integer": 23, "bigint": 20, "smallint": 21, "numeric": 1700, "uuid": 2950, "bytea": 17}


def spec(kind: str, **parameters: Any) -> MaskSpec:
    return MaskSpec(kind, tuple(sorted({"key": KEY, **parameters}.items())))


def text_of(mask: MaskSpec, value: str, type_name: str = "text", oid: int = 0) -> str | None:
    stream = stream_form(mask, oid or TYPES[type_name], type_name)
    assert stream is not None
    masked = stream.mask(value.encode(), 0)
    return None if masked is None else masked.decode()


def integers_of(mask: MaskSpec, value: int, type_name: str, code: str) -> tuple[int | None, int | None]:
    """Masked in text and in binary."""
    stream = stream_form(mask, TYPES[type_name], type_name)
    assert stream is not None
    text, binary = stream.mask(b"%d" % value, 0), stream.mask(struct.pack(code, value), 1)
    return None if text is None else int(text), None if binary is None else struct.unpack(code, binary)[0]


def test_a_token_is_the_same_for_the_same_value_and_key_only() -> None:
    token = text_of(spec("token", prefix="cus_"), "ada")
    assert token is not None
    assert token.startswith("cus_")
    assert len(bytes.fromhex(token[4:])) == 16
    assert token == text_of(spec("token", prefix="cus_"), "ada")
    assert token != text_of(spec("token", prefix="cus_"), "bob")
    assert token != text_of(spec("token", prefix="cus_", key="another key of theirs"), "ada")
    assert text_of(spec("token"), "12345 ", "character(40)", 1042) == (text_of(spec("token"), "12345") or "").ljust(40)
    assert text_of(spec("token"), '{ada,NULL,"b c"}', "text[]", 1009).split(",")[1] == "NULL"  # type: ignore[union-attr]


def test_tokens_of_other_types_are_values_of_them() -> None:
    token = text_of(spec("token"), "00000000-0000-0000-0000-00000000000a", "uuid")
    assert token is not None
    assert (token[14], token[19] in "89ab") == ("8", True)
    stream = stream_form(spec("token"), TYPES["uuid"], "uuid")
    assert stream is not None
    binary = stream.mask(bytes(15) + b"\n", 1)
    assert binary is not None
    assert binary.hex() == token.replace("-", "")
    text, number = integers_of(spec("token"), -5, "bigint", "!q")
    assert text == number is not None
    assert number >= 0
    assert len(text_of(spec("token"), "\\x00", "bytea") or "") == 66


@pytest.mark.parametrize("of", fakes.MAKERS)
def test_invented_values_fit_and_repeat(of: str) -> None:
    values = {text_of(spec("fake", of=of), f"value {n}") for n in range(300)}
    assert max(map(len, values)) <= fakes.LONGEST[of]  # type: ignore[arg-type]
    assert len(values) > 14
    assert text_of(spec("fake", of=of), "x") == text_of(spec("fake", of=of), "x")


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        ("4111 1111 1111 1111", "dddd dddd dddd dddd"),
        ("+44 (20) 7946-0958", "+dd (dd) dddd-dddd"),
        ("123456", "dddddd"),
        ("12345", "*****"),
        ("12-34-5", "*******"),
        ("", ""),
        ("AB123456", "********"),
        ("123456é", "*******"),
        ("٣٤٥٦٧٨٩", "*******"),
        ("1" * 257, "*" * 257),
    ],
)
def test_encrypted_digits_keep_places_and_separators(value: str, shape: str) -> None:
    masked = text_of(spec("fpe"), value)
    assert masked is not None
    assert "".join("d" if character.isdigit() else character for character in masked) == shape
    if "d" in shape:
        assert masked != value
        assert FormatMask(subkey(spec("fpe"), Kind.FPE), "", "digits").reveal(masked.encode()) == value.encode()
        assert text_of(spec("fpe", tweak="shop"), value) != masked


def test_encrypted_letters_come_back() -> None:
    masked = text_of(spec("fpe", alphabet="alphanumeric"), "AB-12 cd.34")
    assert masked is not None
    assert [masked[place] for place in (2, 5, 8)] == ["-", " ", "."]
    revealed = FormatMask(subkey(spec("fpe"), Kind.FPE), "", "alphanumeric").reveal(masked.encode())
    assert revealed == b"AB-12 cd.34"


@settings(max_examples=60, database=None, deadline=None)
@given(st.integers(-(2**63) + 1, 2**63 - 1), st.sampled_from(["integer", "bigint"]))
def test_encrypted_integers_come_back(value: int, type_name: str) -> None:
    size, code = (4, "!i") if type_name == "integer" else (8, "!q")
    value = value % 2**31 if size == 4 else value
    text, number = integers_of(spec("fpe"), value, type_name, code)
    assert text == number is not None
    assert (number >= 0) == (value >= 0) or number == 0
    mask = IntegerFormatMask(subkey(spec("fpe"), Kind.FPE), "", size)
    assert mask.reveal(b"%d" % number, 0) == b"%d" % value


def test_the_least_integer_has_no_partner() -> None:
    assert integers_of(spec("fpe"), -(2**31), "integer", "!i") == (None, None)


@settings(max_examples=60, database=None, deadline=None)
@given(st.integers(-(2**31), 2**31 - 1))
def test_noise_on_integers_stays_near(value: int) -> None:
    text, number = integers_of(spec("noise", amount=1000), value, "integer", "!i")
    assert text == number is not None
    assert abs(number - value) <= 1000
    share, _ = integers_of(spec("noise", ratio="0.1"), value, "integer", "!i")
    assert share is not None
    assert abs(share - value) <= max(abs(value) * 0.1, 1) + 0.5  # rounded to a whole number


@settings(max_examples=100, database=None, deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**12), max_value=10**12))
def test_noise_on_numerics_keeps_the_digits_after_the_point(value: Decimal) -> None:
    mask = stream_form(spec("noise", ratio=0.25), TYPES["numeric"], "numeric(14,2)")
    assert mask is not None
    text, binary = mask.mask(f"{value:f}".encode(), 0), mask.mask(forms.numeric_binary(value, 2), 1)
    assert text is not None
    assert binary is not None
    near, scale = forms.numeric_value(binary)
    assert (near, scale) == (Decimal(text.decode()), 2)
    assert abs(near - value) <= max(abs(value) / 4, Decimal("0.01")) + Decimal("0.005")


def test_equal_numbers_move_equally_however_they_are_written() -> None:
    assert Decimal(text_of(spec("noise", amount=5), "100.00", "numeric") or 0).quantize(Decimal(1)) == Decimal(
        text_of(spec("noise", amount=5), "100", "numeric") or 0
    )
    assert text_of(spec("noise", amount=5), "NaN", "numeric") is None
    assert text_of(spec("noise", amount=5), "-Infinity", "numeric") is None


def test_noise_spreads_over_its_whole_reach() -> None:
    moved = [integers_of(spec("noise", amount=100), 10_000 + n, "integer", "!i")[0] - 10_000 - n for n in range(400)]  # type: ignore[operator]
    assert min(moved) < -80
    assert max(moved) > 80
    assert abs(sum(moved) / len(moved)) < 20


@pytest.mark.parametrize(
    ("mask", "oid", "type_name", "words"),
    [
        (spec("token"), 23, "integer", "often be equal"),
        (spec("token"), 1082, "date", "it works on texts"),
        (spec("token", prefix="x"), 2950, "uuid", "only texts"),
        (spec("token", prefix="cus_"), 1043, "character varying(35)", "36 characters"),
        (spec("fake", of="name"), 1043, "character varying(10)", "an invented name has up to"),
        (spec("fake", of="city"), 23, "integer", "texts"),
        (spec("fpe"), 21, "smallint", "all could be tried"),
        (spec("fpe", alphabet="alphanumeric"), 23, "integer", "digits only"),
        (spec("fpe"), 2950, "uuid", "it works on texts"),
        (spec("noise", amount=5), 701, "double precision", "no setting changes"),
        (spec("noise", amount=5), 1082, "date", "no setting changes"),
        (spec("noise", amount=0.5), 23, "integer", "below 1"),
        (spec("noise", amount="0.001"), 1700, "numeric(6,2)", "below 0.01"),
        (spec("noise", amount="1e40"), 1700, "numeric", "up to 1e30"),
        (spec("noise"), 23, "integer", "either an amount or a ratio"),
        (spec("noise", ratio=2), 23, "integer", "at most 1"),
        (spec("fake"), 25, "text", "needs the parameter 'of'"),
        (spec("fake", of="ssn"), 25, "text", "must be one of first_name"),
        (spec("fpe", alphabet="hex"), 25, "text", "must be one of digits"),
        (spec("token", prefix="é"), 25, "text", "printable ASCII"),
        (spec("token", key="short"), 25, "text", "at least 16"),
    ],
)
def test_what_gives_no_valid_value_is_refused(mask: MaskSpec, oid: int, type_name: str, words: str) -> None:
    with pytest.raises(MaskError, match=words) as found:
        check_type(mask, oid, type_name)
    assert KEY not in str(found.value)


@pytest.mark.parametrize("mask", [spec("token"), spec("fpe"), spec("fake", of="name")])
def test_at_the_source_there_is_no_key_and_no_value(mask: MaskSpec) -> None:
    assert sql_form(mask, 25, "text", "c", {}) == "CAST(NULL AS pg_catalog.text)"


def test_a_secret_works_and_is_never_shown() -> None:
    secret = Secret(KEY)
    shown = [str(secret), repr(secret), f"{secret}", f"{secret!r:>10}", repr(spec("token", key=secret)), "%s" % secret]  # noqa: UP031
    assert not any(KEY in one for one in shown)
    assert text_of(spec("token", key=secret), "ada") == text_of(spec("token"), "ada")
    one, other = spec("token", key=Secret("1" * 16)), spec("token", key=Secret("2" * 16))
    assert stronger(one, other) == stronger(other, one) == one


def test_repeated_values_are_remembered_within_bounds() -> None:
    mask = stream_form(spec("fpe"), 25, "text")
    assert mask is not None
    first = [mask.mask(b"%08d" % n, 0) for n in range(9_000)]
    assert first[:50] == [mask.mask(b"%08d" % n, 0) for n in range(50)]
