"""The launcher: a server that is made, found again after every kind of end, and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from proxy import installation as installations
from proxy.embedded import EmbeddedServer, find_free_port
from proxy.installation import EmbeddedError, Installation, find_installation, find_system, find_wheel

ROOT = Path(__file__).parents[2]
FOUND = [found for found in (find_wheel(), find_system()) if found is not None]
FAST = {"fsync": "off"}
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")

LAUNCHER = """
import sys, time
from pathlib import Path
from proxy.embedded import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]), settings={"fsync": "off"}).start()
print(server.port, server._postmaster_pid(), flush=True)
time.sleep(600)
"""


@pytest.fixture(params=FOUND, ids=lambda found: found.origin)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(tmp_path / "postgres", request.param, settings=FAST) as running:
        yield running
    shutil.rmtree(running.directory, ignore_errors=True)


def one(dsn: str, query: str) -> object:
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(query).fetchone()
        return row and row[0]


def make_table(server: EmbeddedServer) -> None:
    with psycopg.connect(server.dsn()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")


def test_it_speaks_tcp_with_passwords_in_utf8_and_utc(server: EmbeddedServer) -> None:
    assert one(server.dsn(), "SHOW server_encoding") == "UTF8"
    assert one(server.dsn(), "SHOW timezone") == "UTC"
    assert one(server.dsn(), "SHOW listen_addresses") == "127.0.0.1"
    assert one(server.dsn(), "SHOW unix_socket_directories") == ""
    stored = one(server.dsn(), "SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres'")
    assert str(stored).startswith("SCRAM-SHA-256$")


def test_a_wrong_password_is_refused(server: EmbeddedServer) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.dsn(password="wrong"))


def test_secrets_and_data_are_private(server: EmbeddedServer) -> None:
    assert (server.directory / "password").stat().st_mode & 0o777 == 0o600
    assert server.directory.stat().st_mode & 0o777 == 0o700


def test_a_second_start_finds_data_port_and_password(server: EmbeddedServer) -> None:
    make_table(server)
    before = server.dsn()
    server.stop()
    assert not server.is_running
    server.start()
    assert server.dsn() == before
    assert one(before, "SELECT answer FROM kept") == 42


def test_it_recovers_after_a_crash(server: EmbeddedServer) -> None:
    make_table(server)
    server.kill()
    assert not server.is_running
    assert (server.data / "postmaster.pid").exists()
    server.start()
    assert one(server.dsn(), "SELECT answer FROM kept") == 42


def test_a_stale_pid_file_with_a_number_in_use_doesnt_stop_it(server: EmbeddedServer) -> None:
    pid_file = server.data / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    server.stop()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    if server.user is not None:
        os.chown(pid_file, server.user.uid, server.user.gid)
    server.start()
    assert server.is_running


def test_start_and_stop_may_be_repeated(server: EmbeddedServer) -> None:
    port = server.port
    assert server.start().port == port
    server.stop()
    server.stop()
    with pytest.raises(EmbeddedError, match="isn't running"):
        server.dsn()


def test_settings_and_a_wanted_port_are_used(server: EmbeddedServer) -> None:
    server.stop()
    port = find_free_port()
    settings = {**FAST, "application_name": "two words 'quoted'"}
    with EmbeddedServer(server.directory, server.installation, port=port, settings=settings) as other:
        assert other.port == port
        assert one(other.dsn(), "SELECT reset_val FROM pg_settings WHERE name = 'application_name'") == (
            "two words 'quoted'"
        )


def test_a_taken_port_is_named(server: EmbeddedServer) -> None:
    server.stop()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        other = EmbeddedServer(server.directory, server.installation, port=port, settings=FAST)
        with pytest.raises(EmbeddedError, match=f"(?s)port {port}.*already in use"):
            other.start()
    assert not other.is_running


def test_two_launchers_dont_share_a_folder(server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.embedded.LOCK_WAIT_S", 0.1)
    with pytest.raises(EmbeddedError, match="in use by another pgwarden"):
        EmbeddedServer(server.directory, server.installation, settings=FAST).start()
    assert server.is_running


def test_a_failed_initdb_leaves_no_cluster(tmp_path: Path) -> None:
    broken = EmbeddedServer(tmp_path / "postgres", settings=FAST)
    broken._make_directory()
    real = broken.installation
    fake = Path(broken.directory) / "bin"
    fake.mkdir()
    fake.chmod(0o755)
    broken.directory.chmod(0o711)
    (fake / "initdb").write_text("#!/bin/sh\necho no space left >&2\nexit 1\n")
    (fake / "initdb").chmod(0o755)
    broken.installation = Installation(fake, real.version, "fake")
    with pytest.raises(EmbeddedError, match="no space left"):
        broken.start()
    assert not broken.data.exists()
    broken.installation = real
    with broken:
        assert broken.is_running


def test_data_of_another_version_is_refused_in_words(server: EmbeddedServer) -> None:
    server.stop()
    (server.data / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedError, match="made by PostgreSQL 9, but"):
        server.start()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda end: end.name)
def test_the_server_ends_with_its_launcher(end: signal.Signals, tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    launcher = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, folder], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert launcher.stdout is not None
    with launcher.stdout:
        port, postmaster = map(int, launcher.stdout.readline().split())
    launcher.send_signal(end)
    launcher.wait()
    with EmbeddedServer(folder, settings=FAST) as again:  # the lock is given up only when the old server is gone
        assert again._postmaster_pid() != postmaster
        assert again.port == port


def test_no_installation_is_told_with_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(installations, "_find_in_package", lambda package: None)
    monkeypatch.setattr(installations, "find_system", lambda: None)
    with pytest.raises(EmbeddedError, match="apt-get install postgresql"):
        find_installation()
    with pytest.raises(EmbeddedError, match="no working initdb"):
        find_installation(tmp_path)


@pytest.mark.parametrize("found", FOUND, ids=lambda found: found.origin)
def test_a_bin_folder_may_be_given(found: Installation) -> None:
    given = find_installation(found.bin_directory)
    assert (given.bin_directory, given.version, given.origin) == (found.bin_directory, found.version, "given")


@as_root
def test_programs_and_data_out_of_reach_are_kept_where_the_servers_user_can_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = find_wheel()
    assert wheel is not None
    hidden = tmp_path / "hidden"
    package = wheel.bin_directory.parents[1]
    for folder in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(folder, hidden / folder.name, symlinks=True)
    hidden.chmod(0o700)
    unreachable = Installation(hidden / package.name / "pginstall" / "bin", wheel.version, "test")
    with EmbeddedServer(hidden / "postgres", unreachable, settings=FAST) as server:
        state = installations.state_directory()
        assert server.directory.is_relative_to(state)
        assert server.installation.bin_directory.is_relative_to(state)
        assert one(server.dsn(), "SELECT 1") == 1
        assert server.user is not None
        assert Path(f"/proc/{server._postmaster_pid()}").stat().st_uid == server.user.uid != 0
    # The copy is made once, and the same folder is found again.
    second = EmbeddedServer(hidden / "postgres", unreachable, settings=FAST)
    assert (second.directory, second.installation) == (server.directory, server.installation)


@as_root
def test_a_symlink_in_the_servers_folder_doesnt_lead_root_astray(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    server = EmbeddedServer(tmp_path / "postgres", settings=FAST)
    server._make_directory()
    (server.directory / "port").symlink_to(victim)
    (server.directory / "password").symlink_to(victim)
    with server:
        assert victim.read_text() == "precious"
        assert victim.stat().st_uid == 0
