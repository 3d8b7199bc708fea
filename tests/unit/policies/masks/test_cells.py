"""Many values masked at once are what each of them gives alone, wherever they lie in their buffer."""

from __future__ import annotations

import hashlib
import hmac
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.masks import MaskError, StreamMask, stream_form
from policies.masks.buckets import BucketMask
from policies.masks.cells import NullMask, PartialMask, mask_cells
from policies.masks.digests import TextToken
from policies.masks.fitted import CutMask, PaddedMask
from policies.model import MaskSpec

KEY = "a key of sixteen characters"
TEXT, VARCHAR, BPCHAR, INT4 = 25, 1043, 1042, 23


def spec(kind: str, **parameters: object) -> MaskSpec:
    return MaskSpec(kind, tuple(sorted(parameters.items())))


TEXT_MASKS = [
    spec("nullify"),
    spec("redact"),
    spec("constant", value="Ω hidden"),
    spec("partial", keep_last=4),
    spec("partial", keep_first=1, keep_last=1, fill="•"),
    spec("partial", keep_first=1000),
    spec("email"),
    spec("hash", salt="pepper"),
    spec("token", key=KEY),
    spec("token", key=KEY, prefix="t:"),
    spec("fake", key=KEY, of="name"),
    spec("fpe", key=KEY),
]
TEXT_TYPES = [(TEXT, "text"), (VARCHAR, "character varying(6)"), (BPCHAR, "character(6)"), (BPCHAR, "bpchar")]
OCTETS = st.one_of(
    st.binary(max_size=24),
    st.text(max_size=12).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.text("ab@.-é ", max_size=12).map(str.encode),
    st.emails().map(str.encode),
    st.sampled_from([b"", b" ", b"@", b"a@", b"@b.c", b"a@b@c", "é@b.c".encode(), b"\xe2\x82@b.c", b"\xc3", b"a   "]),
    st.integers(200, 900).map(lambda size: b"x" * size + b"@" + b"y" * (size // 2) + "é".encode()),
)
BUCKETS = [1, 7, 1000, 30_000, 1 << 31, (1 << 62) - 1, 1 << 62, 1 << 70]


def at_once(mask: StreamMask, values: list[bytes], format_code: int) -> list[bytes | None]:
    """All values in one buffer, with other octets around each of them."""
    buffer, numbers = b"?", []
    for value in values:
        numbers += [len(buffer), len(buffer) + len(value)]
        buffer += value + b"@!"
    cells = memoryview(bytearray(8 * len(numbers))).cast("q")
    for place, number in enumerate(numbers):
        cells[place] = number
    masked = mask_cells(mask, buffer, cells, format_code)
    places = zip(cells[::2], cells[1::2], strict=True)
    return [None if start < 0 else bytes(masked[start:end]) for start, end in places]


def forms() -> list[StreamMask]:
    """Every mask on every type of text that it fits."""
    found = []
    for mask in [*TEXT_MASKS, spec("constant", value="Ω")]:
        for oid, name in TEXT_TYPES:
            with suppress(MaskError):
                found.append(stream_form(mask, oid, name))
    return [form for form in found if form is not None]


FORMS = forms()


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(FORMS), st.lists(OCTETS, max_size=8), st.sampled_from((0, 1)))
def test_texts(form: StreamMask, values: list[bytes], format_code: int) -> None:
    assert at_once(form, values, format_code) == [form.mask(value, format_code) for value in values]


@settings(deadline=None, max_examples=80)
@given(st.data(), st.sampled_from((2, 4, 8)), st.sampled_from(BUCKETS))
def test_buckets(data: st.DataObject, size: int, bucket: int) -> None:
    least = -(1 << 8 * size - 1)
    extremes = st.sampled_from([least, least + 1, -1, 0, 1, -least - 1])
    numbers = data.draw(st.lists(st.integers(least, -least - 1) | extremes, max_size=9))
    form = BucketMask(size, least, bucket)
    edges = [max(number - number % bucket, least) for number in numbers]
    assert at_once(form, [b"%d" % number for number in numbers], 0) == [b"%d" % edge for edge in edges]
    binary = [number.to_bytes(size, "big", signed=True) for number in numbers]
    assert at_once(form, binary, 1) == [edge.to_bytes(size, "big", signed=True) for edge in edges]


@pytest.mark.parametrize("value", [b"", b"-", b"12a", b"--1", b"\xff"])
def test_what_is_no_number_is_an_error(value: bytes) -> None:
    form = stream_form(spec("truncate", bucket=10), INT4, "integer")
    assert form is not None
    with pytest.raises(ValueError):
        at_once(form, [b"10", value], 0)


@pytest.mark.parametrize("key", [b"", b"k" * 32, b"k" * 64, b"k" * 65])
@given(st.binary(max_size=200))
def test_tokens_are_hmac(key: bytes, value: bytes) -> None:
    expected = b"p" + hmac.digest(key, value, "sha256")[:16].hex().encode()
    token = TextToken(key, "p")
    assert token.mask(value, 0) == expected
    assert at_once(token, [value, value], 0) == [expected, expected]


def test_hashes_are_sha256() -> None:
    form = stream_form(spec("hash", salt="s"), TEXT, "text")
    assert form is not None
    assert at_once(form, [b"ada", b""], 0) == [hashlib.sha256(b"s" + v).hexdigest().encode() for v in (b"ada", b"")]


def test_characters_not_octets() -> None:
    mask = PartialMask(1, 2, "•")
    value = "Zoë Müller".encode()
    assert at_once(mask, [value, b"\xff\xe2\x82ab"], 0) == [
        "Z•••••••er".encode(),
        b"\xff\xe2\x80\xa2\xe2\x80\xa2ab",
    ]
    assert at_once(PartialMask(1 << 70, 1 << 70, "*"), [b"abc"], 0) == [b"***"]


def test_null_passes_through_what_a_type_adds() -> None:
    for mask in (CutMask(NullMask(), 3), PaddedMask(NullMask(), 3), PaddedMask(NullMask(), None)):
        assert at_once(mask, [b"abcd", b""], 0) == [None, None]


@pytest.mark.parametrize("cells", [[0, 4], [-2, 1], [2, 1], [1, -1]])
def test_a_value_outside_of_its_buffer(cells: list[int]) -> None:
    forms = [
        stream_form(mask, TEXT, "text") for mask in TEXT_MASKS if mask.kind not in ("nullify", "redact", "constant")
    ]
    forms += [stream_form(spec("truncate", bucket=10), INT4, "integer"), stream_form(spec("email"), BPCHAR, "bpchar")]
    for form in forms:
        view = memoryview(bytearray(16)).cast("q")
        view[0], view[1] = cells
        assert form is not None
        with pytest.raises(ValueError, match="lie in its buffer"):
            mask_cells(form, b"abc", view, 0)
