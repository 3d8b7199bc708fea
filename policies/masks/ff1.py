"""FF1 of NIST SP 800-38G: encrypts a string of numerals into one of the same length. It must not know masks.

AES comes from `cryptography`; everything else is arithmetic on the halves as whole numbers.
"""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

_ROUNDS = 10
_BLOCK = 16
# The standard's least domain (its revision of 2019): below, all values could be tried.
LEAST_DOMAIN = 1_000_000


class FF1:
    """One key, radix and tweak. `encrypt` and `decrypt` take numerals, each from 0 to radix - 1."""

    def __init__(self, key: bytes, radix: int, tweak: bytes = b"") -> None:
        self._aes: Callable[[bytes], bytes] = Cipher(AES(key), ECB()).encryptor().update  # noqa: S305 - FF1 is built on single blocks
        self._radix = radix
        self._tweak = tweak
        self._heads: dict[int, int] = {}  # by length: AES of the first block, which is the same in every round

    def is_long_enough(self, length: int) -> bool:
        return length >= 2 and bool(self._radix**length >= LEAST_DOMAIN)

    def encrypt(self, numerals: list[int]) -> list[int]:
        length = len(numerals)
        left, right = self._halves(numerals)
        for number in range(_ROUNDS):
            size = self._size(length, number)
            left, right = right, (left + self._round(length, number, right)) % self._radix**size
        return self._joined(left, right, length)

    def decrypt(self, numerals: list[int]) -> list[int]:
        length = len(numerals)
        left, right = self._halves(numerals)
        for number in reversed(range(_ROUNDS)):
            size = self._size(length, number)
            left, right = (right - self._round(length, number, left)) % self._radix**size, left
        return self._joined(left, right, length)

    def _size(self, length: int, number: int) -> int:
        """How many numerals a round makes."""
        return length // 2 if number % 2 == 0 else length - length // 2

    def _halves(self, numerals: list[int]) -> tuple[int, int]:
        middle = len(numerals) // 2
        return self._number(numerals[:middle]), self._number(numerals[middle:])

    def _number(self, numerals: list[int]) -> int:
        number = 0
        for numeral in numerals:
            number = number * self._radix + numeral
        return number

    def _joined(self, left: int, right: int, length: int) -> list[int]:
        return self._numerals(left, length // 2) + self._numerals(right, length - length // 2)

    def _numerals(self, number: int, length: int) -> list[int]:
        numerals = []
        for _ in range(length):
            number, numeral = divmod(number, self._radix)
            numerals.append(numeral)
        return numerals[::-1]

    def _round(self, length: int, number: int, half: int) -> int:
        """The standard's y: a pseudorandom number out of the round's number and one half."""
        octets = ((self._radix ** (length - length // 2) - 1).bit_length() + 7) // 8
        wanted = 4 * ((octets + 3) // 4) + 4
        padding = bytes((-len(self._tweak) - octets - 1) % _BLOCK)
        q = self._tweak + padding + bytes((number,)) + half.to_bytes(octets, "big")
        state = self._head(length)
        for at in range(0, len(q), _BLOCK):
            state = self._block(state ^ int.from_bytes(q[at : at + _BLOCK], "big"))
        found = state.to_bytes(_BLOCK, "big")
        counter = 1
        while len(found) < wanted:
            found += self._block(state ^ counter).to_bytes(_BLOCK, "big")
            counter += 1
        return int.from_bytes(found[:wanted], "big")

    def _head(self, length: int) -> int:
        if length not in self._heads:
            start = bytes((1, 2, 1)) + self._radix.to_bytes(3, "big") + bytes((_ROUNDS, length // 2 % 256))
            start += length.to_bytes(4, "big") + len(self._tweak).to_bytes(4, "big")
            self._heads[length] = self._block(int.from_bytes(start, "big"))
        return self._heads[length]

    def _block(self, number: int) -> int:
        return int.from_bytes(self._aes(number.to_bytes(_BLOCK, "big")), "big")
