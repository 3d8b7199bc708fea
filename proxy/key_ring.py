"""The API keys of the store as one worker knows them: what the supervisor said last, and how long ago that was true.

It must not know where keys come from. A ring that is too old vouches for nobody.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Final

from audit.api_keys import StoredKey
from policies.tiers import Uses
from proxy.session.ports import KeyFound

MAX_AGE_S: Final = 86_400.0
_NOTHING: Final = Uses()


class KeyRing:
    """`now_s` is monotonic, `wall_s` the clock that keys expire by."""

    def __init__(
        self,
        max_age_s: float = MAX_AGE_S,
        now_s: Callable[[], float] = time.monotonic,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self._max_age_s = max_age_s
        self._now_s = now_s
        self._wall_s = wall_s
        self._true_at: float | None = None
        self._by_digest: dict[str, StoredKey] = {}
        self._by_id: dict[str, StoredKey] = {}
        self._month: date | None = None
        self._elsewhere: Mapping[str, tuple[int, int]] = {}

    def set_max_age(self, max_age_s: float) -> None:
        self._max_age_s = max_age_s

    def replace(self, keys: Iterable[StoredKey]) -> None:
        self._by_digest = {key.sha256: key for key in keys}
        self._by_id = {key.id: key for key in self._by_digest.values()}

    def confirm(self, age_s: float | None) -> None:
        """All of it was true so long ago; None: it never was."""
        self._true_at = None if age_s is None else self._now_s() - age_s

    def set_elsewhere(self, month: date, uses: Mapping[str, tuple[int, int]]) -> None:
        """What other sidecars have counted in this month."""
        self._month, self._elsewhere = month, uses

    def elsewhere(self, key: str, month: date) -> Uses:
        found = self._elsewhere.get(key) if month == self._month else None
        return _NOTHING if found is None else Uses(*found)

    def find(self, user: str, sha256: str) -> KeyFound | None:
        """The user's key with this digest; None when there is none. With a flaw it is no good."""
        if self._is_too_old():
            return KeyFound("", "can't be checked now")
        key = self._by_digest.get(sha256)
        if key is None or key.user != user:
            return None
        return KeyFound(key.id, self._flaw(key))

    def get(self, key_id: str) -> StoredKey | None:
        return self._by_id.get(key_id)

    def flaw_of(self, key_id: str, user: str) -> str:
        """Why a session that logged in by this key may not go on; "" when it may."""
        if self._is_too_old():
            return "can't be checked any more"
        key = self._by_id.get(key_id)
        return "is unknown" if key is None or key.user != user else self._flaw(key)

    def _flaw(self, key: StoredKey) -> str:
        if key.is_revoked:
            return "has been revoked"
        return "has expired" if key.expires_s is not None and self._wall_s() >= key.expires_s else ""

    def _is_too_old(self) -> bool:
        return self._true_at is None or self._now_s() - self._true_at > self._max_age_s
