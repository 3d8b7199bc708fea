"""Where clients connect: sockets that are bound by one process and listened to by all workers."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proxy.net.sockets import UnixSocket, bound

_BACKLOG: Final = 1024


@dataclass(frozen=True, slots=True)
class Door:
    """One listening socket. `is_local`: a unix socket."""

    socket: socket.socket
    is_local: bool


class Places:
    """All sockets of a sidecar. `close` is safe to call twice, and removes unix sockets."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.doors: list[Door] = []

    def bind_tcp(self, host: str, port: int) -> int:
        """On all addresses of `host`; gives the port. Raises OSError."""
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        made: list[socket.socket] = []
        for family, _, _, _, address in dict.fromkeys(found):
            made.append(self._stack.enter_context(bound(family, address)))
            self.doors.append(Door(made[-1], is_local=False))
        return int(made[0].getsockname()[1])

    def bind_unix(self, path: Path, permissions: int) -> None:
        """Raises OSError."""
        made = UnixSocket(path, permissions)
        self._stack.callback(made.close)
        self.doors.append(Door(made.socket, is_local=True))

    def listen(self) -> None:
        """From now on connects succeed, and wait until somebody takes them. Raises OSError."""
        for door in self.doors:
            door.socket.listen(_BACKLOG)

    def close(self) -> None:
        self._stack.close()


def inherited(doors: Sequence[tuple[int, bool]]) -> list[Door]:
    """What another process has bound, by its descriptors."""
    return [Door(socket.socket(fileno=file), is_local) for file, is_local in doors]
