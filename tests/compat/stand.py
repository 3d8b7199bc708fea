"""What a suite is run against: a PostgreSQL of its own, and before it, for the second run, a pgwarden.

Each run gets a new cluster: what the first run leaves behind must not decide the second. pgwarden is set up as an
operator would for such clients: the suites' user as a principal, every database that they name, the allow-everything
policy with replication, TLS on request with the server's own certificate.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import psycopg
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from psycopg import sql

from proxy.embedded import SUPERUSER, EmbeddedServer
from proxy.installation import Installation
from proxy.wire.scram import make_verifier
from tests.fix_pgwarden import Pgwarden
from tests.fix_servers import TestServer

PASSWORD: Final = "compat-secret"
_SALT: Final = b"0123456789abcdef"
_SETTINGS: Final = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "200",
    "max_prepared_transactions": "50",
    "wal_level": "logical",
    "log_min_messages": "fatal",
}


@dataclass(frozen=True, slots=True)
class Needs:
    """What a suite expects to find. `later`: databases that it makes itself. `setup`: SQL per database.

    `aliases`: names of databases at pgwarden for those of the server.
    """

    databases: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    setup: Mapping[str, Sequence[str]] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a suite connects. `server` is the PostgreSQL behind it; `pgwarden` stands between, or is None."""

    host: str
    port: int
    server: EmbeddedServer
    pgwarden: Pgwarden | None = None
    user: str = SUPERUSER
    password: str = PASSWORD

    def dsn(self, database: str, scheme: str = "postgresql") -> str:
        return f"{scheme}://{self.user}:{quote(self.password)}@{self.host}:{self.port}/{database}"

    def faults(self) -> tuple[str, ...]:
        """Exceptions that pgwarden logged: nothing that a client sends may cause one."""
        entries = [] if self.pgwarden is None else self.pgwarden.log_entries()
        return tuple(str(entry) for entry in entries if entry["level"] == "error")

    def environment(self, database: str) -> dict[str, str]:
        """libpq's variables."""
        return {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
            "PGDATABASE": database,
        }


@contextmanager
def direct_stand(folder: Path, installation: Installation, needs: Needs) -> Iterator[Endpoint]:
    with _server(folder, installation, needs) as server:
        yield Endpoint("127.0.0.1", server.port, server)


@contextmanager
def through_stand(folder: Path, installation: Installation, needs: Needs, store_dsn: str) -> Iterator[Endpoint]:
    with _server(folder, installation, needs) as server:
        certificate, key = server.directory / "server.crt", server.directory / "server.key"
        names = {name: name for name in (SUPERUSER, "template1", *needs.databases, *needs.later)} | dict(needs.aliases)
        configuration: dict[str, Any] = {
            "databases": {name: {"upstream": _upstream(server, real)} for name, real in names.items()},
            "policies": "policies",
            "audit": {"directory": "journal", "store": store_dsn},
        }
        if _has_tls(installation):
            configuration["tls"] = {"mode": "allow", "certificate": str(certificate), "key": str(key)}
        instance = Pgwarden(
            folder, TestServer(server, server.installation.version), SUPERUSER, store_dsn, configuration
        )
        instance.policy_folder.mkdir(exist_ok=True)
        instance.policy_file.write_text(policies(), "utf-8")
        try:
            instance.start(is_ready=False)
            yield Endpoint(instance.host, instance.port, server, instance)
        finally:
            if instance.process is not None:
                instance.stop()


def policies() -> str:
    """One principal, the one that all suites log in as, and the allow-everything policy, replication included."""
    principals = [{"user": SUPERUSER, "auth": {"scram": make_verifier(PASSWORD, 4096, _SALT)}}]
    everything = {
        "name": "everything",
        "subjects": {"any": True},
        "statements": ["all", "replication"],
        "tables": {"allow": ["*.*"]},
        "functions": {"allow": ["*"]},
    }
    return yaml.safe_dump({"principals": principals, "policies": [everything]}, sort_keys=False)


def _upstream(server: EmbeddedServer, database: str) -> str:
    return server.dsn(quote(database, safe=""), SUPERUSER, PASSWORD)


@contextmanager
def _server(folder: Path, installation: Installation, needs: Needs) -> Iterator[EmbeddedServer]:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    server = EmbeddedServer(folder / "server", installation, settings={**_SETTINGS, **needs.settings})
    with server:
        _write_certificate(server)
        _execute(server, SUPERUSER, _preparations(server), server.password)
        _fill(server, needs)
        yield server


def _has_tls(installation: Installation) -> bool:
    """The wheel's server is built without OpenSSL; pgwarden before it then offers no TLS either."""
    return installation.origin == "system"


def _preparations(server: EmbeddedServer) -> list[str]:
    password = f"ALTER ROLE {SUPERUSER} PASSWORD '{PASSWORD}'"
    if not _has_tls(server.installation):
        return [password]
    return [
        password,
        f"ALTER SYSTEM SET ssl_cert_file = '{server.directory}/server.crt'",
        f"ALTER SYSTEM SET ssl_key_file = '{server.directory}/server.key'",
        "ALTER SYSTEM SET ssl = on",
        "SELECT pg_reload_conf()",
    ]


def _fill(server: EmbeddedServer, needs: Needs) -> None:
    databases = [sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)) for name in needs.databases]
    _execute(server, SUPERUSER, databases)
    for database, statements in needs.setup.items():
        _execute(server, database, statements)


def _execute(
    server: EmbeddedServer, database: str, statements: Sequence[str | sql.Composed], password: str = PASSWORD
) -> None:
    with psycopg.connect(server.dsn(database, SUPERUSER, password), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode() if isinstance(statement, str) else statement)


def _write_certificate(server: EmbeddedServer) -> None:
    """A self-signed certificate for 127.0.0.1, readable by the server's user alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    for file_name, content in (("server.crt", certificate.public_bytes(pem)), ("server.key", private)):
        path = server.directory / file_name
        path.write_bytes(content)
        path.chmod(0o600)
        if server.user is not None:
            os.chown(path, server.user.uid, server.user.gid)
