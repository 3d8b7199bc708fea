"""The numbers pgwarden counts about itself, under their Prometheus names, made when somebody asks for them.

Labels are bounded: never a user's text. Known label values are there from the start, so that rates begin at 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from proxy.tallies import ADDED_US, TOTAL_US, WAIT_US, Tallies


@dataclass(frozen=True, slots=True)
class ShippingState:
    """What there is to tell of records on their `way`, store or bus. `waiting_s`: how long the oldest has waited."""

    way: str = "store"
    is_reachable: bool = False
    lag_bytes: int = 0
    waiting_s: float = 0.0
    shipped_records: int = 0
    damaged_records: int = 0
    seal_problems: int = 0  # of seals in the store and of checkpoints in journals


@dataclass(frozen=True, slots=True)
class Memory:
    """What the supervisor knows of records."""

    shipping: ShippingState = ShippingState()
    is_failed: bool = False


class Metrics(Collector):
    """`tallies` and `memory` give the numbers of now; they are asked at each scrape."""

    def __init__(
        self,
        registry: CollectorRegistry,
        tallies: Callable[[], Tallies] = Tallies,
        memory: Callable[[], Memory] = Memory,
    ) -> None:
        self.registry = registry
        self._tallies = tallies
        self._memory = memory
        self._others: list[Callable[[], Iterable[Metric]]] = []
        registry.register(self)

    def add(self, others: Callable[[], Iterable[Metric]]) -> None:
        """More numbers, of who counts them himself."""
        self._others.append(others)

    def collect(self) -> Iterable[Metric]:
        t = self._tallies()
        decisions = {"allow": t.allowed, "rewrite": t.rewritten, "deny": t.denied, "hold": t.on_hold}
        yield _counts("statements", "Statements by decision", "decision", decisions)
        text = "From a statement's arrival to its last answer"
        yield _histogram("statement_seconds", text, TOTAL_US, t.total_buckets, t.total_us)
        text = "Deciding and recording a statement before it goes upstream"
        yield _histogram("added_seconds", text, ADDED_US, t.added_buckets, t.added_us)
        yield count_metric("rows", "Rows sent to clients", t.rows)
        yield count_metric("sent_bytes", "Bytes sent to clients", t.sent_bytes)
        yield count_metric("masked_cells", "Cells masked in the stream", t.masked_cells)
        yield _counts("limits_reached", "Statements that a limit stopped or cut", "limit", t.limits)
        text = "What policies in shadow mode would have decided"
        yield _counts("shadow_decisions", text, "decision", t.shadow_decisions)
        yield count_metric("raw_uses", "Masked columns whose real values a statement compared", t.raw_uses)
        yield _counts("estimates", "Costs asked of the planner", "outcome", t.estimates)
        yield gauge_metric("sessions", "Sessions open now", t.sessions)
        yield from _of_pools(t)
        yield from _of_lanes(t)
        yield _counts("logins", "Logins by outcome", "outcome", {"ok": t.logins_ok, "failed": t.logins_failed})
        yield from self._of_memory()
        loads = {"ok": t.policy_loads_ok, "failed": t.policy_loads_failed}
        yield _counts("policy_loads", "Policy loads by outcome", "outcome", loads)
        plans = {"exact": t.plan_exact, "shape": t.plan_shape, "miss": t.plan_miss}
        yield _counts("plan_cache", "Texts whose plan was known: exactly, by their shape, or not", "outcome", plans)
        for others in self._others:
            yield from others()

    def _of_memory(self) -> Iterable[Metric]:
        memory, shipping = self._memory(), self._memory().shipping
        text = "Bytes in the journal that the store, or the bus, does not have yet"
        yield gauge_metric("journal_lag_bytes", text, shipping.lag_bytes)
        text = "How long the oldest record has been waiting to be shipped"
        yield gauge_metric("journal_lag_seconds", text, shipping.waiting_s)
        yield count_metric("shipped_records", "Records that the store, or the bus, has taken", shipping.shipped_records)
        yield count_metric("damaged_records", "Damaged records that were not shipped", shipping.damaged_records)
        text = (
            "Chains whose records in the store can't be sealed, as they aren't what was shipped, or for want of a key"
        )
        yield gauge_metric("seal_problems", text, shipping.seal_problems)
        text = "1 while records cannot be written and statements are refused"
        yield gauge_metric("journal_failed", text, memory.is_failed)
        name = f"{shipping.way}_reachable"
        text = f"1 while {'the audit store' if shipping.way == 'store' else 'the bus'} answers"
        yield gauge_metric(name, text, shipping.is_reachable)


def _of_pools(t: Tallies) -> Iterable[Metric]:
    yield gauge_metric("pool_links_busy", "Server links of pools that sessions have", t.pool_busy)
    yield gauge_metric("pool_links_idle", "Server links of pools that nobody has", t.pool_idle)
    yield gauge_metric("pool_waiting", "Sessions that wait for a server link", t.pool_waiting)
    yield count_metric("pool_lent", "Server links lent by pools", t.pool_lent)
    yield count_metric("pool_waits", "Server links that sessions had to wait for", t.pool_waits)
    yield count_metric("pool_wait_seconds", "Time that sessions waited for server links", t.pool_waited_us / 1e6)
    yield _counts("pool_pins", "Server links that sessions took for themselves", "reason", t.pool_pins)


def _of_lanes(t: Tallies) -> Iterable[Metric]:
    """Workload lanes."""
    running = {"interactive": t.interactive_running, "bulk": t.bulk_running}
    yield _gauges("lane_running", "Statements that hold a place in a workload lane", "lane", running)
    waiting = {"interactive": t.interactive_waiting, "bulk": t.bulk_waiting}
    yield _gauges("lane_waiting", "Statements that wait for a place in a workload lane", "lane", waiting)
    turned_away = {"interactive": t.interactive_turned_away, "bulk": t.bulk_turned_away}
    text = "Statements refused because a workload lane's queue was full, or the wait too long"
    yield _counts("lane_turned_away", text, "lane", turned_away)
    waits = {
        "interactive": (t.interactive_waits, t.interactive_waited_us),
        "bulk": (t.bulk_waits, t.bulk_waited_us),
    }
    yield _histograms("lane_wait_seconds", "Waiting for a place in a limited workload lane", "lane", WAIT_US, waits)
    yield count_metric("lane_elsewhere", "Bulk statements sent to the lane's own server", t.bulk_elsewhere)


def count_metric(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"pgwarden_{name}", text, value)


def _counts(name: str, text: str, label: str, values: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(f"pgwarden_{name}", text, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family


def gauge_metric(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"pgwarden_{name}", text, value)


def _gauges(name: str, text: str, label: str, values: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(f"pgwarden_{name}", text, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family


def _histogram(name: str, text: str, bounds_us: tuple[int, ...], counts: list[int], sum_us: int) -> Metric:
    return HistogramMetricFamily(f"pgwarden_{name}", text, _buckets(bounds_us, counts), sum_us / 1e6)


def _histograms(
    name: str, text: str, label: str, bounds_us: tuple[int, ...], values: Mapping[str, tuple[list[int], int]]
) -> Metric:
    """`values`: counts and their sum in microseconds, by label."""
    family = HistogramMetricFamily(f"pgwarden_{name}", text, labels=[label])
    for value, (counts, sum_us) in values.items():
        family.add_metric([value], _buckets(bounds_us, counts), sum_us / 1e6)
    return family


def _buckets(bounds_us: tuple[int, ...], counts: list[int]) -> list[tuple[str, float]]:
    """Prometheus's buckets hold what the ones before them hold, too."""
    ends = [*(str(bound / 1e6) for bound in bounds_us), "+Inf"]
    return list(zip(ends, accumulate(counts), strict=True))
