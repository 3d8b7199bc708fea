"""Values of `pgwarden.yaml` that are more than text or a number: addresses, times, sizes. It knows no keys."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import BeforeValidator, WithJsonSchema

DEFAULT_PORT: Final = 6432
_HIGHEST_PORT: Final = 65535
_TIME: Final = re.compile(r"([0-9]{1,9})\s*(ms|s|min|m|h|d)", re.ASCII)
_UNIT_S: Final = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
_LONGEST_S: Final = 24 * 86_400
_SIZE: Final = re.compile(r"([0-9]{1,15})\s*(B|KiB|MiB|GiB)?", re.ASCII)
_UNIT_BYTES: Final = {None: 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_SERVER: Final = re.compile(r"(nats|tls)://[A-Za-z0-9.-]+(:[0-9]{1,5})?|(nats|tls)://\[[0-9a-fA-F:]+\](:[0-9]{1,5})?")
_MODE: Final = re.compile(r"0?[0-7]{3}", re.ASCII)


MOST_WORKERS: Final = 64


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. Port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A folder in which a unix socket is made, under the name that libpq looks for."""

    folder: Path
    port: int

    @property
    def path(self) -> Path:
        return self.folder / f".s.PGSQL.{self.port}"

    def __str__(self) -> str:
        return f"unix:{self.folder}:{self.port}"


def read_address(value: object) -> Address:
    if isinstance(value, Address):
        return value
    host, colon, port = str(value).rpartition(":")
    if not colon or not host or not _is_port(port):
        raise ValueError("expected host:port, for example 127.0.0.1:6432")
    return Address(host.removeprefix("[").removesuffix("]"), int(port))


def read_places(value: object) -> tuple[Address | UnixAddress, ...]:
    """One place, several separated by commas, or a list of them."""
    if isinstance(value, tuple):
        return value
    texts = value if isinstance(value, list) else str(value).split(",")
    if not texts:
        raise ValueError("name at least one place, for example 127.0.0.1:6432 or unix:/run/pgwarden")
    places = tuple(_read_place(str(text).strip()) for text in texts)
    if len(set(places)) != len(places):
        raise ValueError("a place stands twice")
    return places


def _read_place(text: str) -> Address | UnixAddress:
    if not text.startswith("unix:"):
        return read_address(text)
    folder, port = text.removeprefix("unix:"), str(DEFAULT_PORT)
    head, colon, tail = folder.rpartition(":")
    if colon:
        folder, port = head, tail
    # The address of a unix socket holds 107 bytes.
    if not folder.startswith("/") or not _is_port(port) or int(port) == 0 or len(folder.encode()) > 80:
        raise ValueError("expected unix:/folder or unix:/folder:port, the folder's path 80 bytes at most")
    return UnixAddress(Path(folder), int(port))


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text) <= _HIGHEST_PORT


def read_seconds(value: object) -> float:
    """``500ms``, ``30s``, ``5m``, ``1h``, ``2d``."""
    if isinstance(value, float):
        return value
    match = _TIME.fullmatch(str(value).strip())
    seconds = int(match[1]) * _UNIT_S[match[2]] if match else 0.0
    if not 0 < seconds <= _LONGEST_S:
        raise ValueError("expected a time with its unit, such as 500ms, 30s, 5m or 1h, 24 days at most")
    return float(seconds)


def read_whole_seconds(value: object) -> int:
    """As the sockets of the system take them."""
    seconds = value if isinstance(value, int) and not isinstance(value, bool) else read_seconds(value)
    if isinstance(value, int) or seconds != int(seconds) or seconds > 32_767:
        raise ValueError("expected a time in whole seconds with its unit, such as 30s or 2m, 9h at most")
    return int(seconds)


def read_bytes(value: object) -> int:
    """``64MiB``; a bare number counts bytes."""
    match = _SIZE.fullmatch(str(value).strip())
    if match is None:
        raise ValueError("expected a size such as 64MiB")
    return int(match[1]) * _UNIT_BYTES[match[2]]


def read_mode(value: object) -> int:
    """Permissions of a file, octal; YAML reads a bare 0770 as octal by itself."""
    if isinstance(value, int) and 0 <= value <= 0o777:
        return value
    if isinstance(value, str) and _MODE.fullmatch(value):
        return int(value, 8)
    raise ValueError("expected octal permissions such as 0770")


def read_workers(value: object) -> int:
    """A number of processes; `auto` is one for each core that this process may use."""
    if value == "auto":
        return min(MOST_WORKERS, _cores())
    text = str(value)
    if isinstance(value, bool) or not text.isdecimal() or not 1 <= int(text) <= MOST_WORKERS:
        raise ValueError(f"expected auto or a number from 1 to {MOST_WORKERS}")
    return int(text)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def read_servers(value: object) -> tuple[str, ...]:
    """One server of the bus, several separated by commas, or a list of them."""
    if isinstance(value, tuple):
        return value
    servers = tuple(str(text).strip() for text in (value if isinstance(value, list) else str(value).split(",")))
    if not servers or not all(_SERVER.fullmatch(server) for server in servers):
        raise ValueError("expected servers such as nats://bus.internal:4222 or tls://bus.internal:4222")
    return servers


_AMOUNT_SCHEMA = WithJsonSchema({"type": ["string", "integer"]})
_PLACES_SCHEMA = WithJsonSchema(
    {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
)

AddressValue = Annotated[Address, BeforeValidator(read_address), WithJsonSchema({"type": "string"})]
Places = Annotated[tuple[Address | UnixAddress, ...], BeforeValidator(read_places), _PLACES_SCHEMA]
Servers = Annotated[tuple[str, ...], BeforeValidator(read_servers), _PLACES_SCHEMA]
Seconds = Annotated[float, BeforeValidator(read_seconds), WithJsonSchema({"type": "string"})]
WholeSeconds = Annotated[int, BeforeValidator(read_whole_seconds), WithJsonSchema({"type": "string"})]
Bytes = Annotated[int, BeforeValidator(read_bytes), _AMOUNT_SCHEMA]
Workers = Annotated[int, BeforeValidator(read_workers), _AMOUNT_SCHEMA]
Mode = Annotated[int, BeforeValidator(read_mode), _AMOUNT_SCHEMA]
