"""A PostgreSQL of our own on loopback: made, started, stopped and found again with its data.

It serves the demo, the tests and configurations that name no database. It drives `initdb` and `pg_ctl` of any
PostgreSQL >= 13 that `installation` finds. It must not know what lives in the databases, nor policies, nor
the proxy.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from proxy.installation import (
    EmbeddedError,
    Installation,
    choose_server_user,
    find_installation,
    place_directory,
    place_installation,
    run_as,
    server_environment,
)

SUPERUSER = "postgres"
START_ATTEMPTS = 3
LOCK_WAIT_S = 10.0
# What a server says while processes of one that was killed haven't all noticed it yet.
_CRASHED = "pre-existing shared memory block"

# The watcher holds our end of a pipe and the directory's lock. When this process ends, however it ends, the
# pipe closes, the server is stopped, and only then another launcher gets the lock.
WATCHER = 'cat >/dev/null; exec "$0" stop -s -w -m fast -D "$1"'


def find_free_port() -> int:
    """A TCP port on loopback that is free right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_port_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class EmbeddedServer:
    """One PostgreSQL on 127.0.0.1 with its data in `directory`; a context manager.

    `port` None takes the port of the last run if it is free, else any. `settings` are server parameters. The
    superuser is `postgres`; its password is made once and kept in `directory`/password, mode 0600. Logins
    need SCRAM. No TLS and no unix socket. It stops when this process ends, even by kill -9.
    Not thread-safe.
    """

    def __init__(
        self,
        directory: Path,
        installation: Installation | None = None,
        *,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = place_directory(directory)
        self.user = choose_server_user(self.directory)
        self.installation = place_installation(installation or find_installation(), self.user)
        self.settings = dict(settings or {})
        self._wanted_port = port
        self._port: int | None = None
        self._lock: int | None = None
        self._watcher: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def log(self) -> Path:
        return self.directory / "server.log"

    @property
    def port(self) -> int:
        if self._port is None:
            raise EmbeddedError("the embedded PostgreSQL isn't running")
        return self._port

    @property
    def password(self) -> str:
        """The superuser's password."""
        return (self.directory / "password").read_text(encoding="ascii").strip()

    @property
    def is_running(self) -> bool:
        return self._port is not None and self._pg_ctl("status").returncode == 0

    def dsn(self, database: str = "postgres", user: str = SUPERUSER, password: str | None = None) -> str:
        """A libpq URL. Without `password`, the superuser's is used for the superuser and none for others."""
        if password is None and user == SUPERUSER:
            password = self.password
        secret = "" if password is None else ":" + quote(password, safe="")
        return f"postgresql://{quote(user, safe='')}{secret}@127.0.0.1:{self.port}/{quote(database, safe='')}"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Make the cluster if there is none, start it, return once it takes connections. EmbeddedError."""
        if self._port is not None:
            return self
        try:
            self._make_directory()
            self._take_lock()
            self._make_cluster()
            self._end_leftovers()
            self._start_server()
            self._start_watcher()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop the server (sessions are cut, data is flushed), let the directory go. Harmless when stopped."""
        self._end_watcher()
        if self._lock is not None:
            if self._postmaster_pid() is not None:
                self._pg_ctl("stop", "-w", "-m", "fast")
            os.close(self._lock)
        self._lock = self._port = None

    def kill(self) -> None:
        """Crash the server (SIGKILL to the postmaster), for tests of what comes after."""
        pid = self._postmaster_pid()
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            _wait_until(lambda: not _is_alive(pid), LOCK_WAIT_S)
        self._end_watcher()
        if self._lock is not None:
            os.close(self._lock)
        self._lock = self._port = None

    def _make_directory(self) -> None:
        try:
            for path in reversed(self.directory.parents):
                path.mkdir(mode=0o755, exist_ok=True)
            self.directory.mkdir(mode=0o700, exist_ok=True)
            self.directory.chmod(0o700)
            self._give(self.directory)
        except PermissionError as error:  # made by root, say, and now an ordinary user comes
            raise EmbeddedError(f"{error.filename}: {error.strerror}; it belongs to another user") from error

    def _give(self, path: Path) -> None:
        if self.user is not None:
            os.chown(path, self.user.uid, self.user.gid, follow_symlinks=False)

    def _take_lock(self) -> None:
        lock = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        if not _wait_until(lambda: _try_lock(lock), LOCK_WAIT_S):
            os.close(lock)
            raise EmbeddedError(f"{self.directory} is in use by another pgwarden; stop it first")
        self._lock = lock

    def _make_cluster(self) -> None:
        if self.data.exists():
            self._check_version()
            return
        partial = self.directory / "data.partial"
        shutil.rmtree(partial, ignore_errors=True)
        self._write("password", secrets.token_urlsafe(24))
        for locale in ("C.UTF-8", "C"):  # musl and macOS may lack C.UTF-8
            answer = run_as(self.user, self._initdb(partial, locale))
            if answer.returncode == 0:
                partial.rename(self.data)
                return
        raise EmbeddedError(f"initdb failed: {answer.stderr.strip()}")

    def _initdb(self, data: Path, locale: str) -> list[str | Path]:
        command: list[str | Path] = [self.installation.program("initdb"), "-D", data, "-U", SUPERUSER]
        command += ["-A", "scram-sha-256", "--pwfile", self.directory / "password"]
        command += ["-E", "UTF8", f"--locale={locale}"]
        return [*command, "--no-sync"] if self.settings.get("fsync") == "off" else command

    def _check_version(self) -> None:
        made_by = (self.data / "PG_VERSION").read_text(encoding="ascii").strip()
        if int(made_by) != self.installation.major:
            raise EmbeddedError(
                f"{self.data} was made by PostgreSQL {made_by}, but {self.installation.bin_directory} is "
                f"{self.installation.version}; move it away to begin anew, or install version {made_by}"
            )

    def _end_leftovers(self) -> None:
        """Stop a server whose launcher and watcher died; drop a pid file whose number another process got."""
        pid = self._postmaster_pid()
        if pid is None:
            return
        if _is_postgres(pid, self.data):
            self._pg_ctl("stop", "-w", "-m", "fast")
        elif Path("/proc/self").exists():  # elsewhere the server's own check has to do
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _postmaster_pid(self) -> int | None:
        try:
            first = (self.data / "postmaster.pid").read_text(encoding="utf-8").split("\n")[0]
        except FileNotFoundError:
            return None
        return int(first) if first.isdigit() else None

    def _start_server(self) -> None:
        deadline = time.monotonic() + LOCK_WAIT_S
        attempts = START_ATTEMPTS  # another process may take the port between our look and the server's
        while attempts:
            port = self._choose_port()
            log_start = self.log.stat().st_size if self.log.exists() else 0
            answer = self._pg_ctl("start", "-w", "-l", str(self.log), "-o", self._server_options(port))
            if answer.returncode == 0:
                self._port = port
                self._write("port", str(port))
                return
            said = self._log_from(log_start)
            if _CRASHED not in said or time.monotonic() > deadline:
                attempts -= 1
            time.sleep(0.2)
        raise EmbeddedError(f"PostgreSQL didn't start on port {port}: {said}")

    def _log_from(self, start: int) -> str:
        with self.log.open(encoding="utf-8", errors="replace") as log:
            log.seek(start)
            return log.read().strip()

    def _choose_port(self) -> int:
        if self._wanted_port is not None:
            return self._wanted_port
        try:
            last = int((self.directory / "port").read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return find_free_port()
        return last if is_port_free(last) else find_free_port()

    def _server_options(self, port: int) -> str:
        fixed = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": ""}
        options = {**self.settings, **fixed}
        return " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in options.items())

    def _write(self, name: str, text: str) -> None:
        """Replace a small file. The server's user owns the folder: no symlink there may lead root astray."""
        path = self.directory / name
        path.unlink(missing_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text + "\n")
        self._give(path)

    def _pg_ctl(self, action: str, *options: str) -> subprocess.CompletedProcess[str]:
        return run_as(self.user, [self.installation.program("pg_ctl"), action, "-s", "-D", self.data, *options])

    def _start_watcher(self) -> None:
        assert self._lock is not None
        self._watcher = subprocess.Popen(
            ["/bin/sh", "-c", WATCHER, self.installation.program("pg_ctl"), self.data],
            user=self.user.uid if self.user else None,
            group=self.user.gid if self.user else None,
            extra_groups=[] if self.user else None,
            env=server_environment(),
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(self._lock,),
            start_new_session=True,  # Ctrl-C on the terminal isn't meant for it
        )

    def _end_watcher(self) -> None:
        if self._watcher is None:
            return
        os.killpg(self._watcher.pid, signal.SIGKILL)
        self._watcher.wait()
        if self._watcher.stdin is not None:
            self._watcher.stdin.close()
        self._watcher = None


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait_until(is_done: Callable[[], bool], limit_s: float) -> bool:
    deadline = time.monotonic() + limit_s
    while not is_done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """A killed postmaster stays in the table until its parent (in a container often nobody) collects it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


def _is_postgres(pid: int, data: Path) -> bool:
    """Whether `pid` is the server of this data; a killed one that nobody collected has no command line."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return os.fsencode(data) in command
