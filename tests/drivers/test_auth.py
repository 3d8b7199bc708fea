"""Ways to prove who one is, with real clients: bound SCRAM, certificates, API keys, files, over TCP, TLS and unix."""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
import stat
import struct
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import asyncpg
import pg8000.native
import psycopg
import pytest
import scramp

from proxy.wire.scram import make_verifier
from tests.drivers.middleman import SSL_REQUEST, Middleman
from tests.fix_pgwarden import MakePgwarden, Pgwarden, run_pgwarden, until
from tests.fix_servers import TestServer
from tests.unit.net.certificates import Authority, Pair

KEYS = {"current": "k-current-0123456789abcdef", "old": "k-old-0123456789abcdef", "other": "k-other-0123456789abcdef"}
SALT = b"fedcba9876543210"


def digest(key: str) -> str:
    return hashlib.sha256(KEYS[key].encode()).hexdigest()


POLICIES = f"""
principals:
  - {{user: admin, roles: [admin], auth: {{scram: "@admin@"}}}}
  - {{user: robot, roles: [admin], auth: {{certificate: "CN=robot"}}}}
  - {{user: clerk, roles: [admin], auth: {{certificate: "CN=clerk,OU=finance,O=Acme"}}}}
  - {{user: ada, roles: [admin], auth: {{certificate: ada, scram: "@ada@"}}}}
  - {{user: filed, roles: [admin], auth: {{scram_file: verifiers/filed}}}}
  - user: ci
    roles: [admin]
    auth:
      api_keys:
        - {{id: current, sha256: "{digest("current")}", expires: 2999-01-01}}
        - {{id: old, sha256: "{digest("old")}", expires: 2020-01-01}}
        - {{id: other, sha256: "{digest("other").upper()}"}}
policies:
  - {{name: all, subjects: {{any: true}}, statements: [all], tables: {{allow: ["*.*"]}}, functions: {{allow: ["*"]}}}}
"""


OPEN_TO_ADA = """
principals: [{user: ada, roles: [admin], auth: {scram: "@ada@"}}]
policies:
  - {name: all, subjects: {any: true}, statements: [all], tables: {allow: ["*.*"]}, functions: {allow: ["*"]}}
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture(scope="module")
def unix_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("unix")


@pytest.fixture(scope="module")
def gate(
    server18: TestServer, tmp_path_factory: pytest.TempPathFactory, authority: Authority, unix_folder: Path
) -> Iterator[Pgwarden]:
    folder = tmp_path_factory.mktemp("auth")
    pair = authority.pair("gate")
    tls = {"mode": "allow", "certificate": str(pair.certificate), "key": str(pair.key)}
    tls |= {"client_ca": str(authority.file), "client_certificates": "optional"}
    listen = [f"unix:{unix_folder}", "127.0.0.1:0"]
    with run_pgwarden(
        folder, server18, policies=POLICIES, tls=tls, listen=listen, unix_socket_permissions="0770", is_started=False
    ) as instance:
        write_verifier(instance, "filed-secret")
        instance.start()
        yield instance
        assert instance.stop() == 0
        assert instance.faults() == []
    assert sorted(unix_folder.iterdir()) == [], "the socket and its lock are removed at the end"


def write_verifier(instance: Pgwarden, password: str) -> None:
    folder = instance.policy_folder / "verifiers"
    folder.mkdir(exist_ok=True)
    fresh = folder / "fresh"
    fresh.write_text(make_verifier(password, 4096, SALT) + "\n")
    fresh.replace(folder / "filed")


def ask(dsn: str, query: str = "SELECT 1") -> object:
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
    return row and row[0]


def refusal(dsn: str) -> str:
    with pytest.raises(psycopg.OperationalError) as refused:
        psycopg.connect(dsn)
    return str(refused.value)


def by_certificate(gate: Pgwarden, user: str, pair: Pair, password: str = "", **options: str) -> str:
    shown = {"sslmode": "require", "sslcert": str(pair.certificate), "sslkey": str(pair.key)}
    return gate.dsn(user, password, **(shown | options))


def logins(gate: Pgwarden, user: str) -> list[str]:
    records = gate.records("stage = 'event' AND shape = 'login' AND \"user\" = %s", user)
    return [record["sql_text"] for record in records]


def test_strangers_see_the_iterations_that_most_users_have(make_pgwarden: MakePgwarden) -> None:
    strong = make_verifier("ada-secret", 9000, SALT)
    pgwarden = make_pgwarden(policies=OPEN_TO_ADA.replace("@ada@", strong))
    seen = {}
    for user in ("ada", "nobody"):
        with socket.create_connection(("127.0.0.1", pgwarden.port), 10) as link:
            body = struct.pack("!i", 3 << 16) + f"user\0{user}\0database\0shop\0\0".encode()
            link.sendall(struct.pack("!i", len(body) + 4) + body)
            first = b"SCRAM-SHA-256\0" + struct.pack("!i", 12) + b"n,,n=,r=abcd"
            link.sendall(b"p" + struct.pack("!i", len(first) + 4) + first)
            heard = b""
            while b",i=" not in heard:
                heard += link.recv(1000)
        seen[user] = heard.partition(b",i=")[2]
    assert seen == {"ada": b"9000", "nobody": b"9000"}


# channel binding


def test_libpq_binds_its_proof_to_the_channel(gate: Pgwarden) -> None:
    assert ask(gate.dsn(sslmode="require", channel_binding="require")) == 1
    assert "channel binding" in refusal(gate.dsn(sslmode="disable", channel_binding="require"))
    for mode in ("disable", "prefer"):
        assert ask(gate.dsn(sslmode="require", channel_binding=mode)) == 1
    command = ["psql", "-XAt", gate.dsn(sslmode="require", channel_binding="require"), "-c", "SELECT 2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert (done.stdout, done.stderr) == ("2\n", "")


def test_a_man_in_the_middle_of_two_tls_links_is_found(gate: Pgwarden, authority: Authority) -> None:
    with Middleman(gate.port, authority.pair("middleman")) as man:
        dsn = gate.dsn(sslmode="require").replace(f":{gate.port}/", f":{man.here}/")
        assert "channel binding check failed" in refusal(dsn)
        # Without binding he reads everything: that is what it is for.
        assert ask(f"{dsn}&channel_binding=disable") == 1


def test_an_offer_that_is_taken_away_is_missed(gate: Pgwarden, authority: Authority) -> None:
    def without_plus(data: bytes) -> bytes:
        both = b"R\0\0\0\x2a\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"
        return data.replace(both, b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0")

    with Middleman(gate.port, authority.pair("middleman"), without_plus) as man:
        dsn = gate.dsn(sslmode="require").replace(f":{gate.port}/", f":{man.here}/")
        assert "was offered" in refusal(dsn)


# direct TLS


async def test_direct_tls_and_alpn(gate: Pgwarden, authority: Authority) -> None:
    direct = {"sslnegotiation": "direct", "sslmode": "verify-full", "sslrootcert": str(authority.file)}
    assert ask(gate.dsn(**direct, channel_binding="require")) == 1
    connection = await asyncpg.connect(gate.dsn(**direct))
    assert await connection.fetchval("SELECT 3") == 3
    await connection.close()


@pytest.mark.parametrize("protocols", [[], ["http/1.1"], ["postgresql/2"]])
def test_direct_tls_without_our_protocols_name_ends(gate: Pgwarden, protocols: list[str]) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(protocols)
    with socket.create_connection(("127.0.0.1", gate.port), 10) as plain:
        try:
            with context.wrap_socket(plain) as link:
                link.sendall(b"GET / HTTP/1.1\r\n\r\n")
                heard = link.recv(100)
        except (ssl.SSLError, ConnectionError):
            heard = b""
    assert heard == b""
    assert ask(gate.dsn()) == 1


@pytest.mark.parametrize("is_together", [True, False])
def test_what_is_smuggled_before_the_handshake_is_never_read(gate: Pgwarden, is_together: bool) -> None:
    body = struct.pack("!i", 3 << 16) + b"user\0admin\0database\0shop\0\0"
    startup = struct.pack("!i", len(body) + 4) + body
    with socket.create_connection(("127.0.0.1", gate.port), 10) as link:
        link.sendall(SSL_REQUEST + (startup if is_together else b""))
        heard = link.recv(1)
        if not is_together:
            assert heard == b"S"
            link.sendall(startup)
        while chunk := _receive(link):
            heard += chunk
    assert b"SCRAM" not in heard


def _receive(link: socket.socket) -> bytes:
    try:
        return link.recv(1000)
    except ConnectionResetError:
        return b""


# certificates


def test_a_certificate_is_a_login(gate: Pgwarden, authority: Authority) -> None:
    robot = authority.pair("robot")
    assert ask(by_certificate(gate, "robot", robot)) == 1
    assert ask(by_certificate(gate, "robot", robot, sslnegotiation="direct")) == 1
    until(lambda: "login by certificate CN=robot" in logins(gate, "robot"), "the record")
    clerk = authority.pair("O=Acme", "OU=finance", "CN=clerk", file="clerk")
    assert ask(by_certificate(gate, "clerk", clerk)) == 1


@pytest.mark.parametrize(
    ("user", "subject"),
    [
        ("robot", ["clerk"]),
        ("robot", ["Robot"]),
        ("robot", ["robot "]),
        ("robot", ["robot", "clerk"]),
        ("robot", ["clerk", "robot"]),
        ("robot", ["robot\0.evil"]),
        ("robot", ["O=robot"]),
        ("clerk", ["CN=clerk"]),
        ("clerk", ["CN=clerk", "OU=finance", "O=Globex"]),
        ("clerk", ["CN=clerk", "OU=finance", "OU=sales", "O=Acme"]),
    ],
)
def test_another_ones_certificate_is_not(gate: Pgwarden, authority: Authority, user: str, subject: list[str]) -> None:
    told = refusal(by_certificate(gate, user, authority.pair(*subject, file="another")))
    assert f'certificate authentication failed for user "{user}"' in told


def test_without_a_certificate_its_user_looks_like_nobody(gate: Pgwarden) -> None:
    for options in ({"sslmode": "require"}, {"sslmode": "disable"}):
        known, unknown = (refusal(gate.dsn(user, "guess", **options)) for user in ("robot", "nobody"))
        assert known.replace("robot", "nobody") == unknown


def test_a_strangers_certificate_ends_the_handshake(gate: Pgwarden, tmp_path: Path) -> None:
    told = refusal(by_certificate(gate, "robot", Authority(tmp_path, "stranger").pair("robot")))
    assert "authentication failed" not in told


def test_certificate_and_password_are_both_asked_for(gate: Pgwarden, authority: Authority) -> None:
    ada = authority.pair("ada")
    assert ask(by_certificate(gate, "ada", ada, "ada-secret")) == 1
    assert "password authentication failed" in refusal(by_certificate(gate, "ada", ada, "wrong"))
    assert "password authentication failed" in refusal(gate.dsn("ada", sslmode="require"))
    assert "certificate authentication failed" in refusal(
        by_certificate(gate, "ada", authority.pair("bob"), "ada-secret")
    )


# API keys


def test_an_api_key_is_a_password_and_the_record_names_it(gate: Pgwarden) -> None:
    for key in ("current", "other"):
        assert ask(gate.dsn("ci", KEYS[key], sslmode="require")) == 1
    until(lambda: {"login by API key current", "login by API key other"} <= set(logins(gate, "ci")), "the records")
    assert not any(key in record for key in KEYS.values() for record in logins(gate, "ci"))
    assert not any(key in gate.log_text for key in KEYS.values())


def test_an_api_key_travels_through_tls_only(gate: Pgwarden) -> None:
    told = refusal(gate.dsn("ci", KEYS["current"], sslmode="disable"))
    assert "taken over TLS only" in told


def test_an_expired_key_is_told_to_who_holds_it(gate: Pgwarden) -> None:
    assert 'API key "old" of user "ci" has expired' in refusal(gate.dsn("ci", KEYS["old"], sslmode="require"))
    for wrong in ("", "guess", digest("current"), KEYS["current"] + "x", KEYS["current"][:-1]):
        told = refusal(gate.dsn("ci", wrong, sslmode="require"))
        assert "password authentication failed" in told or "no password supplied" in told


# files


def test_a_verifier_in_a_file_is_read_again_when_it_changes(gate: Pgwarden) -> None:
    dsn = gate.dsn("filed", "filed-secret")
    assert ask(dsn) == 1
    with psycopg.connect(dsn, autocommit=True) as held:
        write_verifier(gate, "another-secret")
        until(lambda: _is_let_in(gate.dsn("filed", "another-secret")), "the new password")
        assert "password authentication failed" in refusal(dsn)
        assert held.execute("SELECT 4").fetchone() == (4,), "who is in stays in"


def _is_let_in(dsn: str) -> bool:
    try:
        return ask(dsn) == 1
    except psycopg.OperationalError:
        return False


def test_a_removed_user_is_put_out(make_pgwarden: MakePgwarden) -> None:
    pgwarden = make_pgwarden()
    text = pgwarden.policy_file.read_text()
    assert "user: ada," in text
    removed = text.replace("user: ada,", "user: ida,")
    with psycopg.connect(pgwarden.dsn("ada"), autocommit=True) as ada, psycopg.connect(pgwarden.dsn()) as admin:
        ada.execute("SELECT 1")
        pgwarden.write_policies(removed)
        until(lambda: not _is_let_in(pgwarden.dsn("ada")), "the removal")
        with pytest.raises(psycopg.errors.AdminShutdown, match="policies changed"):
            ada.execute("SELECT 1")
        assert admin.execute("SELECT 1").fetchone() == (1,)


# unix sockets


def test_clients_come_through_a_unix_socket(gate: Pgwarden, unix_folder: Path) -> None:
    path = unix_folder / ".s.PGSQL.6432"
    assert stat.S_IMODE(path.stat().st_mode) == 0o770
    local = f"host={unix_folder} port=6432 dbname=shop"
    assert ask(f"{local} user=admin password=admin-secret") == 1
    assert ask(f"{local} user=ci password={KEYS['current']}") == 1, "nobody can listen there"
    assert "password authentication failed" in refusal(f"{local} user=admin password=x")
    until(lambda: gate.records("shape = 'login' AND client_address = 'local'"), "a record")
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(str(path))
        link.sendall(SSL_REQUEST)
        assert link.recv(1) == b"N"


def test_a_place_that_is_taken_stays_its_owners(gate: Pgwarden, unix_folder: Path, make_pgwarden: MakePgwarden) -> None:
    second = make_pgwarden(listen=[f"unix:{unix_folder}"], is_started=False)
    second.write_configuration()
    done = second.run("serve")
    assert done.returncode != 0
    assert "another program listens there" in done.stderr
    assert "Traceback" not in done.stderr
    assert ask(f"host={unix_folder} port=6432 dbname=shop user=admin password=admin-secret") == 1


def test_what_a_killed_one_left_behind_is_no_obstacle(make_pgwarden: MakePgwarden, tmp_path: Path) -> None:
    pgwarden = make_pgwarden(listen=[f"unix:{tmp_path}:7000", "127.0.0.1:0"])
    pgwarden.kill()
    assert (tmp_path / ".s.PGSQL.7000").is_socket()
    pgwarden.start()
    assert ask(f"host={tmp_path} port=7000 dbname=shop user=admin password=admin-secret") == 1
    assert pgwarden.stop() == 0
    assert os.listdir(tmp_path) == []


# protocol versions


def test_libpq_speaks_3_2_and_cancels_with_its_long_key(gate: Pgwarden, unix_folder: Path) -> None:
    direct = {"sslmode": "require", "sslnegotiation": "direct"}
    local = {"host": str(unix_folder), "port": "6432"}
    for version, way in (("3.0", {"sslmode": "require"}), ("3.2", direct), ("3.2", local), ("3.2", {})):
        dsn = gate.dsn(**way, min_protocol_version=version, max_protocol_version=version)
        with psycopg.connect(dsn, autocommit=True) as connection:
            assert connection.pgconn.full_protocol_version == int(version[0]) * 10_000 + int(version[2])
            canceller = connection.pgconn.cancel_conn()
            connection.pgconn.send_query(b"SELECT pg_sleep(30)")
            until(lambda: sleepers(gate.server.dsn()) == 1, "the statement")
            canceller.blocking()
            canceller.finish()
            result = connection.pgconn.get_result()
            assert result is not None
            assert result.error_field(psycopg.pq.DiagnosticField.SQLSTATE) == b"57014"
            assert connection.pgconn.get_result() is None


def sleepers(dsn: str) -> object:
    return ask(dsn, "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(30)' AND state = 'active'")


# drivers that bind by themselves


def test_pg8000_binds_its_proof(gate: Pgwarden, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[str] = []
    make = scramp.ScramClient.__init__

    def note(client: scramp.ScramClient, *arguments: object, **named: object) -> None:
        make(client, *arguments, **named)
        chosen.append(client.mechanism_name)

    monkeypatch.setattr(scramp.ScramClient, "__init__", note)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    given = {"host": "127.0.0.1", "port": gate.port, "database": "shop", "ssl_context": context}
    with closing(pg8000.native.Connection("admin", password="admin-secret", **given)) as connection:
        assert connection.run("SELECT 5") == [[5]]
    with closing(pg8000.native.Connection("ci", password=KEYS["current"], **given)) as connection:
        assert connection.run("SELECT 6") == [[6]]
    assert chosen == ["SCRAM-SHA-256-PLUS"]
