"""Numbers near the real ones: each value is moved by an amount that the key and the value decide.

The same value is always moved the same way, in every row and statement, so asking again gives nothing new. Only types
whose text form no setting changes: one that rounded would be a new value, and another question.
"""

from __future__ import annotations

import hmac
from decimal import ROUND_HALF_EVEN, Context, Decimal

from policies.masks import forms

_BITS = 53
# Enough for numeric's largest value and the fraction of it that noise needs; more digits cost time.
_EXACT = Context(prec=400, rounding=ROUND_HALF_EVEN, Emax=999_999, Emin=-999_999)
_MAX_DIGITS = 300


def moved(key: bytes, number: Decimal, amount: Decimal | None, ratio: Decimal | None, step: Decimal) -> Decimal:
    """`number` moved by up to `amount`, or by up to `ratio` of itself but at least `step`, either way; in steps."""
    canonical = format(number.normalize(_EXACT), "f").encode("ascii")
    drawn = int.from_bytes(hmac.digest(key, canonical, "sha256")[:8], "big") >> (64 - _BITS)
    # From -1 to 1; both ends are possible.
    share = _EXACT.divide(Decimal(2 * drawn - ((1 << _BITS) - 1)), Decimal((1 << _BITS) - 1))
    reach = amount if amount is not None else max(_EXACT.multiply(abs(number), ratio or Decimal(0)), step)
    return _EXACT.add(number, _EXACT.multiply(reach, share)).quantize(step, context=_EXACT)


class IntegerNoise:
    """Over integers; what would leave the type stays at its edge."""

    __slots__ = ("_amount", "_key", "_ratio", "_size")

    def __init__(self, key: bytes, amount: Decimal | None, ratio: Decimal | None, size: int) -> None:
        self._key = key
        self._amount = amount
        self._ratio = ratio
        self._size = size

    def mask(self, value: bytes, format_code: int) -> bytes | None:
        number = int.from_bytes(value, "big", signed=True) if format_code else int(value)
        largest = (1 << (8 * self._size - 1)) - 1
        near = int(moved(self._key, Decimal(number), self._amount, self._ratio, Decimal(1)))
        near = min(max(near, -largest - 1), largest)
        return near.to_bytes(self._size, "big", signed=True) if format_code else b"%d" % near


class NumericNoise:
    """Over numerics, with as many digits after the point as they came with. NaN and infinities become NULL."""

    __slots__ = ("_amount", "_key", "_limit", "_ratio", "_scale")

    def __init__(self, key: bytes, amount: Decimal | None, ratio: Decimal | None, modifiers: tuple[int, ...]) -> None:
        self._key = key
        self._amount = amount
        self._ratio = ratio
        self._scale = modifiers[1] if modifiers else _MAX_DIGITS
        self._limit = Decimal(10 ** modifiers[0] - 1).scaleb(-modifiers[1]) if modifiers else None

    def mask(self, value: bytes, format_code: int) -> bytes | None:
        number, scale = forms.numeric_value(value) if format_code else _read(value)
        if number is None or len(number.as_tuple().digits) > _MAX_DIGITS:
            return None
        step = Decimal(1).scaleb(-min(scale, self._scale))
        near = moved(self._key, number, self._amount, self._ratio, step)
        if self._limit is not None:
            near = min(max(near, -self._limit), self._limit)
        return forms.numeric_binary(near, scale) if format_code else forms.numeric_text(near, scale).encode("ascii")


def _read(value: bytes) -> tuple[Decimal | None, int]:
    number = Decimal(value.decode("ascii"))
    exponent = number.as_tuple().exponent
    return (number, -exponent) if isinstance(exponent, int) else (None, 0)
