"""Compares what a server has run with what was recorded. Pure: knows no server, no store and no policies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from policies.likeness import Reach, likeness, reach

_EXPLAIN: Final = "explain ( format json ) "


@dataclass(frozen=True, slots=True)
class Ran:
    """A statement that the server ran `calls` times for a login, as the server writes it."""

    login: str
    sql: str
    calls: int


@dataclass(frozen=True, slots=True)
class Observed:
    """What a server knows. `since`: it counts from then on (aware). `lost`: statements that it has forgotten again."""

    since: datetime
    ran: tuple[Ran, ...]
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Excess:
    """A statement that ran more often than it was recorded."""

    login: str
    sql: str
    calls: int
    recorded: int


@dataclass(slots=True)
class Reconciliation:
    """`others`: of other logins than the gateway's. `unknown`: the gateway's, and nothing like them was recorded.
    `more`: recorded, but less often. The rest are counts of calls; `unsure`: recorded statements that were rewritten
    under policies that are no longer there, so that what was sent isn't known.
    """

    others: list[Excess] = field(default_factory=list)
    unknown: list[Excess] = field(default_factory=list)
    more: list[Excess] = field(default_factory=list)
    matched: int = 0
    catalogs: int = 0
    housekeeping: int = 0
    unsure: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether every statement that can reach data came by way of pgwarden, as far as the server tells."""
        return not (self.others or self.unknown or self.more)


def reconcile(ran: Iterable[Ran], recorded: Counter[str], own: Iterable[str], gateway: str) -> Reconciliation:
    """`recorded`: how often each likeness was sent, at most. `own`: texts that pgwarden sends by itself."""
    found, ours = Reconciliation(), {likeness(sql) for sql in own}
    alike: dict[tuple[str, str], Ran] = {}
    for one in ran:
        key = one.login, likeness(one.sql)
        known = alike.get(key)
        alike[key] = one if known is None else Ran(one.login, known.sql, known.calls + one.calls)
    for (login, like), one in alike.items():
        if login != gateway:
            found.others.append(Excess(login, one.sql, one.calls, 0))
        else:
            _hold(found, like, one, recorded, ours)
    for excesses in (found.others, found.unknown, found.more):
        excesses.sort(key=lambda each: (-(each.calls - each.recorded), each.login, each.sql))
    return found


def _hold(found: Reconciliation, like: str, one: Ran, recorded: Counter[str], ours: set[str]) -> None:
    count = recorded.get(like, 0)
    if count >= one.calls:
        found.matched += one.calls
        return
    is_estimate = like.startswith(_EXPLAIN) and like.removeprefix(_EXPLAIN) in recorded
    if like in ours or is_estimate:
        found.housekeeping += one.calls
        return
    match reach(one.sql):
        case Reach.NOTHING:
            found.housekeeping += one.calls
        case Reach.CATALOGS if not count:
            found.catalogs += one.calls
        case _:
            (found.more if count else found.unknown).append(Excess(one.login, one.sql, one.calls, count))
