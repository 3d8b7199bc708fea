"""Waiting for something, with an end to it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_S = 30.0
Found = TypeVar("Found")


def until(look: Callable[[], Found], what: str, patience_s: float = PATIENCE_S) -> Found:
    """What `look` gives once it is true. TimeoutError when that takes too long."""
    deadline = time.monotonic() + patience_s
    while not (found := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited in vain for {what}")
        time.sleep(0.02)
    return found


def can_connect(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
