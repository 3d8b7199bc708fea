"""TLS on both sides, with real clients and a real server."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from proxy.embedded import EmbeddedServer
from proxy.installation import find_system
from proxy.net.tls import own_binding
from tests.drivers.middleman import Middleman
from tests.fix_pgwarden import password_of, until
from tests.fix_servers import TestServer, passing_server
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


async def test_renewed_certificates_count_for_new_links(
    server18: TestServer, tmp_path: Path, authority: Authority
) -> None:
    first, second = authority.pair("first"), authority.pair("second")
    shown = Pair(tmp_path / "shown.crt", tmp_path / "shown.key")

    def put(pair: Pair) -> None:
        shutil.copy(pair.certificate, shown.certificate)
        shutil.copy(pair.key, shown.key)

    put(first)
    tls = {"mode": "require", "certificate": shown.certificate, "key": shown.key}
    (tmp_path / "stage").mkdir()
    async with worker_before(server18, tmp_path / "stage", tls=tls) as stage:
        direct = {"sslmode": "require", "sslnegotiation": "direct"}
        for pair, is_good in ((first, True), (second, True), (first, False)):
            if is_good:
                put(pair)
            else:
                shown.key.write_text("no key")
            await stage.worker.reload()
            expected = ssl.PEM_cert_to_DER_cert((pair if is_good else second).certificate.read_text())
            assert await asyncio.to_thread(certificate_shown, stage.port) == expected
            for options in (direct, {"sslmode": "require"}):
                assert await tls_of(stage.dsn("admin", channel_binding="require", **options)) is True


def certificate_shown(port: int) -> bytes | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["postgresql"])
    with socket.create_connection(("127.0.0.1", port), 10) as plain, context.wrap_socket(plain) as link:
        return link.getpeercert(binary_form=True)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[EmbeddedServer]:
    """A server with a certificate. The wheel's has no OpenSSL."""
    installation = find_system()
    if installation is None:
        pytest.skip("no PostgreSQL is installed on this system")
    directory = tmp_path_factory.mktemp("secured")
    with passing_server(directory, installation, settings={"fsync": "off"}) as server:
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
    tmp_path.mkdir(exist_ok=True)
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


# what libpq means by each parameter


@pytest.fixture
def rules(secured: EmbeddedServer) -> Iterator[Callable[[str], None]]:
    """Sets pg_hba.conf's lines for TCP; the superuser on plain TCP of another address is never locked out."""
    file = secured.data / "pg_hba.conf"
    before = file.read_text()

    def set_rules(lines: str) -> None:
        file.write_text(lines)
        secured._pg_ctl("reload")
        until(lambda: lines.splitlines()[0].split()[0] in _rules_in_force(secured), "the reload")

    yield set_rules
    file.write_text(before)
    secured._pg_ctl("reload")


def _rules_in_force(server: EmbeddedServer) -> str:
    """The types of the lines that the server would show; asked over whichever way is open."""
    for mode in ("disable", "require"):
        try:
            with psycopg.connect(f"{server.dsn()}?sslmode={mode}") as connection:
                rows = connection.execute("SELECT type FROM pg_hba_file_rules").fetchall()
                return " ".join(row[0] for row in rows)
        except psycopg.OperationalError:
            continue
    return ""


async def test_allow_and_prefer_try_the_other_way_when_the_server_refuses_one(
    secured: EmbeddedServer, tmp_path: Path, rules: Callable[[str], None]
) -> None:
    rules("hostssl all all 127.0.0.1/32 scram-sha-256\n")
    assert await is_encrypted(tmp_path / "a", upstream(secured, sslmode="allow")) is True
    with pytest.raises(psycopg.OperationalError, match="refused the gateway's login"):
        await is_encrypted(tmp_path / "b", upstream(secured, sslmode="disable"))
    rules("hostnossl all all 127.0.0.1/32 scram-sha-256\n")
    assert await is_encrypted(tmp_path / "c", upstream(secured, sslmode="prefer")) is False
    with pytest.raises(psycopg.OperationalError, match="refused the gateway's login"):
        await is_encrypted(tmp_path / "d", upstream(secured, sslmode="require"))


async def test_a_client_certificate_with_a_locked_key(
    secured: EmbeddedServer, tmp_path: Path, authority: Authority, rules: Callable[[str], None]
) -> None:
    target = secured.data / "root.crt"
    shutil.copy(authority.file, target)
    shutil.chown(target, secured.data.stat().st_uid, secured.data.stat().st_gid)
    with psycopg.connect(secured.dsn(), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET ssl_ca_file = 'root.crt'")
    rules("hostssl shop all 127.0.0.1/32 cert\nhost postgres all 127.0.0.1/32 scram-sha-256\n")
    shown = authority.pair("postgres", password="open sesame")
    given = {"sslmode": "require", "sslcert": str(shown.certificate), "sslkey": str(shown.key)}
    dsn = upstream(secured, **given, sslpassword="open%20sesame")
    assert await is_encrypted(tmp_path / "a", dsn) is True
    for wrong in ({**given, "sslpassword": "shut"}, given, {"sslmode": "require"}):
        with pytest.raises(psycopg.OperationalError):
            await is_encrypted(tmp_path / f"b{len(wrong)}", upstream(secured, **wrong))


async def test_the_gateways_login_is_bound_to_the_channel(
    secured: EmbeddedServer, tmp_path: Path, authority: Authority
) -> None:
    trusted = {"sslmode": "verify-ca", "sslrootcert": str(authority.file)}
    for binding in ("require", "prefer", "disable"):
        dsn = upstream(secured, **trusted, channel_binding=binding)
        assert await is_encrypted(tmp_path / binding, dsn) is True
    # One who has a certificate of the same authority, for another machine, passes verify-ca.
    with Middleman(secured.port, authority.pair("elsewhere")) as man:
        between = upstream(secured, **trusted).replace(f":{secured.port}/", f":{man.here}/")
        for binding in ("require", "prefer"):
            with pytest.raises(psycopg.OperationalError, match="refused the gateway's login"):
                await is_encrypted(tmp_path / f"between-{binding}", f"{between}&channel_binding={binding}")
        assert await is_encrypted(tmp_path / "unbound", f"{between}&channel_binding=disable") is True


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
async def test_the_lowest_version_of_tls(
    secured: EmbeddedServer, tmp_path: Path, authority: Authority, version: str
) -> None:
    with psycopg.connect(secured.dsn(), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET ssl_max_protocol_version = 'TLSv1.2'")
        connection.execute("SELECT pg_reload_conf()")
    try:
        dsn = upstream(secured, sslmode="require", ssl_min_protocol_version=version)
        if version == "TLSv1.2":
            assert await is_encrypted(tmp_path, dsn) is True
        else:
            with pytest.raises(psycopg.OperationalError, match="TLS with the database server failed"):
                await is_encrypted(tmp_path, dsn)
    finally:
        with psycopg.connect(secured.dsn(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM RESET ssl_max_protocol_version")
            connection.execute("SELECT pg_reload_conf()")


async def test_direct_tls_towards_a_server_that_knows_it(
    server18: TestServer, tmp_path: Path, certificate: Pair, authority: Authority, secured: EmbeddedServer
) -> None:
    """The server is another pgwarden: the wheel's PostgreSQL 18 has no TLS, and 15 doesn't know this."""
    tls = {"mode": "require", "certificate": certificate.certificate, "key": certificate.key}
    (tmp_path / "behind").mkdir()
    async with worker_before(server18, tmp_path / "behind", tls=tls) as behind:
        given = f"sslmode=verify-full&sslrootcert={authority.file}&sslnegotiation=direct&channel_binding=require"
        dsn = f"postgresql://admin:{password_of('admin')}@localhost:{behind.port}/shop?{given}"
        (tmp_path / "before").mkdir()
        async with worker_before(dsn, tmp_path / "before") as stage:
            assert await tls_of(stage.dsn("admin")) is False
            records = [name for name in ("shop",) if name in stage.worker.unreachable]
            assert records == []
    with pytest.raises(psycopg.OperationalError, match="TLS with the database server failed"):
        await is_encrypted(tmp_path / "old", upstream(secured, sslmode="require", sslnegotiation="direct"))


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512", "ed25519"])
def test_the_mark_of_a_channel_goes_by_the_certificates_signature(tmp_path: Path, algorithm: str) -> None:
    """Held against OpenSSL's own fingerprint of the same file."""
    file = tmp_path / "own.crt"
    kind = ["ed25519"] if algorithm == "ed25519" else ["rsa:2048", f"-{algorithm}"]
    made = ["openssl", "req", "-x509", "-nodes", "-subj", "/CN=own", "-newkey", *kind]
    subprocess.run([*made, "-keyout", str(tmp_path / "own.key"), "-out", str(file)], capture_output=True, check=True)
    if algorithm == "ed25519":
        assert own_binding(file) == b""  # RFC 5929 knows no hash for it
        return
    shown = ["openssl", "x509", "-in", str(file), "-noout", "-fingerprint", f"-{algorithm}"]
    done = subprocess.run(shown, capture_output=True, text=True, check=True)
    assert own_binding(file).hex(":").upper() == done.stdout.strip().partition("=")[2]
