"""TLS on both sides, with real clients and a real server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from proxy.embedded import EmbeddedServer
from proxy.installation import find_system
from tests.fix_servers import TestServer
from tests.unit.net.certificates import Authority, Pair
from tests.unit.net.worker_stage import worker_before


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> Pair:
    return authority.pair("gateway")


async def tls_of(dsn: str) -> bool:
    connection = await psycopg.AsyncConnection.connect(dsn)
    async with connection:
        await connection.execute("SELECT repeat('x', 100000)")
        return bool(connection.pgconn.ssl_in_use)


async def test_clients_may_encrypt(
    server18: TestServer, tmp_path: Path, certificate: Pair, authority: Authority
) -> None:
    tls = {"mode": "allow", "certificate": certificate.certificate, "key": certificate.key}
    async with worker_before(server18, tmp_path, tls=tls) as stage:
        verified = {"sslmode": "verify-full", "sslrootcert": str(authority.file)}
        assert await tls_of(stage.dsn("admin", **verified)) is True
        assert await tls_of(stage.dsn("admin", sslmode="disable")) is False


async def test_clients_must_encrypt(server18: TestServer, tmp_path: Path, certificate: Pair) -> None:
    tls = {"mode": "require", "certificate": certificate.certificate, "key": certificate.key}
    async with worker_before(server18, tmp_path, tls=tls) as stage:
        assert await tls_of(stage.dsn("admin", sslmode="require")) is True
        with pytest.raises(psycopg.OperationalError, match="TLS"):
            await tls_of(stage.dsn("admin", sslmode="disable"))


async def test_without_tls_the_answer_is_no(server18: TestServer, tmp_path: Path) -> None:
    async with worker_before(server18, tmp_path) as stage:
        assert await tls_of(stage.dsn("admin", sslmode="prefer")) is False
        with pytest.raises(psycopg.OperationalError):
            await tls_of(stage.dsn("admin", sslmode="require"))


async def test_client_certificates(
    server18: TestServer, tmp_path: Path, certificate: Pair, authority: Authority
) -> None:
    tls = {
        "mode": "require",
        "certificate": certificate.certificate,
        "key": certificate.key,
        "client_ca": authority.file,
    }
    shown = authority.pair("client")
    stranger = Authority(tmp_path, "stranger").pair("strange")
    async with worker_before(server18, tmp_path, tls=tls) as stage:

        def dsn(pair: Pair) -> str:
            return stage.dsn("admin", sslmode="require", sslcert=str(pair.certificate), sslkey=str(pair.key))

        assert await tls_of(dsn(shown)) is True
        with pytest.raises(psycopg.OperationalError):
            await tls_of(dsn(stranger))
        with pytest.raises(psycopg.OperationalError):
            await tls_of(stage.dsn("admin", sslmode="require"))
        assert await tls_of(dsn(shown)) is True


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[EmbeddedServer]:
    """A server with a certificate. The wheel's has no OpenSSL."""
    installation = find_system()
    if installation is None:
        pytest.skip("no PostgreSQL is installed on this system")
    directory = tmp_path_factory.mktemp("secured")
    with EmbeddedServer(directory, installation, settings={"fsync": "off"}) as server:
        pair = authority.pair("database")
        for source, name in ((pair.certificate, "server.crt"), (pair.key, "server.key")):
            target = server.data / name
            shutil.copy(source, target)
            shutil.chown(target, server.data.stat().st_uid, server.data.stat().st_gid)
            target.chmod(0o600)
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET ssl = on")
            connection.execute("CREATE DATABASE shop")
            connection.execute("SELECT pg_reload_conf()")
        yield server


def upstream(server: EmbeddedServer, host: str = "127.0.0.1", **options: str) -> str:
    dsn = server.dsn("shop").replace("127.0.0.1", host).partition("?")[0]
    return dsn + "?" + "&".join(f"{key}={value}" for key, value in options.items())


POLICIES_WITHOUT_TABLES = """
principals: [{user: admin, roles: [admin], auth: {scram: "@admin@"}}]
policies:
  - {name: all, subjects: {any: true}, statements: [all], tables: {allow: ["*.*"]}, functions: {allow: ["*"]}}
"""


async def is_encrypted(tmp_path: Path, dsn: str) -> bool:
    async with (
        worker_before(dsn, tmp_path, policies_text=POLICIES_WITHOUT_TABLES) as stage,
        await psycopg.AsyncConnection.connect(stage.dsn("admin")) as connection,
    ):
        cursor = await connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        row = await cursor.fetchone()
        assert row is not None
        return bool(row[0])


@pytest.mark.parametrize("sslmode", ["prefer", "require"])
async def test_the_link_to_the_server_is_encrypted(secured: EmbeddedServer, tmp_path: Path, sslmode: str) -> None:
    assert await is_encrypted(tmp_path, upstream(secured, sslmode=sslmode)) is True


async def test_disable_leaves_it_plain(secured: EmbeddedServer, tmp_path: Path) -> None:
    assert await is_encrypted(tmp_path, upstream(secured, sslmode="disable")) is False


@pytest.mark.parametrize("sslmode", ["verify-ca", "verify-full"])
async def test_a_known_authority_is_trusted(
    secured: EmbeddedServer, tmp_path: Path, authority: Authority, sslmode: str
) -> None:
    dsn = upstream(secured, sslmode=sslmode, sslrootcert=str(authority.file))
    assert await is_encrypted(tmp_path, dsn) is True


async def test_another_authority_is_not(secured: EmbeddedServer, tmp_path: Path) -> None:
    dsn = upstream(secured, sslmode="verify-ca", sslrootcert=str(Authority(tmp_path, "other").file))
    with pytest.raises(psycopg.OperationalError, match="could not connect to the database server"):
        await is_encrypted(tmp_path, dsn)


async def test_a_server_without_tls_is_refused_where_it_is_demanded(server18: TestServer, tmp_path: Path) -> None:
    dsn = server18.dsn(server18.empty()).partition("?")[0] + "?sslmode=require"
    with pytest.raises(psycopg.OperationalError, match="offers no TLS"):
        await is_encrypted(tmp_path, dsn)
