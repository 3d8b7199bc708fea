"""Fills a sidecar's purses: takes slices of budgets from the store, says what was spent, gives back what isn't needed.

The supervisor's alone, as workers never talk to the store. Which period it is, the store's clock says: a sidecar's may
be wrong. It decides nothing about statements.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from audit.errors import AuditError, StoreUnreachableError
from audit.store_budgets import Ask, Held, Lease
from policies.budgets import Budget, OnExceeded, Period, money
from proxy.purse_file import LeftPurses, PurseFile
from proxy.purses import AWAY, BASE, CEILING, ENDS, FINE, FREES_AT, NEW, SPENT, STARTS_AT, STATE, WARNED, WORDS

LOOK_S: Final = 0.05
_SAY_US: Final = 1_000_000  # how old a word about spending may be
_IDLE_SAY_US: Final = 10_000_000
_TRY_AGAIN_US: Final = 1_000_000
_FEW: Final = 100
_ENDLESS: Final = 1 << 60
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

log = logging.getLogger("pgwarden.supervisor")


class Bank(Protocol):
    """`audit.store_budgets.StoreBudgets`."""

    async def lease(self, holder: UUID, asks: Sequence[Ask]) -> list[Lease]: ...

    async def settle(self, holder: UUID, held: Held, spent: int) -> None: ...

    async def held_by(self, holder: UUID) -> list[Held]: ...


@dataclass(frozen=True, slots=True)
class Clocks:
    """`monotonic_us`: the machine's, as workers read it; `now`: by the wall, in UTC."""

    monotonic_us: Callable[[], int]
    now: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class PurseStanding:
    """For metrics, in nano-units. `spent` and `leased`: by all sidecars, as heard last."""

    budget: Budget
    spent: int
    leased: int


@dataclass(slots=True)
class _Purse:
    """One budget's purse as the treasury keeps it. Ceiling, base and start of the period stand in the shared words."""

    budget: Budget
    at: int
    said: int = 0  # used, when the store was told last
    said_us: int = 0
    next_us: int = 0  # not asked for before
    is_leased: bool = False  # the store has answered for this period
    is_renewed: bool = False  # it was used in the period that has ended
    is_sparing: bool = False  # the ceiling is lower than what the store thinks
    lease: Lease | None = None


class Treasury:
    """`learn` budgets, `run` until cancelled, then `close`. `note`: takes an event's shape, text and fields."""

    def __init__(self, file: PurseFile, holder: UUID, bank: Bank, note: Callable[..., object], clocks: Clocks) -> None:
        self._file = file
        self._words = file.words
        self._holder = holder
        self._bank = bank
        self._note = note
        self._clocks = clocks
        self._purses: dict[str, _Purse] = {}
        self._owed: list[tuple[Held, int]] = []  # periods that ended while the store was away, and what was spent
        self._seen = b""
        self._is_away = False
        self._next_try_us = 0

    def learn(self, budgets: Iterable[Budget]) -> None:
        """Those that hold from now on. A changed one keeps what was spent of it."""
        fresh = {budget.key: budget for budget in budgets}
        for key in self._purses.keys() - fresh.keys():
            self._end_period(self._purses.pop(key))
        for key, budget in fresh.items():
            known = self._purses.get(key)
            if known is None:
                self._purses[key] = _Purse(budget, self._file.slot_of(key))
            elif known.budget != budget:
                known.budget, known.next_us, known.said_us = budget, 0, 0

    async def run(self) -> None:
        """A fault of ours must not stop all budgets for good: it is logged, and the next look comes."""
        while True:
            try:
                await self.tick()
            except Exception:
                log.exception("budgets could not be looked at")
                await asyncio.sleep(_TRY_AGAIN_US / 1e6)
            await asyncio.sleep(LOOK_S)

    async def tick(self) -> None:
        """One look at all purses, and one question to the store if any of them is due."""
        now_us = self._clocks.monotonic_us()
        if now_us < self._next_try_us:
            self._without_store(now_us)
            return
        if not self._is_anything_due(now_us):
            return
        for purse in self._purses.values():
            if now_us >= self._words[purse.at + ENDS] and purse.is_leased:
                self._end_period(purse)
        due = sorted((p for p in self._purses.values() if self._is_due(p, now_us)), key=lambda p: p.budget.key)
        if not due and not self._owed:
            return
        try:
            await self._settle_owed()
            await self._ask(due)
            self._came_back()
        except StoreUnreachableError as error:
            self._went_away(str(error), now_us)
        except AuditError as error:
            await self._ask_apart(due, error, now_us)

    async def close(self) -> None:
        """Gives back what is left; workers have ended. Raises AuditError: the next start will do it then."""
        unsaid = [p for p in self._purses.values() if not p.is_leased and self._used(p) != self._words[p.at + BASE]]
        if unsaid:
            await self._ask(sorted(unsaid, key=lambda purse: purse.budget.key))
        for purse in self._purses.values():
            self._end_period(purse)
        await self._settle_owed()

    async def settle_left(self, left: LeftPurses, boot: UUID) -> None:
        """What a sidecar of earlier held. What nobody can tell counts as spent. Raises AuditError."""
        for held in await self._bank.held_by(left.holder):
            key = f"{held.budget}/{held.period}"
            spent = left.spent(key, (held.starts_at - _EPOCH) // _MICROSECOND, boot)
            await self._bank.settle(left.holder, held, held.granted if spent is None else spent)

    def standings(self) -> list[PurseStanding]:
        """Of the budgets that anybody here has used."""
        leased = [(p, p.lease) for p in self._purses.values()]
        return [PurseStanding(p.budget, lease.all_spent, lease.all_granted) for p, lease in leased if lease is not None]

    # what is due

    def _is_anything_due(self, now_us: int) -> bool:
        if len(self._purses) <= _FEW:
            return bool(self._purses or self._owed)  # looking at each is cheaper than at the whole memory
        seen = self._file.snapshot()
        is_changed, self._seen = seen != self._seen, seen
        return is_changed or any(self._is_timed_out(p, now_us) for p in self._purses.values()) or bool(self._owed)

    def _is_timed_out(self, purse: _Purse, now_us: int) -> bool:
        if not purse.is_leased:
            return purse.is_renewed or self._asked(purse) > 0
        return now_us >= self._words[purse.at + ENDS] or now_us >= purse.said_us + self._say_us(purse)

    def _say_us(self, purse: _Purse) -> int:
        return _SAY_US if purse.is_sparing or self._used(purse) != purse.said else _IDLE_SAY_US

    def _is_due(self, purse: _Purse, now_us: int) -> bool:
        if now_us < purse.next_us:
            return False
        asked = self._asked(purse)
        used = self._used(purse)
        if not purse.is_leased:
            return asked > 0 or purse.is_renewed or used != self._words[purse.at + BASE]
        if now_us >= purse.said_us + self._say_us(purse):
            return True
        is_low = used != purse.said and self._words[purse.at + CEILING] - used < self._slice(purse) // 2
        return self._is_binding(purse) and (asked > 0 or is_low)

    def _used(self, purse: _Purse) -> int:
        first = purse.at + WORDS
        return sum(self._words[first : first + self._file.workers])

    def _asked(self, purse: _Purse) -> int:
        first = purse.at + WORDS + self._file.workers
        return max(self._words[first : first + self._file.workers])

    def _slice(self, purse: _Purse) -> int:
        """Near the end of a budget less than it says, so that nobody asks again and again for what there isn't."""
        free = _ENDLESS if purse.lease is None else purse.budget.limit - purse.lease.all_granted
        return max(0, min(purse.budget.slice, free))

    def _is_binding(self, purse: _Purse) -> bool:
        return purse.budget.on_exceeded is not OnExceeded.SHADOW

    # asking

    async def _ask(self, due: Sequence[_Purse]) -> None:
        """Raises AuditError."""
        if not due:
            return
        now_us = self._clocks.monotonic_us()
        used = [self._used(purse) for purse in due]
        asks = [self._question(purse, spent) for purse, spent in zip(due, used, strict=True)]
        leases = await self._bank.lease(self._holder, asks)
        for purse, before, ask, lease in zip(due, used, asks, leases, strict=True):
            self._take(purse, before, ask, lease, now_us)

    async def _ask_apart(self, due: Sequence[_Purse], first: AuditError, now_us: int) -> None:
        """One that the store refuses (a time zone that it doesn't know) must not stop the others."""
        for purse in due:
            try:
                await self._ask([purse])
            except AuditError as error:
                fields = {"budget": purse.budget.key}
                log.error("a budget can't be leased: %s", error, extra={"fields": fields})
                purse.next_us = now_us + _TRY_AGAIN_US
                self._set_away(purse, now_us)
        if not due:
            self._went_away(str(first), now_us)

    def _question(self, purse: _Purse, used: int) -> Ask:
        words, at, budget = self._words, purse.at, purse.budget
        ceiling, base = words[at + CEILING], words[at + BASE]
        asked = self._asked(purse)
        is_binding = self._is_binding(purse)
        left = ceiling - used if purse.is_leased else 0
        need = max(0, asked - max(0, left)) if is_binding else 0
        want = max(need, self._slice(purse) - max(0, left)) if is_binding else 0
        said_at = _EPOCH + words[at + STARTS_AT] * _MICROSECOND if purse.is_leased else None
        return Ask(
            budget=budget.whose,
            period=budget.period,
            zone=budget.timezone,
            currency=budget.currency,
            amount=budget.limit,
            warn=budget.warn,
            said_at=said_at,
            spent=max(0, used - base),
            keep=max(0, ceiling - base) if purse.is_leased else 0,
            want=want,
            need=need,
        )

    def _take(self, purse: _Purse, used: int, ask: Ask, lease: Lease, now_us: int) -> None:
        words, at = self._words, purse.at
        starts_at = (lease.starts_at - _EPOCH) // _MICROSECOND
        if purse.is_leased and words[at + STARTS_AT] != starts_at:
            words[at + CEILING] = words[at + BASE] = used  # the store has settled the one before
        words[at + STARTS_AT] = starts_at
        words[at + FREES_AT] = (lease.ends_at - _EPOCH) // _MICROSECOND
        words[at + ENDS] = now_us + lease.left_us
        words[at + STATE] = SPENT if lease.is_short else WARNED if lease.all_spent >= purse.budget.warn else FINE
        words[at + CEILING] = words[at + BASE] + lease.granted if self._is_binding(purse) else _ENDLESS
        is_idle = purse.is_leased and used == purse.said and not self._asked(purse)
        purse.is_leased, purse.lease, purse.said, purse.said_us = True, lease, used, now_us
        purse.is_renewed = False
        purse.next_us = now_us + _TRY_AGAIN_US if lease.is_short else 0
        self._clear_asked(purse)
        self._spare(purse, lease, is_idle=is_idle)
        self._tell(purse.budget, lease)

    def _spare(self, purse: _Purse, lease: Lease, *, is_idle: bool) -> None:
        """While others may need it, keeps no more than a slice, and nothing when nobody here spends.

        The ceiling comes down now, and the store hears of it next time: nobody can be spending above it by then.
        """
        free = purse.budget.limit - lease.all_granted
        purse.is_sparing = False
        if not self._is_binding(purse) or free >= purse.budget.slice:
            return
        kept = self._used(purse) + (0 if is_idle else purse.budget.slice)
        if self._words[purse.at + CEILING] > kept:
            self._words[purse.at + CEILING] = kept
            purse.is_sparing = True

    def _clear_asked(self, purse: _Purse) -> None:
        """A worker that still waits asks again at its next look."""
        first = purse.at + WORDS + self._file.workers
        for place in range(first, first + self._file.workers):
            self._words[place] = 0

    # periods

    def _end_period(self, purse: _Purse) -> None:
        """What was spent in it is owed to the store; what was left of it is worth nothing any more."""
        words, at = self._words, purse.at
        used = self._used(purse)
        spent = used - words[at + BASE]
        if purse.is_leased:
            starts_at = _EPOCH + words[at + STARTS_AT] * _MICROSECOND
            self._owed.append((Held(purse.budget.whose, purse.budget.period, starts_at, 0, 0), spent))
        words[at + ENDS] = 0
        words[at + CEILING] = words[at + BASE] = used
        words[at + STATE] = NEW
        purse.is_leased, purse.is_renewed, purse.lease, purse.said = False, spent > 0, None, used

    async def _settle_owed(self) -> None:
        while self._owed:
            held, spent = self._owed[0]
            await self._bank.settle(self._holder, held, spent)
            self._owed.pop(0)

    # without the store

    def _went_away(self, why: str, now_us: int) -> None:
        self._next_try_us = now_us + _TRY_AGAIN_US
        if not self._is_away:
            self._is_away = True
            log.warning("budgets can't be leased: %s", why)
            self._note("budgets_away", f"budgets can't be leased, what is in hand is spent first: {why}")
        self._without_store(now_us)

    def _came_back(self) -> None:
        if self._is_away:
            self._is_away = False
            log.info("budgets can be leased again")
            self._note("budgets_back", "budgets can be leased again")

    def _without_store(self, now_us: int) -> None:
        for purse in self._purses.values():
            if purse.is_leased and now_us >= self._words[purse.at + ENDS]:
                self._end_period(purse)
            if self._asked(purse) > 0:
                self._set_away(purse, now_us)

    def _set_away(self, purse: _Purse, now_us: int) -> None:
        """Closed, unless the budget says otherwise: then so much more may be spent in the period."""
        words, at, budget = self._words, purse.at, purse.budget
        words[at + STATE] = AWAY
        if not budget.is_open or not self._is_binding(purse):
            return
        if not purse.is_leased and now_us >= words[at + ENDS]:
            now = self._clocks.now()
            ends_at = period_end(budget, now)
            words[at + FREES_AT] = (ends_at - _EPOCH) // _MICROSECOND
            words[at + BASE] = self._used(purse)
            words[at + ENDS] = now_us + (ends_at - now) // _MICROSECOND
        granted = 0 if purse.lease is None else purse.lease.granted
        words[at + CEILING] = words[at + BASE] + granted + budget.cap
        self._clear_asked(purse)

    # telling

    def _tell(self, budget: Budget, lease: Lease) -> None:
        spent = f"{money(lease.all_spent)} of {money(budget.limit)} {budget.currency}"
        until = f"until {lease.ends_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        if lease.is_warning:
            text = f"the {budget.period} budget of {budget.whose} is nearly spent: {spent} {until}"
            self._note("budget_warning", text, rule_ids=(str(budget.rule),), **_subject(budget))
        if lease.is_exceeding:
            text = f"the {budget.period} budget of {budget.whose} is exceeded: {spent} {until} ({budget.on_exceeded})"
            self._note("budget_exceeded", text, rule_ids=(str(budget.rule),), **_subject(budget))


def period_end(budget: Budget, now: datetime) -> datetime:
    """When the period of now ends, by this clock."""
    local = now.astimezone(ZoneInfo(budget.timezone))
    if budget.period is Period.DAILY:
        first = local.date() + timedelta(days=1)
    else:
        first = (local.date().replace(day=1) + timedelta(days=32)).replace(day=1)
    return datetime(first.year, first.month, first.day, tzinfo=local.tzinfo).astimezone(UTC)


def _subject(budget: Budget) -> dict[str, str]:
    """The record's field that the budget is about."""
    return {budget.subject.value: budget.name}
