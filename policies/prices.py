"""Price lists: which one holds when and for which database. Pure; knows no clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from policies.model import Source


@dataclass(frozen=True, slots=True)
class Prices:
    """Per second of server time, per GiB sent to the client, per million planner units."""

    per_second: float = 0.0
    per_gib_out: float = 0.0
    per_million_plan_units: float = 0.0
    currency: str = "USD"


NO_PRICES = Prices()


@dataclass(frozen=True, slots=True)
class PriceList:
    """Prices for a time (aware; None without bound), and for some databases: none named, for those that no list names.

    It holds from `starts_at` until before `ends_at`. `function` names an installed price function that has the last
    word; empty: there is none.
    """

    name: str
    prices: Prices
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    databases: frozenset[str] = frozenset()
    function: str = ""
    source: Source | None = None

    @property
    def is_free(self) -> bool:
        p = self.prices
        return not (p.per_second or p.per_gib_out or p.per_million_plan_units or self.function)


@dataclass(frozen=True, slots=True)
class PriceBook:
    """All lists of a folder, in order of time; those for one database neither overlap nor leave gaps."""

    lists: tuple[PriceList, ...] = ()

    @property
    def currency(self) -> str:
        """That of all lists."""
        return self.lists[0].prices.currency if self.lists else NO_PRICES.currency

    @property
    def is_free(self) -> bool:
        """Whether nothing ever costs anything."""
        return all(one.is_free for one in self.lists)

    @property
    def canonical(self) -> object:
        """What a fingerprint is made of: one list for all is what it was before there could be several."""
        match self.lists:
            case ():
                return NO_PRICES
            case (PriceList(name="", function="") as only,):
                return only.prices
            case _:
                return self.lists

    def of(self, database: str) -> tuple[PriceList, ...]:
        """The lists for it, in order of time."""
        named = tuple(one for one in self.lists if database in one.databases)
        return named or tuple(one for one in self.lists if not one.databases)

    def holding(self, database: str, now: datetime) -> PriceList | None:
        """The list of now. Before the first and behind the last, that one holds: nothing gets free by the calendar.

        None where there is no list for the database.
        """
        lists = self.of(database)
        begun = [one for one in lists if one.starts_at is None or one.starts_at <= now]
        return begun[-1] if begun else next(iter(lists), None)

    def next_change(self, now: datetime) -> datetime | None:
        """When another list begins to hold somewhere."""
        return min((one.starts_at for one in self.lists if one.starts_at and one.starts_at > now), default=None)

    def ended(self, now: datetime) -> Iterator[PriceList]:
        """Lists that go on though their time is over, because none follows."""
        for lists in self._groups():
            last = lists[-1]
            if last.ends_at is not None and last.ends_at <= now:
                yield last

    def _groups(self) -> Iterable[tuple[PriceList, ...]]:
        names = sorted({database for one in self.lists for database in one.databases})
        groups = [self.of(name) for name in names]
        groups.append(tuple(one for one in self.lists if not one.databases))
        return dict.fromkeys(group for group in groups if group)
