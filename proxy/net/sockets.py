"""What the system's sockets need besides bytes: signs of life from silent peers, and unix sockets with their locks."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import logging
import os
import resource
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_OURS_ALONE: Final = 0o600
SPARE: Final = 64  # files that links of clients leave free
SERVERS_SPARE: Final = 32  # and those of servers: a session that began may go on

log = logging.getLogger("pgwarden.net")


def bound(family: int, address: Any) -> socket.socket:
    """A stream socket that doesn't block and doesn't listen yet. Raises OSError."""
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family != socket.AF_UNIX:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
        made.setblocking(False)
    except BaseException:
        made.close()
        raise
    return made


@dataclass(frozen=True, slots=True)
class Keepalive:
    """After `idle_s` of silence a probe each `interval_s`; after `count` without an answer the link is lost."""

    idle_s: int = 60
    interval_s: int = 10
    count: int = 6


def keep_alive(transport: asyncio.BaseTransport, keepalive: Keepalive) -> None:
    """For TCP; a unix socket's peer can't vanish unnoticed. TCP_NODELAY is asyncio's own default."""
    found = transport.get_extra_info("socket")
    if found is None or found.family not in (socket.AF_INET, socket.AF_INET6):
        return
    found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", keepalive.idle_s),
        ("TCP_KEEPINTVL", keepalive.interval_s),
        ("TCP_KEEPCNT", keepalive.count),
    ):
        if hasattr(socket, name):  # macOS has another name for the first
            found.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def set_reading(transport: asyncio.Transport | None, is_wanted: bool) -> None:
    if transport is None or transport.is_closing() or transport.is_reading() == is_wanted:
        return
    if is_wanted:
        transport.resume_reading()
    else:
        transport.pause_reading()


def has_room(transport: asyncio.BaseTransport, spare: int = SPARE) -> bool:
    """Whether files may still be opened beside this link, `spare` of them: numbers are given out from the lowest on.

    The journal, the catalogs and cancels need some, and strangers who only connect must not take them away.
    """
    found = transport.get_extra_info("socket")
    return found is None or is_low(found.fileno(), spare)


def is_low(descriptor: int, spare: int = SPARE) -> bool:
    """Whether `spare` numbers are left above this one."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return limit == resource.RLIM_INFINITY or descriptor < limit - min(spare, limit // 4)


def turn_away(client: asyncio.Transport, answer: bytes) -> None:
    """As the server does when it has no slot: before anything is read. A closing transport reads no more."""
    log.warning("a client is turned away: no more files may be open")
    client.write(answer)
    client.close()


def address_of(transport: asyncio.BaseTransport) -> str:
    """The peer's address, or "local"."""
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) and peer else "local"


class UnixSocket:
    """A unix socket at `path`, bound. A lock beside it says that its owner lives; what a dead one left is removed.

    PostgreSQL does the same with a file of that name, so neither takes the other's place.
    """

    def __init__(self, path: Path, permissions: int) -> None:
        """Raises OSError when another one listens there, or the folder isn't ours to write."""
        self.path = path
        self._lock_path = path.with_name(f"{path.name}.lock")
        self._lock = -1
        if self._is_answered():  # before the lock is touched: it may be a program's that doesn't know of ours
            raise self._in_use()
        self._lock = self._take_lock()
        try:
            self.socket = self._bind(permissions)
        except BaseException:
            self._let_go()
            raise

    def close(self) -> None:
        """Harmless when closed already."""
        if self._lock >= 0:
            self.socket.close()
            self.path.unlink(missing_ok=True)
            self._let_go()

    def _take_lock(self) -> int:
        while True:
            lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, _OURS_ALONE)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._is_in_place(lock):
                    os.truncate(lock, 0)
                    os.write(lock, f"{os.getpid()}\n".encode())
                    return lock
            except BlockingIOError:
                os.close(lock)
                raise self._in_use() from None
            os.close(lock)  # its last owner removed it between our two steps

    def _is_in_place(self, lock: int) -> bool:
        with suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(lock), os.stat(self._lock_path, follow_symlinks=False))
        return False

    def _in_use(self) -> OSError:
        return OSError(errno.EADDRINUSE, "another program listens there", str(self.path))

    def _bind(self, permissions: int) -> socket.socket:
        if self.path.is_socket():
            self.path.unlink()
        made = bound(socket.AF_UNIX, str(self.path))
        self.path.chmod(permissions)  # before it listens
        return made

    def _is_answered(self) -> bool:
        """Whether a program that doesn't know our lock listens there."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(1.0)
            try:
                probe.connect(str(self.path))
            except (FileNotFoundError, ConnectionRefusedError):
                return False
            except OSError:
                return True  # full or slow, but there
            return True

    def _let_go(self) -> None:
        self._lock_path.unlink(missing_ok=True)
        os.close(self._lock)
        self._lock = -1
