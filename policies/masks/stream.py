"""Masks over values on the wire, in text or binary format.

Values are in UTF-8, the client_encoding that the gateway pins. Octets that aren't UTF-8 (they come from
SQL_ASCII databases) count as one character each. Nothing here knows statements, sessions or NULLs, which
never get here.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from hashlib import sha256
from typing import Protocol

from policies.masks import arrays, constants, forms
from policies.masks.buckets import BucketMask
from policies.masks.cells import ConstantMask, EmailMask, NullMask, PartialMask
from policies.masks.digests import HashMask
from policies.masks.fit import check_type
from policies.masks.fitted import CutMask, PaddedMask
from policies.masks.keyed import keyed_mask, subkey
from policies.masks.plain import PRINTED_BY_SESSION
from policies.masks.spec import KEYED, Kind, kind_of
from policies.masks.targets import Family, Target, target_of
from policies.model import MaskSpec


class StreamMask(Protocol):
    """Masks one column's values as they pass."""

    def mask(self, value: bytes, format_code: int) -> bytes | None:
        """The value's replacement, in the same format; None means SQL NULL.

        `value` is a DataRow's value, never NULL; `format_code` is 0 for text, 1 for binary. Raises ValueError
        when the value isn't one of the column's type. Those of `cells` also mask many values at once.
        """


def stream_form(spec: MaskSpec, type_oid: int, type_name: str) -> StreamMask | None:
    """The mask over wire values; None when it can only work at the source.

    That is so where a text form depends on settings of the session (DateStyle, TimeZone, extra_float_digits)
    and for an operator's SQL. Constants of such types are sent in ISO form, moments in UTC. Raises MaskError
    as `check_type` does.
    """
    check_type(spec, type_oid, type_name)
    kind = kind_of(spec)
    if kind is Kind.NULLIFY:
        return NullMask()
    target = target_of(type_oid, type_name)
    if target is None:
        return None  # an operator's SQL over a type of users: check_type has refused all else
    match kind:
        case Kind.REDACT if type_oid in PRINTED_BY_SESSION:
            return None
        case Kind.REDACT:
            return _constant_mask(target, constants.redacted(target))
        case Kind.CONSTANT:
            return _constant_mask(target, constants.constant(target, spec.get("value")))
        case Kind.HASH:
            return _hash_mask(target, spec.get("salt", "").encode("utf-8"))
        case Kind.EMAIL:
            return _shaped(target, EmailMask())
        case Kind.PARTIAL:
            return _shaped(target, _partial_mask(spec))
        case kind if kind in KEYED:
            return _keyed_mask(kind, spec, target)
        case Kind.TRUNCATE if target.family is Family.INTEGER:
            return BucketMask(target.size, target.smallest, int(spec.get("bucket")))
        case _:
            return None


def is_streamable(spec: MaskSpec) -> bool:
    """Whether the mask has a stream form on any type at all."""
    return kind_of(spec) is not Kind.SQL and spec.get("unit") is None


def _constant_mask(target: Target, value: constants.Constant) -> StreamMask:
    if target.family is Family.BYTEA:
        return ByteaMask(lambda _: value.binary)
    return ConstantMask(value.text, value.binary)


def _hash_mask(target: Target, salt: bytes) -> StreamMask:
    match target.family:
        case Family.UUID:
            return UuidHashMask(salt)
        case Family.BYTEA:
            return ByteaMask(lambda octets: sha256(salt + octets).digest())
        case _:
            return _shaped(target, HashMask(salt))


def _keyed_mask(kind: Kind, spec: MaskSpec, target: Target) -> StreamMask:
    if target.family is Family.BYTEA:
        key = subkey(spec, kind)
        return ByteaMask(lambda octets: hmac.digest(key, octets, "sha256"))
    mask, is_text = keyed_mask(kind, spec, target)
    return _shaped(target, mask) if is_text else mask


def _partial_mask(spec: MaskSpec) -> StreamMask:
    return PartialMask(spec.get("keep_first", 0), spec.get("keep_last", 0), spec.get("fill", "*"))


def _shaped(target: Target, inner: StreamMask) -> StreamMask:
    """`inner` works on plain text; around it stands what the column's type adds to that."""
    if target.is_padded:
        return PaddedMask(inner, target.length)
    if target.length is not None:
        inner = CutMask(inner, target.length)
    return ElementsMask(inner, target.element_oid) if target.element_oid else inner


class ByteaMask:
    """Works on octets; a text form goes out in the style it came in, so that bytea_output doesn't matter."""

    __slots__ = ("_replace",)

    def __init__(self, replace: Callable[[bytes], bytes]) -> None:
        self._replace = replace

    def mask(self, value: bytes, format_code: int) -> bytes | None:
        if format_code:
            return self._replace(value)
        masked = self._replace(forms.bytea_value(value))
        return forms.bytea_hex(masked) if forms.is_bytea_hex(value) else forms.bytea_escape(masked)


class UuidHashMask:
    """The first 16 octets of SHA-256 over salt and the uuid's text, as a uuid."""

    __slots__ = ("_salt",)

    def __init__(self, salt: bytes) -> None:
        self._salt = salt

    def mask(self, value: bytes, format_code: int) -> bytes | None:
        text = _hyphenated(value) if format_code else value
        digest = sha256(self._salt + text).digest()[:16]
        return digest if format_code else _hyphenated(digest)


def _hyphenated(octets: bytes) -> bytes:
    digits = octets.hex()
    parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
    return "-".join(parts).encode("ascii")


class ElementsMask:
    """text[]: each element is masked, NULL elements stay; the result has one dimension that starts at 1."""

    __slots__ = ("_element_oid", "_inner")

    def __init__(self, inner: StreamMask, element_oid: int) -> None:
        self._inner = inner
        self._element_oid = element_oid

    def mask(self, value: bytes, format_code: int) -> bytes | None:
        read = arrays.read_binary if format_code else arrays.read_text
        masked = [None if e is None else self._inner.mask(e, 0) for e in read(value)]
        if format_code:
            return arrays.write_binary(masked, self._element_oid)
        return arrays.write_text(masked)
