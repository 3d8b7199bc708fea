"""API keys as the store keeps them, and how a new one is made. Knows no connection and no policies.

A key reads ``pgw_<8 characters>_<secret>``: the part before the secret is its id, by which people and records name it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

import msgspec

PREFIX: Final = "pgw_"  # so that scanners for lost secrets can find one
_ID: Final = re.compile(PREFIX + r"[a-z0-9]{8}\Z")
_ID_CHARACTERS: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
_ID_LENGTH: Final = 8
_SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class NewKey:
    """`text` is all that a program needs, and is shown once; the store gets `sha256`, its hex digest."""

    id: str
    text: str = field(repr=False)
    sha256: str = field(repr=False)


class StoredKey(msgspec.Struct, frozen=True):
    """What a login has to know of a key. `expires_s`: seconds since 1970; None: never."""

    id: str
    sha256: str
    user: str
    tier: str
    expires_s: float | None = None
    is_revoked: bool = False


class KeyEntry(msgspec.Struct, frozen=True):
    """A key as it was made and, perhaps, revoked."""

    key: StoredKey
    owner: str
    created_at: datetime
    created_by: str
    revoked_at: datetime | None = None
    revoked_by: str = ""
    reason: str = ""


class KeyUse(msgspec.Struct, frozen=True):
    """What a key has begun and cost in a month, by one counter or by all. The cost in 10^-9 of the currency."""

    id: str
    month: date
    statements: int
    cost_nano: int
    last_used: datetime


def is_in_force(key: StoredKey, now_s: float) -> bool:
    """`now_s`: seconds since 1970."""
    return not key.is_revoked and (key.expires_s is None or now_s < key.expires_s)


def make_key(random_bytes: Callable[[int], bytes]) -> NewKey:
    """`random_bytes` gives so many unpredictable ones."""
    key_id = PREFIX + "".join(_ID_CHARACTERS[byte % len(_ID_CHARACTERS)] for byte in random_bytes(_ID_LENGTH))
    text = f"{key_id}_{random_bytes(_SECRET_BYTES).hex()}"
    return NewKey(key_id, text, hashlib.sha256(text.encode()).hexdigest())


def id_in(text: str) -> str | None:
    """The id at the beginning of what somebody gave: an id, or a whole key. None when it is neither."""
    key_id = text[: len(PREFIX) + _ID_LENGTH]
    is_whole = len(text) == len(key_id) or text[len(key_id)] == "_"
    return key_id if _ID.match(key_id) and is_whole else None
