"""Bytes to messages and back: the package's two directions under one name.

`encode` gives whole frames; the `decode_…` functions take a frame's body, which `frames` has cut out.
"""

from proxy.wire.decoding import ResponseKind, decode_backend, decode_frontend, decode_startup
from proxy.wire.encoding import MAX_FRAME_BYTES, encode

__all__ = [
    "MAX_FRAME_BYTES",
    "ResponseKind",
    "decode_backend",
    "decode_frontend",
    "decode_startup",
    "encode",
]
