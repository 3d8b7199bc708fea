"""What an operator may say in `pgwarden.yaml`, key by key, with defaults and checks. Reads no files but passwords."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from audit.bus_settings import STREAM, STREAM_BYTES, SUBJECT, BusSettings
from proxy.config_values import (
    AddressValue,
    Bytes,
    Mode,
    Places,
    Seconds,
    Servers,
    WholeSeconds,
    Workers,
    read_address,
    read_places,
)
from proxy.config_ways_out import AlarmTarget, Export
from proxy.dsn import Upstream, check_for_store, parse_dsn

DEFAULT_LISTEN: Final = "127.0.0.1:6432"
DEFAULT_ADMIN: Final = "127.0.0.1:9187"
_LEAST_JOURNAL: Final = 64 << 20  # bytes for each worker: some segments


class ConfigError(Exception):
    """The configuration can't be used. `problems`: one line each, with its place where there is one."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class TlsMode(StrEnum):
    """`disable`: SSLRequest is answered N. `allow`: the client chooses. `require`: no plain clients."""

    DISABLE = "disable"
    ALLOW = "allow"
    REQUIRE = "require"


class SqlText(StrEnum):
    """How much of a statement's text the audit records keep."""

    FULL = "full"
    REDACTED = "redacted"
    DIGEST = "digest"


class _Keys(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True)


class Admin(_Keys):
    listen: AddressValue = Field(default=read_address(DEFAULT_ADMIN))


class ClientCertificates(StrEnum):
    """`required`: no link without one. `optional`: principals whose `auth` names one need it, others don't."""

    REQUIRED = "required"
    OPTIONAL = "optional"


class Tls(_Keys):
    """TLS towards clients. With `client_ca`, a client shows a certificate that it signed."""

    mode: TlsMode = TlsMode.DISABLE
    certificate: Path | None = None
    key: Path | None = None
    client_ca: Path | None = None
    client_certificates: ClientCertificates = ClientCertificates.REQUIRED

    @model_validator(mode="after")
    def _is_complete(self) -> Tls:
        if self.mode is not TlsMode.DISABLE and (self.certificate is None or self.key is None):
            raise ValueError(f"mode {self.mode.value} needs certificate and key")
        if self.client_certificates is ClientCertificates.OPTIONAL and self.client_ca is None:
            raise ValueError("client_certificates: optional needs client_ca, else none is ever asked for")
        return self


class PoolMode(StrEnum):
    """`session`: a client has a server link of its own. `transaction`: it borrows one for each transaction."""

    SESSION = "session"
    TRANSACTION = "transaction"


class Pool(_Keys):
    """How clients share links to the server. `size`: that many of all workers, at most, but each has one.

    In seconds: `wait` for a link before the client's session ends; a link ends `idle` after its last use, and
    `lifetime` after its beginning.
    """

    mode: PoolMode = PoolMode.SESSION
    size: int = Field(default=20, ge=1, le=10_000)
    wait: Seconds = 30.0
    idle: Seconds = 600.0
    lifetime: Seconds = 3600.0

    @model_validator(mode="after")
    def _is_meant(self) -> Pool:
        given = sorted(self.model_fields_set - {"mode"})
        if given and self.mode is PoolMode.SESSION:
            raise ValueError(f"{', '.join(given)}: of no use without mode: transaction")
        return self


class Lane(_Keys):
    """A workload lane. `concurrency`: statements at once, of all workers; so many more wait, and so long at most."""

    concurrency: int | None = Field(default=None, ge=1, le=10_000)
    queue: int = Field(default=100, ge=0, le=100_000)
    wait: Seconds = 60.0

    @model_validator(mode="after")
    def _has_a_queue(self) -> Self:
        given = sorted(self.model_fields_set & {"queue", "wait"})
        if given and self.concurrency is None:
            raise ValueError(f"{', '.join(given)}: of no use without concurrency, as nobody ever waits")
        return self


class BulkLane(Lane):
    """What makes a statement bulk work, and where it may go: `upstream`, a server that takes no writes.

    `copies`: COPY is bulk work. `plan_units` and `rows`: from so many on, as the planner estimates them.
    """

    users: tuple[str, ...] = ()
    applications: tuple[str, ...] = ()
    workloads: tuple[str, ...] = ()
    copies: bool = True
    plan_units: float | None = Field(default=None, gt=0)
    rows: int | None = Field(default=None, ge=1)
    upstream: str | None = Field(default=None, repr=False)
    password_file: Path | None = None
    fall_back: bool = True

    @field_validator("upstream")
    @classmethod
    def _is_readable(cls, value: str | None) -> str | None:
        if value is not None:
            parse_dsn(value)
        return value

    @model_validator(mode="after")
    def _has_a_server(self) -> Self:
        given = sorted(self.model_fields_set & {"password_file", "fall_back"})
        if given and self.upstream is None:
            raise ValueError(f"{', '.join(given)}: of no use without upstream")
        return self

    def read_server(self) -> Upstream:
        """As `Database.read_server`; there is an upstream. Raises ConfigError."""
        assert self.upstream is not None
        return _with_password(self.upstream, self.password_file)


class Lanes(_Keys):
    """Where this key stands, each statement is in one of both; without `concurrency` nobody waits there."""

    interactive: Lane = Lane()
    bulk: BulkLane = BulkLane()


class Database(_Keys):
    """One database that clients may name. `server` is where it really is, with the password filled in."""

    upstream: str = Field(repr=False)
    password_file: Path | None = None
    pool: Pool = Pool()
    lanes: Lanes | None = None

    @field_validator("upstream")
    @classmethod
    def _is_readable(cls, value: str) -> str:
        parse_dsn(value)
        return value

    @property
    def server(self) -> Upstream:
        """The same as `read_server()`."""
        return self.read_server()

    def read_server(self) -> Upstream:
        """The password file is read anew: a rotated password counts for the next connection. Raises ConfigError."""
        return _with_password(self.upstream, self.password_file)

    @model_validator(mode="after")
    def _can_go_elsewhere(self) -> Self:
        if self.lanes is not None and self.lanes.bulk.upstream is not None and self.pool.mode is PoolMode.SESSION:
            raise ValueError("lanes.bulk.upstream needs pool: {mode: transaction}, else a session has one server")
        return self


class Bus(_Keys):
    """NATS JetStream, to which records go instead of the store. `size` and `replicas` count where no stream is yet."""

    servers: Servers
    stream: str = Field(default=STREAM, pattern=r"^[A-Za-z0-9_-]{1,64}$")
    subject: str = Field(default=SUBJECT, pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$", max_length=128)
    user: str | None = None
    password_file: Path | None = None
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    size: Bytes = Field(default=STREAM_BYTES, ge=1 << 20)
    replicas: int = Field(default=1, ge=1, le=5)

    @model_validator(mode="after")
    def _is_complete(self) -> Bus:
        if (self.user is None) != (self.password_file is None):
            raise ValueError("user and password_file belong together")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together")
        return self

    @property
    def settings(self) -> BusSettings:
        places = self.ca, self.certificate, self.key
        return BusSettings(
            self.servers, self.stream, self.subject, self.user, self.password_file, *places, self.size, self.replicas
        )


class Audit(_Keys):
    """`store` None means the embedded PostgreSQL, with a `bus` none at all. `retention_days` None keeps all records.

    `signing_key`: `env:NAME` or `file:PATH`; None: the key stands in `directory`. `journal_limit`: bytes of all
    journals together, None as many as the disk holds. `export` and `alarms`: where records go besides the store.
    """

    directory: Path = Path("var/journal")
    store: str | None = Field(default=None, repr=False)
    durability: Literal["grouped", "strict"] = "grouped"
    sql_text: SqlText = SqlText.FULL
    parameters: bool = False
    retention_days: int | None = Field(default=90, ge=1, le=36_500)
    bus: Bus | None = None
    signing_key: str | None = None
    journal_limit: Bytes | None = Field(default=None, ge=_LEAST_JOURNAL)
    export: Export | None = None
    alarms: tuple[AlarmTarget, ...] = ()

    @field_validator("signing_key")
    @classmethod
    def _is_a_place(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"(env|file):.+", value):
            raise ValueError("write env:NAME or file:PATH; the key itself has no place here")
        return value

    @model_validator(mode="after")
    def _is_exportable(self) -> Audit:
        if self.export is not None and self.bus is not None and self.store is None:
            raise ValueError("export reads from the store: name it, or configure export where the store is known")
        return self

    @field_validator("store")
    @classmethod
    def _is_readable(cls, value: str | None) -> str | None:
        if value is not None:
            check_for_store(value)
        return value

    @model_validator(mode="after")
    def _is_consistent(self) -> Audit:
        if self.parameters and self.sql_text is not SqlText.FULL:
            raise ValueError("parameters are literals too: they are kept with `sql_text: full` only")
        return self


class Sessions(_Keys):
    """How long a session may do nothing, in seconds; None without end."""

    idle_timeout: Seconds | None = None
    idle_in_transaction_timeout: Seconds | None = None


class Keepalive(_Keys):
    """When TCP asks a silent peer, client or server, whether it is still there, and when it gives up."""

    idle: WholeSeconds = 60
    interval: WholeSeconds = 10
    count: int = Field(default=6, ge=1, le=127)


class Limits(_Keys):
    """`message`: the longest message of a client, and the longest of a server that has to be looked into."""

    message: Bytes = Field(default=64 << 20, ge=1 << 20, le=1 << 30)


class Keys(_Keys):
    """API keys of the store: how often they are read, and how long they count while the store is away, in seconds."""

    refresh: Seconds = 2.0
    max_age: Seconds = 86_400.0

    @model_validator(mode="after")
    def _is_refreshed_in_time(self) -> Keys:
        if self.max_age < 2 * self.refresh:
            raise ValueError("max_age must be at least twice refresh")
        return self


class Config(_Keys):
    """Everything an operator may say. `databases` None means the embedded PostgreSQL with its sample shop."""

    listen: Places = Field(default=read_places(DEFAULT_LISTEN))
    unix_socket_permissions: Mode = 0o777
    handshake_timeout: Seconds = 10.0
    session: Sessions = Sessions()
    keepalive: Keepalive = Keepalive()
    limits: Limits = Limits()
    admin: Admin = Admin()
    tls: Tls = Tls()
    databases: dict[str, Database] | None = None
    policies: Path = Path("policies")
    audit: Audit = Audit()
    keys: Keys = Keys()
    workers: Workers = 1

    @model_validator(mode="after")
    def _has_room_for_journals(self) -> Config:
        limit = self.audit.journal_limit
        if limit is not None and limit < self.workers * _LEAST_JOURNAL:
            raise ValueError(
                f"audit.journal_limit: {self.workers} workers need {self.workers * _LEAST_JOURNAL >> 20}MiB"
            )
        return self

    @field_validator("databases")
    @classmethod
    def _is_not_empty(cls, value: dict[str, Database] | None) -> dict[str, Database] | None:
        if value is not None and not value:
            raise ValueError("name at least one database, or leave the key out to use the embedded one")
        return value


def _with_password(dsn: str, file: Path | None) -> Upstream:
    upstream = parse_dsn(dsn)
    if file is None:
        return upstream
    try:
        return upstream.with_password(file.read_text("utf-8").rstrip("\r\n"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"password_file {file}: {reason_of(error)}"]) from None


def reason_of(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or "can't be read") if isinstance(error, OSError) else "not UTF-8"
