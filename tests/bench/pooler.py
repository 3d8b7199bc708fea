"""PgBouncer processes with settings that are fair to it: quiet log, no reuse of ports, SCRAM on both sides."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from proxy.embedded import find_free_port
from proxy.installation import choose_server_user
from tests.bench.database import DATABASE, LOGIN, PASSWORD, Server
from tests.bench.waiting import can_connect, until

_CONFIGURATION = """\
[databases]
{database} = host=127.0.0.1 port={server_port} dbname={database} user={login} password={password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users.txt
pool_mode = {mode}
default_pool_size = {size}
max_client_conn = 6000
ignore_startup_parameters = extra_float_digits
log_connections = 0
log_disconnections = 0
log_pooler_errors = 0
log_stats = 0
verbose = 0
so_reuseport = 0
logfile = {folder}/pgbouncer.log
"""


@dataclass(frozen=True, slots=True)
class Pooler:
    """A running PgBouncer."""

    pid: int
    port: int


def pgbouncer_version() -> str:
    done = subprocess.run([_program(), "--version"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0].removeprefix("PgBouncer ")


@contextmanager
def run_pgbouncer(folder: Path, server: Server, mode: str, size: int) -> Iterator[Pooler]:
    """`mode` as PgBouncer names it; `size` is how many links to the server it may have."""
    user, port = choose_server_user(folder), find_free_port()  # it refuses to run as root, as the server does
    home = folder / f"pgbouncer-{mode}-{size}"
    home.mkdir(mode=0o700)
    (home / "users.txt").write_text(f'"{LOGIN}" "{PASSWORD}"\n')
    values = {"database": DATABASE, "login": LOGIN, "password": PASSWORD, "server_port": server.port, "port": port}
    (home / "pgbouncer.ini").write_text(_CONFIGURATION.format(**values, folder=home, mode=mode, size=size))
    if user is not None:
        for path in (home, *home.iterdir()):
            shutil.chown(path, user.uid, user.gid)
    process = subprocess.Popen(
        [_program(), "-q", str(home / "pgbouncer.ini")],
        user=user.uid if user else None,
        group=user.gid if user else None,
        extra_groups=[] if user else None,
        cwd="/",
    )
    try:
        until(lambda: can_connect(port), "PgBouncer's start")
        yield Pooler(process.pid, port)
    finally:
        process.kill()
        process.wait()


def _program() -> str:
    found = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise FileNotFoundError("pgbouncer isn't installed; on Debian: apt-get install pgbouncer")
    return found
