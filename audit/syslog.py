"""Messages of syslog (RFC 5424) and how they are framed. Pure: knows no sockets and no records."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

FACILITIES: Final = {
    "user": 1, "daemon": 3, "auth": 4, "syslog": 5, "authpriv": 10,
    **{f"local{number}": 16 + number for number in range(8)},
}  # fmt: skip
_PORTS: Final = {"udp": 514, "tcp": 601, "tls": 6514}
# What any receiver takes: RFC 5426, 3.2, and RFC 5425, 4.3.1.
LONGEST_DATAGRAM: Final = 2048
LONGEST_MESSAGE: Final = 8192
_NOT_PRINTABLE: Final = re.compile(rb"[^\x21-\x7e]")


@dataclass(frozen=True, slots=True)
class Place:
    """Where messages go: `udp`, `tcp` or `tls` with host and port, `unix` with a path."""

    scheme: str
    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def longest_bytes(self) -> int:
        return LONGEST_DATAGRAM if self.scheme in ("udp", "unix") else LONGEST_MESSAGE

    def __str__(self) -> str:
        return f"unix:{self.path}" if self.scheme == "unix" else f"{self.scheme}://{self.host}:{self.port}"


def parse_place(text: str) -> Place:
    """``udp://host:514``, ``tcp://host:601``, ``tls://host:6514`` or ``unix:/dev/log``. Raises ValueError."""
    wanted = "expected udp://host:port, tcp://host:port, tls://host:port or unix:/path"
    if text.startswith("unix:/"):
        return Place("unix", path="/" + text.removeprefix("unix:").lstrip("/"))
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(wanted) from None
    is_more = parts.path.strip("/") or parts.query or parts.fragment or parts.username
    if parts.scheme not in _PORTS or not parts.hostname or is_more or port == 0:
        raise ValueError(wanted)
    return Place(parts.scheme, parts.hostname, port or _PORTS[parts.scheme])


@dataclass(frozen=True, slots=True)
class Sender:
    """Who speaks; the same in all its messages."""

    facility: str
    host: str
    process: int
    version: str

    def message(self, severity: int, at: str, name: str, number: int, body: bytes) -> bytes:
        """`severity`: 0 to 7, as syslog counts. `at`: ISO 8601 with its zone. `number` counts them."""
        head = f"<{FACILITIES[self.facility] * 8 + severity}>1 {at} ".encode()
        names = b" ".join((_name(self.host, 255), b"pgwarden", b"%d" % self.process, _name(name, 32)))
        known = f' [origin software="pgwarden" swVersion="{self.version[:32]}"][meta sequenceId="{number}"] '
        return head + names + known.encode() + body


def framed(message: bytes) -> bytes:
    """For a stream: its length stands before it (RFC 6587, 3.4.1)."""
    return b"%d %s" % (len(message), message)


def sequence_id(number: int) -> int:
    """1 to 2147483647, then 1 again (RFC 5424, 7.3.1)."""
    return (number - 1) % 2_147_483_647 + 1


def _name(text: str, longest: int) -> bytes:
    return _NOT_PRINTABLE.sub(b"_", text.encode("utf-8", "replace"))[:longest] or b"-"
