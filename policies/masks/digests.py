# cython: boundscheck=False, wraparound=False
"""Masks that give digests of a text: SHA-256 and keyed tokens. As `cells` says, for one value or many at once."""

from hashlib import sha256
from typing import Final

from policies.masks.cells import put, total_bytes

_HEX: Final = b"0123456789abcdef"
_DIGEST_BYTES: Final = 32
_TOKEN_BYTES: Final = 16
_BLOCK_BYTES: Final = 64
_IS_INTERPRETED: Final = __file__.endswith(".py")


class HashMask:
    """64 hex digits of SHA-256 over salt and text."""

    def __init__(self, salt: bytes) -> None:
        self._salted = sha256(salt)

    def mask(self, value: bytes, format_code: int) -> bytes | None:
        return self._digest(value).hex().encode("ascii")

    def _digest(self, value: bytes) -> bytes:
        digest = self._salted.copy()
        digest.update(value)
        return digest.digest()

    def mask_cells(self, buffer: bytes, cells: memoryview, format_code: int) -> bytes | bytearray:
        total_bytes(buffer, cells)
        size = 2 * _DIGEST_BYTES
        out = bytearray(size * (len(cells) // 2))
        to = 0
        for place in range(0, len(cells), 2):
            digest = self._digest(buffer[cells[place] : cells[place + 1]])
            cells[place] = to
            to = _put_hex(out, to, digest, _DIGEST_BYTES)
            cells[place + 1] = to
        return out


class TextToken:
    """The prefix and 32 hex digits, 128 bits of HMAC-SHA-256 over the text."""

    def __init__(self, key: bytes, prefix: str) -> None:
        # HMAC by its definition (RFC 2104), with both keyed blocks hashed once: a third of hmac.digest's time.
        block = (key if len(key) <= _BLOCK_BYTES else sha256(key).digest()).ljust(_BLOCK_BYTES, b"\0")
        self._inner = sha256(bytes(octet ^ 0x36 for octet in block))
        self._outer = sha256(bytes(octet ^ 0x5C for octet in block))
        self._prefix = prefix.encode("utf-8")

    def mask(self, value: bytes, format_code: int) -> bytes | None:
        return self._prefix + self._digest(value)[:_TOKEN_BYTES].hex().encode("ascii")

    def _digest(self, value: bytes) -> bytes:
        inner = self._inner.copy()
        inner.update(value)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()

    def mask_cells(self, buffer: bytes, cells: memoryview, format_code: int) -> bytes | bytearray:
        total_bytes(buffer, cells)
        size = len(self._prefix) + 2 * _TOKEN_BYTES
        out = bytearray(size * (len(cells) // 2))
        to = 0
        for place in range(0, len(cells), 2):
            digest = self._digest(buffer[cells[place] : cells[place + 1]])
            cells[place] = to
            to = put(out, to, self._prefix, 0, len(self._prefix))
            to = _put_hex(out, to, digest, _TOKEN_BYTES)
            cells[place + 1] = to
        return out


def _put_hex(out: bytearray, to: int, octets: bytes, count: int) -> int:
    if _IS_INTERPRETED:
        out[to : to + 2 * count] = octets[:count].hex().encode("ascii")
        return to + 2 * count
    for index in range(count):
        octet = octets[index]
        out[to + 2 * index] = _HEX[octet >> 4]
        out[to + 2 * index + 1] = _HEX[octet & 15]
    return to + 2 * count
