"""More clients than files may be open: they are turned away or wait, nothing spins, and what runs goes on."""

import resource
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from tests.fix_pgwarden import MakePgwarden, until
from tests.soak.certificates import self_signed
from tests.soak.processes import cpu_s, family

_ROOM = 100


def _limit_files(pid: int) -> None:
    """As if the limit had been so low from the beginning: there is room for some more."""
    for one in family(pid):
        most = max(int(entry.name) for entry in Path(f"/proc/{one}/fd").iterdir()) + _ROOM
        resource.prlimit(one, resource.RLIMIT_NOFILE, (most, most))


def _can_connect(dsn: str) -> bool:
    try:
        with psycopg.connect(dsn) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


@pytest.mark.parametrize("with_tls", [False, True])
def test_strangers_leave_files_for_those_who_work(make_pgwarden: MakePgwarden, tmp_path: Path, with_tls: bool) -> None:
    pgwarden = make_pgwarden(tls={"mode": "allow", **self_signed(tmp_path)} if with_tls else {"mode": "disable"})
    assert pgwarden.process is not None
    pid = pgwarden.process.pid
    with psycopg.connect(pgwarden.dsn("ada"), autocommit=True) as held:
        _limit_files(pid)
        with ExitStack() as crowd:
            for _ in range(3 * _ROOM):
                crowd.enter_context(socket.create_connection((pgwarden.host, pgwarden.port)))
            assert not _can_connect(pgwarden.dsn("ada"))
            begin = cpu_s(pid)
            time.sleep(1.5)
            assert cpu_s(pid) - begin < 0.75, "it spins"
            assert held.execute("SELECT 1").fetchone() == (1,)
            assert pgwarden.get("/healthz")[0] == 200
        until(lambda: _can_connect(pgwarden.dsn("ada")), "room for a new session")
    assert pgwarden.faults() == []
