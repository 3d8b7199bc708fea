"""A PostgreSQL connection URL, taken apart. It knows libpq's spelling; it must not know sockets or files.

Only the parameters that pgwarden honours are accepted: one that is silently dropped (say, `sslmode`
misspelt) would weaken a connection without anybody noticing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import parse_qsl, quote, unquote

VERIFYING: Final = frozenset({"verify-ca", "verify-full"})
# What each may say; the first is what counts when nothing is said.
CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "sslmode": ("prefer", "disable", "allow", "require", "verify-ca", "verify-full"),
    "sslnegotiation": ("postgres", "direct"),
    "ssl_min_protocol_version": ("TLSv1.2", "TLSv1.3"),
    "channel_binding": ("prefer", "disable", "require"),
    "max_protocol_version": ("latest", "3.0", "3.2"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby"),
}
FILES: Final = ("sslrootcert", "sslcert", "sslkey")
PARAMETERS: Final = (
    *("host", "port", "user", "password", "dbname", "connect_timeout"),
    *(*FILES, "sslpassword"),
    *CHOICES,
)
# Unknown to asyncpg, which reads catalogs and speaks to the audit store.
_OUR_OWN: Final = frozenset({"channel_binding", "max_protocol_version", "target_session_attrs"})
DEFAULT_PORT: Final = 5432


class DsnError(ValueError):
    """The URL can't be used. The message never quotes the URL: it may hold a password."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where a server is and how to get in. `host` starting with ``/`` is the directory of a unix socket.

    All has libpq's meaning. `others` are the hosts and ports behind the first of a list. `sslrootcert`, `sslcert`
    and `sslkey` are file names or empty.
    """

    host: str
    port: int
    user: str
    database: str
    password: str | None = field(default=None, repr=False)
    sslmode: str = "prefer"
    sslrootcert: str = ""
    sslcert: str = ""
    sslkey: str = ""
    connect_timeout_s: float = 10.0
    sslpassword: str = field(default="", repr=False)
    sslnegotiation: str = "postgres"
    ssl_min_protocol_version: str = "TLSv1.2"
    channel_binding: str = "prefer"
    max_protocol_version: str = "latest"
    target_session_attrs: str = "any"
    others: tuple[tuple[str, int], ...] = ()

    @property
    def is_unix(self) -> bool:
        return self.host.startswith("/")

    @property
    def candidates(self) -> tuple[Upstream, ...]:
        """One per host, in the order in which they are tried."""
        places = ((self.host, self.port), *self.others)
        return tuple(replace(self, host=host, port=port, others=()) for host, port in places)

    def with_password(self, password: str) -> Upstream:
        return replace(self, password=password)

    def url(self) -> str:
        """The same as one URL, password included: for asyncpg, which reads the catalog; never for a log.

        That is done in read-only transactions, so a server for writing is known by being the primary.
        """
        secret = "" if self.password is None else f":{quote(self.password, safe='')}"
        where = "" if self.is_unix else ",".join(f"{_bracketed(c.host)}:{c.port}" for c in self.candidates)
        user, database = quote(self.user, safe=""), quote(self.database, safe="")
        return f"postgresql://{user}{secret}@{where}/{database}{self._query()}"

    def safe_text(self) -> str:
        """Without the password: for logs and error messages."""
        return f"{self.user}@{_bracketed(self.host)}:{self.port}/{self.database}"

    def _query(self) -> str:
        pairs = [("sslmode", self.sslmode)]
        if self.is_unix:
            pairs += [("host", c.host) for c in self.candidates[:1]] + [("port", str(self.port))]
        pairs += [(name, value) for name in (*FILES, "sslpassword") if (value := getattr(self, name))]
        kept = [name for name in CHOICES if name not in _OUR_OWN and name != "sslmode"]
        pairs += [(name, getattr(self, name)) for name in kept if getattr(self, name) != CHOICES[name][0]]
        if self.target_session_attrs in ("read-write", "primary"):
            pairs.append(("target_session_attrs", "primary"))
        return "?" + "&".join(f"{key}={quote(value, safe='/')}" for key, value in pairs)


def parse_dsn(url: str) -> Upstream:
    """Takes a ``postgresql://`` URL apart (manual, 32.1.1.2). Raises DsnError.

    User and database must be named: libpq's fall-back, the system's user, has no meaning for a daemon.
    """
    parts = _split(url)
    given = {**_authority(parts), **_parameters(parts.query)}
    user = given.get("user", "")
    database = given.get("dbname", "")
    if not user or not database:
        raise DsnError("a user and a database must be named: postgresql://user@host:5432/database")
    is_system_trusted = given.get("sslrootcert") == "system"
    if is_system_trusted:
        given.setdefault("sslmode", "verify-full")
    choices = {name: _choice(name, given.get(name)) for name in CHOICES}
    _check_together(choices, is_system_trusted)
    (host, port), *others = _places(given)
    return Upstream(
        host=host,
        port=port,
        others=tuple(others),
        user=user,
        database=database,
        password=given.get("password"),
        connect_timeout_s=_number(given.get("connect_timeout", "10"), "connect_timeout", 3600),
        **{name: given.get(name, "") for name in (*FILES, "sslpassword")},
        **choices,
    )


def check_for_store(url: str) -> None:
    """Whether asyncpg can use it as it stands. Raises DsnError."""
    parse_dsn(url)
    ours = (_OUR_OWN - {"target_session_attrs"}) & {
        name for name, _ in parse_qsl(_split(url).query, keep_blank_values=True)
    }
    if ours:
        raise DsnError(f"the audit store's URL can't have {', '.join(sorted(ours))}")


def _choice(name: str, value: str | None) -> str:
    known = CHOICES[name]
    if value is None:
        return known[0]
    if value not in known:
        raise DsnError(f"{name} is one of {', '.join(known)}")
    return value


def _check_together(choices: Mapping[str, str], is_system_trusted: bool) -> None:
    """What libpq refuses together, and what would be weaker than it reads."""
    if is_system_trusted and choices["sslmode"] != "verify-full":
        # Anybody can have a certificate of a public authority; only the name makes it the server's.
        raise DsnError("sslrootcert=system needs sslmode=verify-full")
    if choices["sslnegotiation"] == "direct" and choices["sslmode"] in ("disable", "allow", "prefer"):
        raise DsnError("sslnegotiation=direct needs sslmode=require or stricter")
    if choices["channel_binding"] == "require" and choices["sslmode"] not in VERIFYING:
        # The catalog is read over a connection of its own, which can't be bound.
        raise DsnError("channel_binding=require needs sslmode=verify-ca or verify-full")


def _places(given: Mapping[str, str]) -> list[tuple[str, int]]:
    """Hosts with their ports; one port serves all hosts (manual, 32.1.1.3)."""
    hosts = [host or "localhost" for host in given.get("host", "").split(",")]
    ports = given.get("port", "").split(",")
    if len(ports) not in (1, len(hosts)):
        raise DsnError(f"{len(ports)} ports for {len(hosts)} hosts")
    if len(hosts) > 1 and any(host.startswith("/") for host in hosts):
        raise DsnError("unix sockets can't be in a list of hosts")
    numbers = [_number(port or str(DEFAULT_PORT), "port", 65535) for port in ports]
    return list(zip(hosts, numbers * len(hosts) if len(numbers) == 1 else numbers, strict=False))


def _split(url: str) -> _Parts:
    scheme, colon, rest = url.partition("://")
    if not colon or scheme.lower() not in ("postgresql", "postgres"):
        raise DsnError("expected a URL that starts with postgresql://")
    # Not urlsplit: it knows one host, and some versions of Python refuse brackets around one of several.
    whole = _REST.fullmatch(rest)
    assert whole is not None, "every text matches"
    netloc, path, query = whole.groups(default="")
    login, _, places = netloc.rpartition("@")
    matches = [_PLACE.fullmatch(place) for place in places.split(",")]
    if not all(matches):
        raise DsnError("not a URL that can be read: postgresql://user@host:5432/database")
    found = [match for match in matches if match is not None]
    user, colon, password = login.partition(":")
    return _Parts(
        user,
        password if colon else None,
        ",".join(match[1].strip("[]") for match in found),
        ",".join(match[2] or "" for match in found),
        path,
        query,
    )


@dataclass(frozen=True, slots=True)
class _Parts:
    user: str
    password: str | None = field(repr=False)
    hosts: str
    ports: str
    path: str
    query: str


# What stands behind the scheme: authority, path, query; a fragment is no part of it.
_REST: Final = re.compile(r"([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#.*)?", re.DOTALL)
# host:port, with an IPv6 address in brackets; libpq allows a list of them
_PLACE: Final = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^:\[\]]*)(?::([0-9]{0,5}))?")


def _authority(parts: _Parts) -> dict[str, str]:
    found = {
        "user": parts.user or None,
        "password": parts.password,
        "host": parts.hosts if parts.hosts.strip(",") else None,
        "port": parts.ports if parts.ports.strip(",") else None,
        "dbname": parts.path.removeprefix("/") or None,
    }
    return {key: unquote(value) for key, value in found.items() if value is not None}


def _parameters(query: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in PARAMETERS:
            raise DsnError(f"the parameter {name!r} is not known; known are {', '.join(PARAMETERS)}")
        found[name] = value
    return found


def _number(text: str, name: str, highest: int) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= highest:
        raise DsnError(f"{name} is a number from 1 to {highest}")
    return int(text)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
