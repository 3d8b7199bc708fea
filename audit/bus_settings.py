"""Where the bus is and how to get in. Knows no NATS: a configuration can be read where its client isn't installed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

STREAM = "PGWARDEN"
SUBJECT = "pgwarden.audit"
STREAM_BYTES = 10 << 30
EXTRA = "audit.bus needs NATS's client, which isn't installed: pip install 'pgwarden[bus]'"


@dataclass(frozen=True, slots=True)
class BusSettings:
    """`servers` are URLs such as nats://bus:4222 or tls://bus:4222; `stream_bytes` and `replicas` count where no stream
    is there yet.
    """

    servers: tuple[str, ...]
    stream: str = STREAM
    subject: str = SUBJECT
    user: str | None = None
    password_file: Path | None = None
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    stream_bytes: int = STREAM_BYTES
    replicas: int = 1
