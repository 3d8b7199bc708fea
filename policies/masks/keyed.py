"""Masks that need a key: tokens, invented values, encryption that keeps the format, noise.

They work in the stream only, since a key in a statement's text would stand in the server's log; at the source their
columns are NULL. Each is a function of key and value alone, so that no number of questions averages anything away.
What one key gives for a value is the same in every column: columns under one key can be told equal.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Protocol

from policies.masks import fakes
from policies.masks.digests import TextToken
from policies.masks.fpe import FormatMask, IntegerFormatMask
from policies.masks.noise import IntegerNoise, NumericNoise
from policies.masks.spec import Kind, decimal_of
from policies.masks.targets import Family, Target
from policies.model import MaskSpec

# Values remembered per mask: what repeats in a column costs a look-up. Longer values than this aren't kept.
_REMEMBERED = 8_192
_LONGEST_BYTES = 128


class Inner(Protocol):
    def mask(self, value: bytes, format_code: int) -> bytes | None: ...


def subkey(spec: MaskSpec, kind: Kind) -> bytes:
    """32 octets out of the operator's key, others for each kind of mask: HMAC-SHA-256 of ``pgwarden <kind>``."""
    return hmac.digest(spec.get("key").encode("utf-8"), f"pgwarden {kind}".encode("ascii"), "sha256")


def keyed_mask(kind: Kind, spec: MaskSpec, target: Target) -> tuple[Inner, bool]:
    """The mask, and whether it works on plain text that the column's type still has to be put around."""
    key = subkey(spec, kind)
    match kind, target.family:
        case Kind.TOKEN, Family.UUID:
            return UuidToken(key), False
        case Kind.TOKEN, Family.BYTEA:
            raise AssertionError("tokens of bytea are made by ByteaMask")
        case Kind.TOKEN, Family.INTEGER:
            return IntegerToken(key), False
        case Kind.TOKEN, _:
            return TextToken(key, spec.get("prefix", "")), True
        case Kind.FAKE, _:
            return FakeText(key, fakes.MAKERS[spec.get("of")]), True
        case Kind.FPE, Family.INTEGER:
            return Remembering(IntegerFormatMask(key, spec.get("tweak", ""), target.size)), False
        case Kind.FPE, _:
            return Remembering(FormatMask(key, spec.get("tweak", ""), spec.get("alphabet", "digits"))), True
    amount, ratio = (decimal_of(spec.get(name)) for name in ("amount", "ratio"))
    if target.family is Family.INTEGER:
        return Remembering(IntegerNoise(key, amount, ratio, target.size)), False
    return Remembering(NumericNoise(key, amount, ratio, target.modifiers)), False


class Remembering:
    """Keeps what `inner` gave, up to a bound, then starts anew."""

    __slots__ = ("_inner", "_known")

    def __init__(self, inner: Inner) -> None:
        self._inner = inner
        self._known: tuple[dict[bytes, bytes | None], dict[bytes, bytes | None]] = ({}, {})

    def mask(self, value: bytes, format_code: int) -> bytes | None:
        known = self._known[format_code]
        if value in known:
            return known[value]
        masked = self._inner.mask(value, format_code)
        if len(value) <= _LONGEST_BYTES:
            if len(known) >= _REMEMBERED:
                known.clear()
            known[value] = masked
        return masked


class UuidToken:
    """122 bits of HMAC-SHA-256 over the octets, as a uuid of version 8."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = key

    def mask(self, value: bytes, format_code: int) -> bytes | None:
        octets = value if format_code else bytes.fromhex(value.decode("ascii").replace("-", ""))
        digest = bytearray(hmac.digest(self._key, octets, "sha256")[:16])
        digest[6] = digest[6] & 0x0F | 0x80
        digest[8] = digest[8] & 0x3F | 0x80
        if format_code:
            return bytes(digest)
        digits = digest.hex()
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])).encode("ascii")


class IntegerToken:
    """63 bits of HMAC-SHA-256 over the number's eight octets: a bigint from 0 up."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = key

    def mask(self, value: bytes, format_code: int) -> bytes | None:
        octets = value if format_code else int(value).to_bytes(8, "big", signed=True)
        number = int.from_bytes(hmac.digest(self._key, octets, "sha256")[:8], "big") >> 1
        return number.to_bytes(8, "big") if format_code else b"%d" % number


class FakeText:
    """An invented text, chosen by HMAC-SHA-256 over the real one."""

    __slots__ = ("_key", "_make")

    def __init__(self, key: bytes, make: Callable[[int], str]) -> None:
        self._key = key
        self._make = make

    def mask(self, value: bytes, format_code: int) -> bytes | None:
        return self._make(int.from_bytes(hmac.digest(self._key, value, "sha256"), "big")).encode("ascii")
