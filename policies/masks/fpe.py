"""Encryption that keeps the format: a value's characters become others of the same kind, in the same places.

Who has the key gets the value back with `reveal`. Values of fewer than a million possibilities are not encrypted but
wiped out: whoever can look at many of them could draw up the whole table.
"""

from __future__ import annotations

from policies.masks.ff1 import FF1

ALPHABETS = {
    "digits": "0123456789",
    "alphanumeric": "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
}
# What may stand between the characters of an alphabet and stays where it is. Anything else might be part of the value.
SEPARATORS = b" -./()+:_,"
_FILL = b"*"
_MAX_CHARACTERS = 256
_DIGITS = {4: 10, 8: 19}  # of the largest value of an integer type, by its width in bytes


class FormatMask:
    """Over texts. A value that is too short, too long or holds other characters is filled with ``*``."""

    __slots__ = ("_characters", "_ff1", "_numerals")

    def __init__(self, key: bytes, tweak: str, alphabet: str) -> None:
        self._characters = ALPHABETS[alphabet].encode("ascii")
        self._numerals = {character: numeral for numeral, character in enumerate(self._characters)}
        self._ff1 = FF1(key, len(self._characters), tweak.encode("utf-8"))

    def mask(self, value: bytes, format_code: int) -> bytes | None:
        return self._changed(value, is_revealing=False)

    def reveal(self, value: bytes) -> bytes:
        """The value that `mask` made this of; what it filled with ``*`` stays so."""
        return self._changed(value, is_revealing=True)

    def _changed(self, value: bytes, *, is_revealing: bool) -> bytes:
        places = [place for place, octet in enumerate(value) if octet in self._numerals]
        has_others = bool(value.translate(None, self._characters + SEPARATORS))
        if has_others or len(places) > _MAX_CHARACTERS or not self._ff1.is_long_enough(len(places)):
            return _FILL * len(value.decode("utf-8", "surrogateescape"))
        numerals = [self._numerals[value[place]] for place in places]
        changed = bytearray(value)
        for place, numeral in zip(
            places, (self._ff1.decrypt if is_revealing else self._ff1.encrypt)(numerals), strict=True
        ):
            changed[place] = self._characters[numeral]
        return bytes(changed)


class IntegerFormatMask:
    """Over int4 and int8: another number of the type with the same sign, of any length."""

    __slots__ = ("_digits", "_ff1", "_largest", "_size")

    def __init__(self, key: bytes, tweak: str, size: int) -> None:
        self._ff1 = FF1(key, 10, tweak.encode("utf-8"))
        self._size = size
        self._digits = _DIGITS[size]
        self._largest = (1 << (8 * size - 1)) - 1

    def mask(self, value: bytes, format_code: int) -> bytes | None:
        return self._changed(value, format_code, is_revealing=False)

    def reveal(self, value: bytes, format_code: int) -> bytes | None:
        """The value that `mask` made this of."""
        return self._changed(value, format_code, is_revealing=True)

    def _changed(self, value: bytes, format_code: int, *, is_revealing: bool) -> bytes | None:
        number = int.from_bytes(value, "big", signed=True) if format_code else int(value)
        magnitude = abs(number)
        if magnitude > self._largest:
            return None  # the least value of the type: its magnitude is none of the type
        magnitude = self._walk(magnitude, is_revealing=is_revealing)
        number = -magnitude if number < 0 else magnitude
        return number.to_bytes(self._size, "big", signed=True) if format_code else b"%d" % number

    def _walk(self, number: int, *, is_revealing: bool) -> int:
        """Encrypts until the result is of the type again: every number has one partner, and so has that."""
        change = self._ff1.decrypt if is_revealing else self._ff1.encrypt
        while True:
            numerals = change([int(digit) for digit in str(number).zfill(self._digits)])
            number = int("".join(map(str, numerals)))
            if number <= self._largest:
                return number
