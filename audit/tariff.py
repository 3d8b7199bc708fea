"""Prices made ready for many statements: the same costs as `cost_of` gives, in whole numbers. Knows no records."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from audit import octets
from audit.cost import PriceList, cost_of

_UNITS = 10**9  # costs have 9 decimal places
_US_PER_SECOND = 1_000_000
_BYTES_PER_GIB = 1 << 30
_UNITS_PER_MILLION = 1_000_000
_NEAR = 10**6  # so near to the middle between two results, Decimal's own rounding may decide
_LARGEST = 10**18  # a cost of 10**9: beyond it Decimal's 28 digits may round as well
# As Decimal writes them: "0E-9", "7.50E-7".
_SMALLEST = tuple(str(Decimal(number).scaleb(-9)).encode("ascii") for number in range(1000))
_COUNT_SMALLEST = len(_SMALLEST)
_SMALLEST_PACKED = tuple(bytes((0xA0 | len(text),)) + text for text in _SMALLEST)
_PLACES = 9
COST_BYTES = 32  # a cost's text with its header, at most: a short text in msgpack's sense
_MOST = 1 << 31  # microseconds and bytes up to which a sum of shares is known to fit
_FITS = 1 << 61
_HEADERS = tuple(bytes((0xA0 | length,)) for length in range(32))  # msgpack's, of short texts


class Tariff:
    """What statements cost by one price list, the planner's units being the same for all of them."""

    def __init__(self, prices: PriceList, plan_units: int = 0) -> None:
        self._prices = prices
        self._plan_units = plan_units
        self._is_free = not (prices.per_second or prices.per_gib_out or prices.per_million_plan_units)
        parts = (prices.per_second, prices.per_gib_out, prices.per_million_plan_units)
        self._is_exact = all(part.is_finite() and part >= 0 for part in parts)
        self._most = 0  # measures below it need no more than 64 bits
        self._small_per_us = self._small_per_byte = self._small_fixed = 0
        self._small_divisor = 1
        if self._is_exact:
            self._multiply_out()

    def _multiply_out(self) -> None:
        """Cost in units of the last place = (time * a + bytes * b + c) / divisor, all of them whole numbers."""
        prices = self._prices
        shares = [
            Fraction(prices.per_second) * _UNITS / _US_PER_SECOND,
            Fraction(prices.per_gib_out) * _UNITS / _BYTES_PER_GIB,
            Fraction(prices.per_million_plan_units) * _UNITS * self._plan_units / _UNITS_PER_MILLION,
        ]
        divisor = math.lcm(*(share.denominator for share in shares))
        self._per_us, self._per_byte, self._fixed = (int(share * divisor) for share in shares)
        self._divisor = divisor
        largest = (self._per_us + self._per_byte) * _MOST + self._fixed
        if not self._is_free and largest < _FITS and largest // divisor < _LARGEST and divisor * _NEAR < _FITS:
            self._most = _MOST
            self._small_per_us, self._small_per_byte = self._per_us, self._per_byte
            self._small_fixed, self._small_divisor = self._fixed, divisor

    def cost(self, duration_us: int, bytes_out: int) -> Decimal:
        return cost_of(self._prices, server_time_us=duration_us, bytes_out=bytes_out, plan_units=self._plan_units)

    def packed_text(self, duration_us: int, bytes_out: int) -> bytes:
        """The cost's text with msgpack's header, as a record holds it."""
        text = _SMALLEST[0] if self._is_free else self._text(duration_us, bytes_out)
        return _HEADERS[len(text)] + text

    def put_text(self, into: memoryview, at: int, duration_us: int, bytes_out: int) -> int:
        """The same, put to `at` where COST_BYTES are free; gives the offset behind it."""
        number = self._number(duration_us, bytes_out)
        if number < 0:
            return octets.put(into, at, self.packed_text(duration_us, bytes_out))
        if number < _COUNT_SMALLEST:
            return octets.put(into, at, _SMALLEST_PACKED[number])
        return _put_number(into, at, number)

    def nano(self, duration_us: int, bytes_out: int) -> int:
        """The same cost in whole nano-units, 10^-9 of the currency; beyond 10^9 of it, that."""
        if self._is_free:
            return 0
        number = self._number(duration_us, bytes_out)
        return number if number >= 0 else nano_of(self.cost(duration_us, bytes_out))

    def _number(self, duration_us: int, bytes_out: int) -> int:
        """In units of the last place; below 0 when small numbers don't do."""
        if duration_us >= self._most or bytes_out >= self._most:
            return -1
        divisor = self._small_divisor
        total = duration_us * self._small_per_us + bytes_out * self._small_per_byte + self._small_fixed
        number = total // divisor
        beside = 2 * (total - number * divisor) - divisor
        distance = beside if beside > 0 else -beside
        if distance * _NEAR <= divisor:
            return -1
        return number + 1 if beside > 0 else number

    def _text(self, duration_us: int, bytes_out: int) -> bytes:
        if not self._is_exact:
            return str(self.cost(duration_us, bytes_out)).encode("ascii")
        total = duration_us * self._per_us + bytes_out * self._per_byte + self._fixed
        number, rest = divmod(total, self._divisor)
        beside = 2 * rest - self._divisor
        if abs(beside) * _NEAR <= self._divisor or number >= _LARGEST:
            return str(self.cost(duration_us, bytes_out)).encode("ascii")
        if beside > 0:
            number += 1
        if number < len(_SMALLEST):
            return _SMALLEST[number]
        return b"%d.%09d" % divmod(number, _UNITS)


def nano_of(cost: Decimal) -> int:
    """A rounded cost in whole nano-units; beyond 10^9 of the currency, that."""
    return min(int(cost * _UNITS), _LARGEST)


def _put_number(into: memoryview, at: int, number: int) -> int:
    """As `b"%d.%09d"` has it, with its header."""
    first, rest = at + 1, number // _UNITS
    point = first + 1
    while rest >= 10:
        rest //= 10
        point += 1
    end = point + 1 + _PLACES
    into[at] = 0xA0 | (end - first)
    place = end - 1
    while place >= first:
        if place == point:
            into[place] = 0x2E
        else:
            into[place] = 0x30 + number % 10
            number //= 10
        place -= 1
    return end


@lru_cache(64)
def tariff_of(prices: PriceList, plan_units: int) -> Tariff:
    """A tariff made once: templates are made often, prices change rarely."""
    return Tariff(prices, plan_units)
