"""Where SHA-256 and CRC-32 are in the C libraries that Python has loaded anyway: for compiled code, which calls them.

Python's own way to them makes three objects for each digest, which takes longer than the digest. A function that isn't
found, or doesn't give what Python's gives, isn't there; then all goes Python's way.
"""

from __future__ import annotations

import ctypes
import hashlib
import zlib
from functools import cache
from typing import Any

_TRIED = b"the record before" * 9
_CONTEXT_BYTES = 256  # twice what SHA256_CTX takes


class Functions:
    """Addresses, 0 where there is nothing to be called. SHA-256's are there together or not at all."""

    def __init__(self, sha256: tuple[int, int, int] = (0, 0, 0), crc32: int = 0) -> None:
        self.sha256_init, self.sha256_update, self.sha256_final = sha256
        self.crc32 = crc32

    @property
    def is_complete(self) -> bool:
        return bool(self.sha256_final and self.crc32)


@cache
def found() -> Functions:
    """Looked for and tried once in a process."""
    return Functions(_sha256(), _crc32())


def _sha256() -> tuple[int, int, int]:
    try:
        import _hashlib

        library = ctypes.CDLL(_hashlib.__file__)
        init, update, final = library.SHA256_Init, library.SHA256_Update, library.SHA256_Final
    except (ImportError, AttributeError, OSError):  # another libcrypto, or one inside of the interpreter
        return 0, 0, 0
    context, digest = ctypes.create_string_buffer(_CONTEXT_BYTES), ctypes.create_string_buffer(32)
    init(context)
    update(context, _TRIED, ctypes.c_size_t(len(_TRIED)))
    final(digest, context)
    if digest.raw != hashlib.sha256(_TRIED).digest():
        return 0, 0, 0
    return _address(init), _address(update), _address(final)


def _crc32() -> int:
    try:
        function = ctypes.CDLL(zlib.__file__).crc32
    except (AttributeError, OSError):
        return 0
    function.argtypes, function.restype = [ctypes.c_ulong, ctypes.c_char_p, ctypes.c_uint], ctypes.c_ulong
    is_true = function(1, _TRIED, len(_TRIED)) == zlib.crc32(_TRIED, 1)
    return _address(function) if is_true else 0


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0
