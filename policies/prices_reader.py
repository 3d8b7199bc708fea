"""Reads `prices`: one list for everything, or several with their times and databases. Knows no clock.

Between two lists for the same database there is neither a gap nor an overlap: both would make bills that nobody meant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import entry_points
from typing import Final

from policies.errors import PoliciesError
from policies.fields import Fields, closest
from policies.prices import PriceBook, PriceList, Prices
from policies.yaml_nodes import Node
from policies.yaml_nodes import Sequence as SequenceNode

PART_KEYS: Final = ("per_second", "per_gib_out", "per_million_plan_units")
PRICE_KEYS: Final = (*PART_KEYS, "currency", "function")
LIST_KEYS: Final = ("name", "from", "until", "databases", *PRICE_KEYS)
CURRENCY_PATTERN: Final = r"[A-Z]{3}"
FUNCTIONS_GROUP: Final = "pgwarden.prices"  # of entry points: only what somebody installed for it can be named

_CURRENCY = re.compile(CURRENCY_PATTERN + r"\Z")
_ALWAYS: Final = datetime.min.replace(tzinfo=UTC)


class _UnusableError(PoliciesError):
    pass


@dataclass(frozen=True, slots=True)
class _Read:
    """One list and where it stands."""

    node: Node
    prices: PriceList


def installed_functions() -> frozenset[str]:
    """The names of the price functions that there are on this machine."""
    return frozenset(point.name for point in entry_points(group=FUNCTIONS_GROUP))


def read_prices(
    fields: Fields,
    nodes: Sequence[Node],
    databases: Collection[str] | None,
    functions: Callable[[], Collection[str]] = installed_functions,
) -> PriceBook:
    """What is unusable is reported: a set with problems is never used. `databases` None: they aren't known."""
    for node in nodes[1:]:
        fields.report(node, f"prices are given twice (first at {nodes[0].source})")
    if not nodes:
        return PriceBook()
    reader = _Reader(fields, databases, functions)
    if not isinstance(nodes[0], SequenceNode):
        only = reader.only_list(nodes[0])
        return PriceBook() if only is None else PriceBook((only,))
    lists = [found for node in nodes[0].items if (found := reader.price_list(node)) is not None]
    return reader.book(lists)


class _Reader:
    def __init__(
        self, fields: Fields, databases: Collection[str] | None, functions: Callable[[], Collection[str]]
    ) -> None:
        self._fields = fields
        self._databases = databases
        self._functions = functions

    def prices(self, entries: dict[str, Node]) -> Prices:
        """The parts and their currency."""
        parts = {key: self._fields.price(entries[key], f"'{key}'") or 0.0 for key in PART_KEYS if key in entries}
        return Prices(**parts, currency=self._currency(entries.get("currency")))

    def only_list(self, node: Node) -> PriceList | None:
        entries = self._fields.mapping(node, "'prices'", PRICE_KEYS)
        if entries is None:
            return None
        return PriceList("", self.prices(entries), function=self._function(entries.get("function")), source=node.source)

    def price_list(self, node: Node) -> _Read | None:
        entries = self._fields.mapping(node, "a price list", LIST_KEYS)
        if entries is None:
            return None
        name_node = self._fields.require(entries, "name", "a price list", node)
        starts_at = self._moment(entries.get("from"), "'from'")
        ends_at = self._moment(entries.get("until"), "'until'")
        if starts_at and ends_at and ends_at <= starts_at:
            self._fields.report(entries["until"], "'until' must be later than 'from'; that day itself doesn't count")
        found = PriceList(
            self._fields.text(name_node, "'name'") or "",
            self.prices(entries),
            starts_at,
            ends_at,
            frozenset(self._named(entries.get("databases"))),
            self._function(entries.get("function")),
            node.source,
        )
        return _Read(node, found)

    def book(self, lists: list[_Read]) -> PriceBook:
        """Those for one database follow each other; one without `until` holds until the next one's `from`."""
        self._report_twins(lists)
        ordered = sorted(lists, key=lambda one: one.prices.starts_at or _ALWAYS)
        named = sorted({database for one in ordered for database in one.prices.databases})
        groups = [[one for one in ordered if database in one.prices.databases] for database in named]
        groups.append([one for one in ordered if not one.prices.databases])
        told: set[tuple[int, int]] = set()
        for group in groups:
            for first, second in zip(group, group[1:], strict=False):
                if (id(first), id(second)) not in told:
                    told.add((id(first), id(second)))
                    self._report_seam(first, second)
        return PriceBook(tuple(one.prices for one in ordered))

    def _report_seam(self, first: _Read, second: _Read) -> None:
        one, other = first.prices, second.prices
        both = f"price lists {one.name!r} (at {one.source}) and {other.name!r}"
        if other.starts_at is None or other.starts_at == one.starts_at:
            self._fields.report(second.node, f"{both} begin at the same time for the same database")
        elif one.ends_at is not None and one.ends_at > other.starts_at:
            until = f"{one.name!r} ends at {_shown(one.ends_at)}, {other.name!r} begins at {_shown(other.starts_at)}"
            self._fields.report(second.node, f"{both} overlap: {until}")
        elif one.ends_at is not None and one.ends_at < other.starts_at:
            gap = f"from {_shown(one.ends_at)} until {_shown(other.starts_at)}"
            hint = "'until' is the first moment that a list no longer holds for; left out, it holds until the next"
            self._fields.report(second.node, f"between {both} there is a gap, {gap}; {hint}")

    def _report_twins(self, lists: list[_Read]) -> None:
        names: dict[str, _Read] = {}
        for one in lists:
            first = names.setdefault(one.prices.name, one)
            if first is not one:
                message = f"price list {one.prices.name!r} is defined twice (first at {first.prices.source})"
                self._fields.report(one.node, message)
            self._report_currency(one.node, one.prices, lists[0].prices)

    def _report_currency(self, node: Node, one: PriceList, first: PriceList) -> None:
        if one.prices.currency != first.prices.currency:
            message = "all price lists of a folder have one currency, so that costs add up"
            self._fields.report(node, f"{message}: {first.name!r} is in {first.prices.currency}")

    def _named(self, node: Node | None) -> list[str]:
        if node is not None and getattr(node, "items", None) == ():
            self._fields.report(node, "'databases' is empty; leave it out to mean all that no list names")
        found = self._fields.parsed(node, "'databases'", str)
        for place, name in found:
            if self._databases is not None and name not in self._databases:
                known = ", ".join(sorted(self._databases))
                self._fields.report(
                    place, f"there is no database {name!r}{closest(name, self._databases)} (known: {known})"
                )
        return [name for _, name in found]

    def _moment(self, node: Node | None, what: str) -> datetime | None:
        text = self._fields.text(node, what)
        return self._fields.attempt(node, lambda: _moment_of(text, what)) if node and text else None

    def _function(self, node: Node | None) -> str:
        name = self._fields.text(node, "'function'")
        if node is None or name is None:
            return ""
        known = self._functions()
        if name not in known:
            there = f"known: {', '.join(sorted(known))}" if known else "none is installed"
            message = f"there is no price function {name!r}{closest(name, known)} ({there})"
            self._fields.report(node, f"{message}; it is an entry point of the group {FUNCTIONS_GROUP!r}")
        return name

    def _currency(self, node: Node | None) -> str:
        currency = self._fields.text(node, "'currency'")
        if node and currency and not _CURRENCY.match(currency):
            self._fields.report(node, "'currency' must be three capital letters, such as USD")
        return currency or Prices().currency


def _moment_of(text: str, what: str) -> datetime:
    """A day begins at midnight UTC; a moment without a zone is UTC's."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise _UnusableError(f"{what} must be a day such as 2026-01-01 or an ISO 8601 time, not {text!r}") from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _shown(moment: datetime) -> str:
    is_midnight = (moment.hour, moment.minute, moment.second) == (0, 0, 0)
    return f"{moment:%Y-%m-%d}" if is_midnight else f"{moment:%Y-%m-%dT%H:%M:%SZ}"
