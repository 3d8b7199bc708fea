"""Webhooks: where they go, and what proves that it was us. Pure: knows no sockets and no records."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

SIGNATURE: Final = "X-Pgwarden-Signature"
TIMESTAMP: Final = "X-Pgwarden-Timestamp"
DELIVERY: Final = "X-Pgwarden-Delivery"
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Hook:
    """`target`: path and query, as they stand in the request. `str` shows no path: it often holds a secret."""

    is_tls: bool
    host: str
    port: int
    target: str

    def __str__(self) -> str:
        return f"{'https' if self.is_tls else 'http'}://{self.host}:{self.port}"


def parse_hook(url: str) -> Hook:
    """Raises ValueError. Without TLS to this machine alone: the signature proves who spoke, but hides nothing."""
    wanted = "expected https://host/path, or http:// to this machine"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(wanted) from None
    is_tls = parts.scheme == "https"
    is_local = parts.scheme == "http" and parts.hostname in _LOCAL
    if not (is_tls or is_local) or not parts.hostname or parts.username or parts.fragment or not url.isascii():
        raise ValueError(wanted)
    if any(char.isspace() or not char.isprintable() for char in url):
        raise ValueError(wanted)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Hook(is_tls, parts.hostname, port or (443 if is_tls else 80), target)


def signature(secret: bytes, timestamp: int, body: bytes) -> str:
    """`v1=` and HMAC-SHA-256 over the timestamp (seconds since 1970), a dot and the body, hexadecimal."""
    return "v1=" + hmac.new(secret, b"%d." % timestamp + body, hashlib.sha256).hexdigest()


def is_signature_true(
    secret: bytes, timestamp: int, body: bytes, given: str, now: float, longest_s: float = 300
) -> bool:
    """For receivers: whether we sent it, not long ago."""
    is_ours = hmac.compare_digest(signature(secret, timestamp, body).encode(), given.encode())
    return is_ours and abs(now - timestamp) <= longest_s
