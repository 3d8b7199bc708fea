"""A primary and a standby that follows it: both of the PostgreSQL that the system has installed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from proxy.embedded import EmbeddedServer, run_as
from proxy.installation import find_system
from tests.fix_pgwarden import until
from tests.fix_servers import SETTINGS, TestServer, passing_server, started


@dataclass(frozen=True, slots=True)
class Standby:
    """`server` follows `primary`."""

    primary: TestServer
    server: EmbeddedServer

    def gateway_dsn(self, database: str) -> str:
        """As the login that pgwarden uses, at the standby."""
        return self.primary.gateway_dsn(database).replace(f":{self.primary.port}/", f":{self.server.port}/")

    def pause(self, *, is_paused: bool) -> None:
        """What the primary does is replayed no longer, or again."""
        action = "pause" if is_paused else "resume"
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            connection.execute(f"SELECT pg_wal_replay_{action}()".encode())

    def catch_up(self) -> None:
        with psycopg.connect(self.primary.dsn(), autocommit=True) as connection:
            row = connection.execute("SELECT pg_current_wal_lsn()::text").fetchone()
            assert row is not None
        until(lambda: self._has_replayed(row[0]), "the standby")

    def _has_replayed(self, position: str) -> bool:
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            row = connection.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", (position,)).fetchone()
            return bool(row and row[0])

    @property
    def _dsn(self) -> str:
        return self.primary.dsn().replace(f":{self.primary.port}/", f":{self.server.port}/")


@pytest.fixture
def standby(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standby]:
    system = find_system()
    if system is None:
        pytest.skip("no PostgreSQL is installed on this system")
    folder = tmp_path_factory.mktemp("standby")
    with passing_server(folder / "primary", system, settings=SETTINGS) as embedded:
        primary = started(embedded, system.version)
        follower = EmbeddedServer(folder / "follower", system, settings=SETTINGS)
        _copy(primary, follower)
        with follower:
            yield Standby(primary, follower)
        shutil.rmtree(follower.directory, ignore_errors=True)


def _copy(primary: TestServer, follower: EmbeddedServer) -> None:
    """A copy of the primary that begins as its standby."""
    follower.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    if follower.user is not None:
        shutil.chown(follower.directory, follower.user.uid, follower.user.gid)
    (follower.directory / "password").write_text(primary.embedded.password, "ascii")
    program: Path = follower.installation.program("pg_basebackup")
    command: list[str | Path] = [program, "-D", follower.data, "-d", primary.dsn(), "-R", "-X", "stream", "-c", "fast"]
    done = run_as(follower.user, command)
    assert done.returncode == 0, done.stderr
