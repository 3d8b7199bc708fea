"""TLS on both sides: towards clients as `tls.mode` says, towards the server as the DSN's sslmode says.

The wheel's server has no OpenSSL, so the server's side needs an installed PostgreSQL.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from proxy.embedded import EmbeddedServer
from tests.fix_pgwarden import POLICIES, MakePgwarden
from tests.fix_servers import TestServer

_NOW = datetime.datetime.now(datetime.UTC)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, in files."""

    certificate: Path
    key: Path


def _make_pair(folder: Path, name: str, issuer: tuple[x509.Name, ec.EllipticCurvePrivateKey] | None) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer_name, signer_key = issuer or (subject, key)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_NOW - datetime.timedelta(hours=1))
        .not_valid_after(_NOW + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(names, critical=False)
        .sign(signer_key, hashes.SHA256())
    )
    pair = Pair(folder / f"{name}.crt", folder / f"{name}.key")
    pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pair.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    pair.key.chmod(0o600)
    return pair


@dataclass(frozen=True)
class Authority:
    """A certificate authority, a stranger to it, and what it signed for pgwarden and for the server."""

    root: Pair
    stranger: Pair
    gate: Pair
    server: Pair


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    folder = tmp_path_factory.mktemp("tls")
    root = _make_pair(folder, "root", None)
    key = serialization.load_pem_private_key(root.key.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    name = x509.load_pem_x509_certificate(root.certificate.read_bytes()).subject
    pairs = [_make_pair(folder, wanted, (name, key)) for wanted in ("gate", "server")]
    return Authority(root, _make_pair(folder, "stranger", None), *pairs)


@pytest.fixture
def tls_server(server15: TestServer, authority: Authority) -> Iterator[TestServer]:
    """The installed server, with TLS switched on for this test."""
    embedded: EmbeddedServer = server15.embedded
    for pair in (authority.server,):
        for source in (pair.certificate, pair.key):
            target = embedded.data / source.name
            target.write_bytes(source.read_bytes())
            target.chmod(0o600)
            if embedded.user is not None:
                os.chown(target, embedded.user.uid, embedded.user.gid)
    _set(server15, "ssl_cert_file = 'server.crt'", "ssl_key_file = 'server.key'", "ssl = on")
    yield server15
    _set(server15, "ssl = off")


def _set(server: TestServer, *settings: str) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        for setting in settings:
            connection.execute(f"ALTER SYSTEM SET {setting}".encode())
        connection.execute("SELECT pg_reload_conf()")


def _tls(authority: Authority, mode: str) -> dict[str, str]:
    return {"mode": mode, "certificate": str(authority.gate.certificate), "key": str(authority.gate.key)}


def test_clients_speak_tls_as_the_mode_says(make_pgwarden: MakePgwarden, authority: Authority) -> None:
    required = make_pgwarden(tls=_tls(authority, "require"))
    verified = {"sslmode": "verify-full", "sslrootcert": str(authority.root.certificate)}
    with psycopg.connect(required.dsn("ada", **verified)) as connection:
        assert connection.pgconn.ssl_in_use
        (email,) = connection.execute("SELECT email FROM shop.customers ORDER BY id LIMIT 1").fetchone() or ("",)
        assert "***" in email
    with pytest.raises(psycopg.OperationalError, match="TLS connections only"):
        psycopg.connect(required.dsn("ada", sslmode="disable"))
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        psycopg.connect(required.dsn("ada", sslmode="verify-full", sslrootcert=str(authority.stranger.certificate)))
    allowed = make_pgwarden(tls=_tls(authority, "allow"))
    for mode, is_tls in (("disable", False), ("require", True)):
        with psycopg.connect(allowed.dsn("ada", sslmode=mode)) as connection:
            assert connection.pgconn.ssl_in_use == is_tls


def test_the_server_is_verified_as_the_dsn_says(
    make_pgwarden: MakePgwarden, tls_server: TestServer, authority: Authority
) -> None:
    database = tls_server.shop()
    plain = tls_server.gateway_dsn(database)
    trusted, strange = (f"sslrootcert={pair.certificate}" for pair in (authority.root, authority.stranger))
    databases = {
        "shop": {"upstream": f"{plain}?sslmode=verify-full&{trusted}"},
        "required": {"upstream": f"{plain}?sslmode=require"},
        "strange": {"upstream": f"{plain}?sslmode=verify-ca&{strange}"},
        "plain": {"upstream": f"{plain}?sslmode=disable"},
    }
    everywhere = POLICIES.read_text("utf-8").replace("database: shop", 'database: "*"')
    gate = make_pgwarden(tls_server, policies=everywhere, databases=databases, is_started=False)
    gate.start(is_ready=False)
    question = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    for name, is_tls in (("shop", True), ("required", True), ("plain", False)):
        with psycopg.connect(gate.dsn("admin", database=name)) as connection:
            assert connection.execute(question.encode()).fetchone() == (is_tls,), name
    with pytest.raises(psycopg.OperationalError, match="could not connect to the database server"):
        psycopg.connect(gate.dsn("admin", database="strange"))
