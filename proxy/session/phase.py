"""How far a session has come."""

from __future__ import annotations

from enum import Enum, auto


class Phase(Enum):
    STARTUP = auto()
    LOGIN = auto()
    CONNECTING = auto()
    UPSTREAM_LOGIN = auto()
    OPEN = auto()
    ENDED = auto()
