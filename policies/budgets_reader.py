"""Reads `budgets`: for whom, how much, and what happens at its end. Knows nothing of who counts or when it is spent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from policies.budgets import NANO, Budget, BudgetSubject, OnExceeded, Period
from policies.fields import Fields, closest, kind_of
from policies.limits_reader import UNITS_MS, amount_of
from policies.model import Principal, RuleId, Source
from policies.when_reader import read_timezone
from policies.yaml_nodes import Node, Scalar

SUBJECT_KEYS = tuple(BudgetSubject)
PERIOD_KEYS = tuple(Period)
KEYS = (
    *SUBJECT_KEYS,
    *PERIOD_KEYS,
    "warn_at",
    "on_exceeded",
    "wait",
    "fail",
    "cap",
    "slice",
    "reserve",
    "timezone",
)
FAIL_VALUES = ("closed", "open")
MAX_AMOUNT = 4_000_000_000  # in nano-units, and twice that, it fits into 63 bits
MAX_WAIT_MS = 3_600_000
MAX_BUDGETS = 2_000
_WARN_AT = Decimal("0.9")
_WAIT_S = 30.0
_SLICES = 100  # into which a budget is cut unless its `slice` says more
_FIRSTS = 1_000


class BudgetReader:
    """`currency`: of the prices, None where there are none above 0."""

    def __init__(self, fields: Fields, principals: Iterable[Principal], currency: str | None) -> None:
        self._fields = fields
        self._currency = currency
        self._known: dict[BudgetSubject, set[str]] = {subject: set() for subject in BudgetSubject}
        for principal in principals:
            self._known[BudgetSubject.USER].add(principal.user)
            self._known[BudgetSubject.TENANT].add(principal.tenant or "")
            self._known[BudgetSubject.TEAM].add(principal.team or "")
        self._places: dict[str, Source] = {}

    def read(self, nodes: Iterable[Node]) -> tuple[Budget, ...]:
        """What is unusable is reported and left out: a set with problems is never used."""
        found: list[Budget] = []
        for node in nodes:
            found += self._read(node)
            if len(found) > MAX_BUDGETS:
                self._fields.report(node, f"more than {MAX_BUDGETS} budgets, daily and monthly ones counted apart")
                break
        return tuple(found)

    def _read(self, node: Node) -> list[Budget]:
        entries = self._fields.mapping(node, "a budget", KEYS)
        subject = None if entries is None else self._subject(entries, node)
        if entries is None or subject is None:
            return []
        if self._currency is None:
            self._fields.report(node, "'budgets' need 'prices' above 0: without them nothing is ever spent")
        periods = [(period, entries[period]) for period in Period if period in entries]
        if not periods:
            self._fields.report(node, "a budget needs an amount: 'daily', 'monthly' or both")
        self._check_together(entries)
        return [self._one(entries, *subject, period, place) for period, place in periods]

    def _subject(self, entries: Mapping[str, Node], node: Node) -> tuple[BudgetSubject, str] | None:
        given = [subject for subject in BudgetSubject if subject in entries]
        if len(given) != 1:
            self._fields.report(node, "a budget is for one of tenant, team, user and workload")
            return None
        (subject,) = given
        place = entries[subject]
        name = self._fields.text(place, f"'{subject}'")
        if name is None:
            return None
        known = self._known[subject]
        if subject is not BudgetSubject.WORKLOAD and name not in known:
            known.discard("")
            self._fields.report(place, f"no principal has the {subject} {name!r}{closest(name, sorted(known))}")
        first = self._places.setdefault(f"{subject} {name}", place.source)
        if first is not place.source:
            self._fields.report(place, f"{subject} {name!r} has two budgets (first at {first})")
        return subject, name

    def _check_together(self, entries: Mapping[str, Node]) -> None:
        """A key that would change nothing looks like a rule that holds."""
        mode = _text(entries.get("on_exceeded"))
        if "wait" in entries and mode != OnExceeded.QUEUE:
            self._fields.report(entries["wait"], "'wait' belongs to 'on_exceeded: queue'")
        is_open = _text(entries.get("fail")) == "open"
        if is_open and "cap" not in entries:
            self._fields.report(
                entries["fail"], "'fail: open' needs a 'cap': what a sidecar may spend without the store"
            )
        if "cap" in entries and not is_open:
            self._fields.report(entries["cap"], "'cap' belongs to 'fail: open'")

    def _one(
        self, entries: Mapping[str, Node], subject: BudgetSubject, name: str, period: Period, place: Node
    ) -> Budget:
        limit = self._amount(place, f"'{period}'") or NANO
        return Budget(
            subject=subject,
            name=name,
            period=period,
            limit=limit,
            warn=int(limit * self._warn_at(entries.get("warn_at"))),
            on_exceeded=OnExceeded(self._choice(entries.get("on_exceeded"), "on_exceeded", tuple(OnExceeded))),
            wait_s=self._wait_s(entries.get("wait")),
            is_open=self._choice(entries.get("fail"), "fail", FAIL_VALUES) == "open",
            cap=self._amount(entries.get("cap"), "'cap'") or 0,
            slice=min(limit, self._amount(entries.get("slice"), "'slice'") or max(1, limit // _SLICES)),
            first=min(limit, self._amount(entries.get("reserve"), "'reserve'") or max(1, limit // _FIRSTS)),
            timezone=read_timezone(self._fields, entries.get("timezone"), "'timezone'"),
            currency=self._currency or "",
            rule=RuleId(f"budgets/{subject} {name}/{period}", place.source),
        )

    def _amount(self, node: Node | None, what: str) -> int | None:
        """Money, in nano-units."""
        if node is None:
            return None
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(node, Scalar) and isinstance(value, int | float) and not isinstance(value, bool):
            nano = Decimal(str(value)) * NANO
            if 1 <= nano <= MAX_AMOUNT * NANO:
                return int(nano)
        form = f"an amount of money above 0, at most {MAX_AMOUNT}"
        self._fields.report(node, f"{what} must be {form}, not {kind_of(node)}")
        return None

    def _warn_at(self, node: Node | None) -> Decimal:
        if node is None:
            return _WARN_AT
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1:
            return Decimal(str(value))
        self._fields.report(node, f"'warn_at' must be a share above 0 and up to 1, such as 0.9, not {kind_of(node)}")
        return _WARN_AT

    def _choice(self, node: Node | None, key: str, known: tuple[str, ...]) -> str:
        """The first one when it is left out."""
        text = known[0] if node is None else self._fields.text(node, f"'{key}'") or known[0]
        if node is not None and text not in known:
            self._fields.report(node, f"unknown '{key}' {text!r}{closest(text, known)} (known: {', '.join(known)})")
        return text if text in known else known[0]

    def _wait_s(self, node: Node | None) -> float:
        if node is None:
            return _WAIT_S
        wait_ms = amount_of(node, UNITS_MS)
        if 1 <= wait_ms <= MAX_WAIT_MS:
            return wait_ms / 1000
        self._fields.report(node, "'wait' must be a time with its unit, such as 30s or 5m, above 0 and up to 1h")
        return _WAIT_S


def _text(node: Node | None) -> str:
    return node.value if isinstance(node, Scalar) and isinstance(node.value, str) else ""
