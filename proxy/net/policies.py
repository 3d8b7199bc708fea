"""Holds the current policies: loads the folder, watches it, swaps a good edit in, keeps the last good set else."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from watchfiles import awatch

from policies.advice import advise
from policies.catalog import Catalog
from policies.catalog_check import check_against_catalog
from policies.errors import PoliciesError, PolicyFileError, Severity
from policies.load import load_folder
from policies.model import Circumstances, EffectivePolicy, Policy, PolicySet, Principal
from policies.resolve import holding_names, resolve, timed_policies
from policies.summary import summary_of
from proxy.net.provenance import provenance_of
from proxy.session.epoch import Epoch
from proxy.wire.scram import DEFAULT_ITERATIONS, Verifier

log = logging.getLogger("pgwarden.policies")

_DEBOUNCE_MS = 200
_RETRY_S = 1.0
_MAX_TIMED = 10_000  # principals × databases × addresses; each is cheap to make anew


class PolicyHolder:
    """`on_load` hears of every attempt: whether it went well and one sentence about it. `now_s`: the wall clock.
    `provenance` tells who wrote the folder's content; it may take its time.

    `epoch` advances with each set of policies that is taken.
    """

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        databases: Collection[str],
        catalogs: Callable[[], Mapping[str, Catalog]],
        on_load: Callable[[bool, str], None],
        now_s: Callable[[], float] = time.time,
        epoch: Epoch | None = None,
        provenance: Callable[[Path], str] = provenance_of,
    ) -> None:
        self._provenance = provenance
        self.epoch = epoch or Epoch()
        self._folder = folder
        self._environment = environment
        self._databases = frozenset(databases)
        self._catalogs = catalogs
        self._on_load = on_load
        self._current: PolicySet | None = None
        self._now_s = now_s
        self._effective: dict[tuple[str, str], EffectivePolicy] = {}  # of those for whom no policy has a `when`
        self._timed: dict[tuple[str, str, str], tuple[int, EffectivePolicy | None]] = {}
        self._by_holding: dict[tuple[str, str, frozenset[str]], EffectivePolicy | None] = {}
        self._lock = asyncio.Lock()
        self.problem = "no policies are loaded"
        self.usual_iterations = DEFAULT_ITERATIONS  # of SCRAM: what most principals' verifiers have

    @property
    def current(self) -> PolicySet:
        if self._current is None:
            raise PoliciesError("no policies are loaded")
        return self._current

    @property
    def loaded(self) -> PolicySet | None:
        return self._current

    @property
    def fingerprint(self) -> str:
        return "" if self._current is None else self._current.fingerprint

    def principal(self, user: str) -> Principal | None:
        return self.current.principals.get(user)

    def effective(self, user: str, database: str, address: str = "") -> EffectivePolicy | None:
        """Of now and for a client at `address`. Raises PoliciesError if it can't be made, at each use anew."""
        found = self._effective.get((user, database))
        if found is not None:
            return found
        minute, policy = self._timed.get((user, database, address), (None, None))
        # A `when` can change its answer at full minutes only.
        return policy if minute == _minute(self._now_s()) else self._effective_now(user, database, address)

    def is_timed(self, user: str, database: str) -> bool:
        """Whether `effective` can change without the folder."""
        return bool(timed_policies(self.current, user, database))

    def _effective_now(self, user: str, database: str, address: str) -> EffectivePolicy | None:
        timed = timed_policies(self.current, user, database)
        if timed:
            return self._effective_at(timed, user, database, address)
        policy = resolve(self.current, user, database)
        if policy is not None:
            self._effective[user, database] = policy
        return policy

    def _effective_at(
        self, timed: tuple[Policy, ...], user: str, database: str, address: str
    ) -> EffectivePolicy | None:
        """Resolved once for each set of policies that hold: at full minutes, many sessions ask at once."""
        now_s = self._now_s()
        circumstances = Circumstances(address, datetime.fromtimestamp(now_s, UTC))
        policy = self._resolved(user, database, holding_names(timed, circumstances), circumstances)
        _bound(self._timed)
        self._timed[user, database, address] = _minute(now_s), policy
        return policy

    def _resolved(
        self, user: str, database: str, names: frozenset[str], circumstances: Circumstances
    ) -> EffectivePolicy | None:
        key = user, database, names
        if key not in self._by_holding:
            _bound(self._by_holding)
            self._by_holding[key] = resolve(self.current, user, database, circumstances)
        return self._by_holding[key]

    async def load(self) -> None:
        """Swaps the folder's content in. Raises PolicyFileError; the last good set stays then."""
        async with self._lock:
            asking = asyncio.create_task(asyncio.to_thread(self._provenance, self._folder))  # meanwhile
            try:
                fresh = await asyncio.to_thread(self._read)
            except PolicyFileError as error:
                self._reject(error, await asking)
                raise
            self._accept(fresh, await asking)

    async def reload(self) -> None:
        """As `load`, but a bad edit is only told, not raised."""
        try:
            await self.load()
        except PolicyFileError:
            return

    async def watch(self) -> None:
        """Until cancelled. A folder that is away for a moment is waited for."""
        while True:
            # Also the first time: an edit between load and watch would go unseen.
            await self.reload()
            try:
                async for _ in awatch(self._folder, debounce=_DEBOUNCE_MS, step=50, stop_event=None):
                    await self.reload()
            except (OSError, RuntimeError) as error:
                log.warning("the policy folder can't be watched", extra={"fields": {"error": type(error).__name__}})
            await asyncio.sleep(_RETRY_S)

    def _read(self) -> PolicySet:
        fresh = load_folder(self._folder, self._environment, self._databases)
        problems = advise(fresh)
        problems += [p for catalog in self._catalogs().values() for p in check_against_catalog(fresh, catalog)]
        for problem in problems:
            if problem.severity is not Severity.ERROR:
                log.warning("%s", problem)
        errors = [problem for problem in problems if problem.severity is Severity.ERROR]
        if errors:
            raise PolicyFileError(errors)
        return fresh

    def _accept(self, fresh: PolicySet, provenance: str) -> None:
        before = self._current
        is_same = before is not None and before.fingerprint == fresh.fingerprint
        self._current = fresh
        self._effective = {}
        self._timed = {}
        self._by_holding = {}
        self.epoch.advance()
        self.problem = ""
        self.usual_iterations = _usual_iterations(fresh)
        if not is_same:
            log.info("policies loaded", extra={"fields": {"fingerprint": fresh.fingerprint}})
            change = summary_of(before, fresh)
            self._on_load(True, f"policies {fresh.fingerprint} loaded, {provenance}: {change}")

    def _reject(self, error: PolicyFileError, provenance: str) -> None:
        self.problem = "; ".join(map(str, error.problems[:3]))
        kept = "the last good set stays" if self._current is not None else "there is none to fall back to"
        log.error("policies refused, %s", kept, extra={"fields": {"problems": len(error.problems)}})
        for problem in error.problems:
            log.error("%s", problem)
        self._on_load(False, f"policies refused, {provenance}: {self.problem}")


def _minute(now_s: float) -> int:
    return int(now_s // 60)


def _bound(cache: dict[Any, Any]) -> None:
    if len(cache) >= _MAX_TIMED:
        cache.clear()


def _usual_iterations(policies: PolicySet) -> int:
    found = Counter(Verifier.parse(p.scram).iterations for p in policies.principals.values() if p.scram is not None)
    return found.most_common(1)[0][0] if found else DEFAULT_ITERATIONS
