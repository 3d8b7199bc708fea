"""A PostgreSQL connection URL, taken apart. It knows libpq's spelling; it must not know sockets or files.

Only the parameters that pgwarden honours are accepted: one that is silently dropped (say, `sslmode`
misspelt) would weaken a connection without anybody noticing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
PARAMETERS: Final = (
    "host",
    "port",
    "user",
    "password",
    "dbname",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "connect_timeout",
)
DEFAULT_PORT: Final = 5432


class DsnError(ValueError):
    """The URL can't be used. The message never quotes the URL: it may hold a password."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where a server is and how to get in. `host` starting with ``/`` is the directory of a unix socket.

    `sslmode` has libpq's meaning. `sslrootcert`, `sslcert` and `sslkey` are file names or empty.
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

    @property
    def is_unix(self) -> bool:
        return self.host.startswith("/")

    def with_password(self, password: str) -> Upstream:
        return replace(self, password=password)

    def url(self) -> str:
        """The same as one URL, password included: for asyncpg and psycopg, never for a log."""
        secret = "" if self.password is None else f":{quote(self.password, safe='')}"
        where = "" if self.is_unix else f"{_bracketed(self.host)}:{self.port}"
        user, database = quote(self.user, safe=""), quote(self.database, safe="")
        return f"postgresql://{user}{secret}@{where}/{database}{self._query()}"

    def safe_text(self) -> str:
        """Without the password: for logs and error messages."""
        return f"{self.user}@{_bracketed(self.host)}:{self.port}/{self.database}"

    def _query(self) -> str:
        pairs = [("sslmode", self.sslmode)]
        if self.is_unix:
            pairs += [("host", self.host), ("port", str(self.port))]
        pairs += [(k, v) for k in ("sslrootcert", "sslcert", "sslkey") if (v := getattr(self, k))]
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
    sslmode = given.get("sslmode", "prefer")
    if sslmode not in SSL_MODES:
        raise DsnError(f"sslmode is one of {', '.join(SSL_MODES)}")
    return Upstream(
        host=given.get("host") or "localhost",
        port=_number(given.get("port", str(DEFAULT_PORT)), "port", 65535),
        user=user,
        database=database,
        password=given.get("password"),
        sslmode=sslmode,
        sslrootcert=given.get("sslrootcert", ""),
        sslcert=given.get("sslcert", ""),
        sslkey=given.get("sslkey", ""),
        connect_timeout_s=_number(given.get("connect_timeout", "10"), "connect_timeout", 3600),
    )


def _split(url: str) -> _Parts:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise DsnError("not a URL that can be read: postgresql://user@host:5432/database") from None
    if parts.scheme not in ("postgresql", "postgres"):
        raise DsnError("expected a URL that starts with postgresql://")
    return _Parts(parts.username, parts.password, parts.hostname, port, parts.path, parts.query)


@dataclass(frozen=True, slots=True)
class _Parts:
    user: str | None
    password: str | None = field(repr=False)
    host: str | None
    port: int | None
    path: str
    query: str


def _authority(parts: _Parts) -> dict[str, str]:
    found = {
        "user": parts.user,
        "password": parts.password,
        "host": parts.host,
        "port": None if parts.port is None else str(parts.port),
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
