"""Keeps what a sidecar knows of API keys: reads them from the store again and again, tells the workers, tells the store
what was counted. While the store is away the last snapshot holds, also over a restart. It knows no policies.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import msgspec

from audit.api_keys import KeyEntry, KeyUse, is_in_force
from audit.errors import AuditError
from audit.store import Store
from audit.store_keys import Mark, StoreKeys
from policies.tiers import Uses, month_of
from proxy.control import Keys, KeysSeen, Order
from proxy.quotas import Counted, Quotas

SNAPSHOT_NAME: Final = "keys.json"
_MICROSECONDS: Final = 1_000_000
_CLOCKS_DIFFER_S: Final = 60.0

log = logging.getLogger("pgwarden.keys")

Note = Callable[[str, str], object]


class Snapshot(msgspec.Struct, frozen=True):
    """What the store said at `at_s`, seconds since 1970; when that was seen to be true last, the quotas' file says."""

    at_s: float
    entries: list[KeyEntry]


class KeyKeeping:
    """`tell` sends an order to all workers; `note` records an event by its name and one sentence. `now_s` is the wall
    clock, `steady_s` one that doesn't go back.
    """

    def __init__(
        self,
        store: Store,
        quotas: Quotas,
        directory: Path,
        tell: Callable[[Order], None],
        note: Note,
        now_s: Callable[[], float],
        steady_s: Callable[[], float],
    ) -> None:
        self._connections = store
        self._store = StoreKeys(store)
        self._quotas = quotas
        self._path = directory / SNAPSHOT_NAME
        self._tell = tell
        self._note = note
        self._now_s = now_s
        self._steady_s = steady_s
        self._snapshot: Snapshot | None = None
        self._mark: Mark | None = None
        self._age_at: tuple[float, float] | None = None  # how old what is known was at a monotonic moment
        self._elsewhere: Mapping[str, tuple[int, int]] = {}
        self._month = date.min
        self._told: dict[tuple[str, date], Uses] = {}
        self._at_start = {(one.id, one.month): one.uses for one in quotas.counted()}
        self._is_made_good = False
        self._is_told = False
        self._is_saved = False  # what is in the file is what was read last
        self.problem = "the store was not asked for API keys yet, or none is named"

    @property
    def age_s(self) -> float | None:
        """How long ago what the workers know was true; None: it never was."""
        if self._age_at is None:
            return None
        age_s, moment_s = self._age_at
        return age_s + self._steady_s() - moment_s

    @property
    def in_force(self) -> int:
        """How many keys can be used, as far as is known."""
        entries = () if self._snapshot is None else self._snapshot.entries
        now_s = self._now_s()
        return sum(is_in_force(entry.key, now_s) for entry in entries)

    def restore(self) -> None:
        """What was read before the last end counts until the store answers."""
        try:
            self._snapshot = msgspec.json.decode(self._path.read_bytes(), type=Snapshot)
        except FileNotFoundError:
            return
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("the API keys of earlier can't be read: %s", type(error).__name__)
            return
        self._is_saved = True
        age_s = self._now_s() - max(self._snapshot.at_s, self._quotas.confirmed_s)
        if age_s < -_CLOCKS_DIFFER_S:
            log.error("the API keys of earlier count only once the store answers: the clock has gone back")
        else:
            self._age_at = max(0.0, age_s), self._steady_s()

    def orders(self) -> list[Order]:
        """All that a worker has to know at its start."""
        entries = () if self._snapshot is None else self._snapshot.entries
        return [Keys([entry.key for entry in entries]), KeysSeen(self.age_s, self._month.isoformat(), self._elsewhere)]

    async def look(self) -> bool:
        """Asks the store once and tells the workers; whether it answered."""
        try:
            await self._make_good()
            await self._count()
            await self._read()
        except AuditError as error:
            if not self._is_told:
                log.warning("API keys can't be read, those of the last time count: %s", error)
            self._is_told = True
            self.problem = str(error)
            is_answered = False
        else:
            self.problem, self._is_told = "", False
            is_answered = True
        self.confirm()
        return is_answered

    def confirm(self) -> None:
        """Tells the workers how old what they know is."""
        self._tell(KeysSeen(self.age_s, self._month.isoformat(), self._elsewhere))

    async def count_rest(self) -> None:
        """At the end: what wasn't told yet. Raises AuditError."""
        await self._count()

    async def close(self) -> None:
        await self._connections.close()

    # counts

    async def _make_good(self) -> None:
        """A power cut may have taken from the file what the store was told before: once, before anything is told."""
        if self._is_made_good:
            return
        for use in await self._store.counted_by(self._quotas.counter, self._this_month()):
            had = self._at_start.get((use.id, use.month), Uses())
            lacking = Uses(max(0, use.statements - had.statements), max(0, use.cost_nano - had.cost_nano))
            if lacking != Uses():
                self._quotas.add(use.id, use.month, lacking)
        self._is_made_good = True

    async def _count(self) -> None:
        """Tells the store of what has changed."""
        changed = [one for one in self._quotas.counted() if self._told.get((one.id, one.month)) != one.uses]
        if changed:
            await self._store.count(self._quotas.counter, [_use_of(one) for one in changed])
            self._told |= {(one.id, one.month): one.uses for one in changed}

    # keys

    async def _read(self) -> None:
        mark = await self._store.mark()
        if mark != self._mark:
            await self._take(await self._store.entries())
            self._mark = mark
        month = self._this_month()
        uses = await self._store.counted_elsewhere(self._quotas.counter, month)
        self._month, self._elsewhere = month, {use.id: (use.statements, use.cost_nano) for use in uses}
        self._age_at = 0.0, self._steady_s()
        if self._is_saved:
            self._quotas.confirmed_s = int(self._now_s())

    async def _take(self, entries: list[KeyEntry]) -> None:
        before, self._snapshot = self._snapshot, Snapshot(self._now_s(), entries)
        self._tell(Keys([entry.key for entry in entries]))
        if before is None:
            revoked = sum(entry.key.is_revoked for entry in entries)
            self._note("keys_read", f"{len(entries)} API keys are in the store, {revoked} of them revoked")
        else:
            known = {entry.key.id: entry for entry in before.entries}
            for entry in entries:
                self._note_change(known.get(entry.key.id), entry)
        await self._save(self._snapshot)

    def _note_change(self, before: KeyEntry | None, entry: KeyEntry) -> None:
        key = entry.key
        if before is None:
            text = f"API key {key.id} of user {key.user}, tier {key.tier}, owner {entry.owner or 'nobody'}"
            self._note("key_learned", f"{text}, was made by {entry.created_by} at {entry.created_at:%Y-%m-%d %H:%M:%S}")
        if key.is_revoked and not (before is not None and before.key.is_revoked):
            text = f"API key {key.id} of user {key.user} was revoked by {entry.revoked_by}"
            self._note("key_revocation_learned", f"{text}: {entry.reason}" if entry.reason else text)

    async def _save(self, snapshot: Snapshot) -> None:
        """For the next start without a store; it holds hashes, no keys."""
        try:
            await asyncio.to_thread(_write, self._path, msgspec.json.encode(snapshot))
        except OSError as error:
            log.error("the API keys can't be kept for the next start: %s", error.strerror)
            self._is_saved = False
        else:
            self._is_saved = True

    def _this_month(self) -> date:
        return month_of(datetime.fromtimestamp(self._now_s(), UTC).date())


def _use_of(one: Counted) -> KeyUse:
    last_used = datetime.fromtimestamp(one.last_used_us / _MICROSECONDS, UTC)
    return KeyUse(one.id, one.month, one.uses.statements, one.uses.cost_nano, last_used)


def _write(path: Path, data: bytes) -> None:
    fresh = path.with_suffix(".new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
        os.fsync(file.fileno())
    fresh.replace(path)
