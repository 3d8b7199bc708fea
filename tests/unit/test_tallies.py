"""What is counted arrives under its Prometheus name, added up over workers."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from audit.record import ShadowDecision, Verdict
from policies.limits import Limit
from proxy.metrics import Memory, Metrics, ShippingState
from proxy.tallies import ADDED_US, FIELDS, TOTAL_US, Tallies, added_up
from proxy.work_lanes import WorkLane


def _busy() -> Tallies:
    tallies = Tallies()
    tallies.count_statement(Verdict.REWRITE, 500, 3, 90, 2)
    tallies.count_statement(Verdict.ALLOW, 400_000_000, 1, 10, 0)
    tallies.count_statement(Verdict.DENY, 0, 0, 0, 0)
    tallies.count_added(51)
    tallies.count_limit(Limit.ROWS)
    tallies.count_shadow(ShadowDecision.DENY)
    tallies.count_estimate("made")
    tallies.count_login(True)
    tallies.count_login(False)
    tallies.count_policy_load(True)
    tallies.count_sessions(+2)
    tallies.count_sessions(-1)
    tallies.plan_shape += 1
    tallies.raw_uses += 4
    return tallies


def test_two_workers_are_added_up_under_their_names() -> None:
    total = added_up([_busy().values(), _busy().values()])
    value = Metrics(
        CollectorRegistry(), lambda: total, lambda: Memory(ShippingState(lag_bytes=7), True)
    ).registry.get_sample_value
    found = {
        name: value(f"pgwarden_{name}", labels)
        for name, labels in (
            ("rows_total", {}),
            ("sent_bytes_total", {}),
            ("masked_cells_total", {}),
            ("raw_uses_total", {}),
            ("sessions", {}),
            ("journal_lag_bytes", {}),
            ("journal_failed", {}),
            ("store_reachable", {}),
        )
    }
    assert list(found.values()) == [8, 200, 4, 8, 2, 7, 1, 0]
    for decision, count in {"allow": 2, "rewrite": 2, "deny": 2, "hold": 0}.items():
        assert value("pgwarden_statements_total", {"decision": decision}) == count
    assert value("pgwarden_plan_cache_total", {"outcome": "shape"}) == 2
    assert value("pgwarden_limits_reached_total", {"limit": "rows"}) == 2
    assert value("pgwarden_shadow_decisions_total", {"decision": "deny"}) == 2
    assert value("pgwarden_estimates_total", {"outcome": "made"}) == 2
    assert value("pgwarden_logins_total", {"outcome": "failed"}) == 2
    assert value("pgwarden_policy_loads_total", {"outcome": "ok"}) == 2


def test_a_value_on_a_bound_is_within_it() -> None:
    value = Metrics(CollectorRegistry(), _busy).registry.get_sample_value
    name = "pgwarden_statement_seconds"
    assert value(f"{name}_bucket", {"le": "0.0005"}) == 1
    assert value(f"{name}_bucket", {"le": "300.0"}) == 1
    assert value(f"{name}_bucket", {"le": "+Inf"}) == value(f"{name}_count") == 2
    assert value(f"{name}_sum") == 400.0005
    assert value("pgwarden_added_seconds_bucket", {"le": "5e-05"}) == 0
    assert value("pgwarden_added_seconds_bucket", {"le": "0.0001"}) == 1


def test_the_short_way_counts_as_the_long_one() -> None:
    long, short = Tallies(), Tallies()
    for verdict, is_rewritten in ((Verdict.ALLOW, False), (Verdict.REWRITE, True)):
        long.count_statement(verdict, 700, 3, 90, 2)
        long.count_added(60)
        short.count_plain(is_rewritten, 60, 700, 3, 90, 2)
    assert short.values() == long.values()


def test_every_count_travels_and_one_that_is_not_known_there_counts_nothing() -> None:
    tallies = _busy()
    assert set(tallies.values()) == set(FIELDS)
    assert added_up([tallies.values()]).values() == tallies.values()
    assert added_up([{"rows": 2}, {}]).rows == 2
    assert (len(tallies.total_buckets), len(tallies.added_buckets)) == (len(TOTAL_US) + 1, len(ADDED_US) + 1)


def test_workload_lanes_are_counted_apart_and_shown() -> None:
    tallies = Tallies()
    tallies.count_running(WorkLane.BULK, +2)
    tallies.count_running(WorkLane.INTERACTIVE, +1)
    tallies.count_waiting(WorkLane.BULK, +3)
    tallies.count_waiting(WorkLane.INTERACTIVE, +4)
    tallies.count_turn(WorkLane.BULK, 0)
    tallies.count_turn(WorkLane.BULK, 2_000_000)
    tallies.count_turn(WorkLane.INTERACTIVE, 400_000_000)
    tallies.count_turned_away(WorkLane.BULK)
    tallies.count_turned_away(WorkLane.INTERACTIVE)
    tallies.count_elsewhere()
    registry = CollectorRegistry()
    Metrics(registry, lambda: added_up([tallies.values(), tallies.values()]))

    def shown(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"pgwarden_lane_{name}", labels)

    assert (shown("running", lane="bulk"), shown("running", lane="interactive")) == (4, 2)
    assert (shown("waiting", lane="bulk"), shown("waiting", lane="interactive")) == (6, 8)
    assert (shown("turned_away_total", lane="bulk"), shown("turned_away_total", lane="interactive")) == (2, 2)
    assert shown("elsewhere_total") == 2
    buckets = [shown("wait_seconds_bucket", lane="bulk", le=le) for le in ("0.001", "1.0", "5.0", "+Inf")]
    assert buckets == [2, 2, 4, 4]
    assert shown("wait_seconds_sum", lane="bulk") == 4.0
    assert shown("wait_seconds_bucket", lane="interactive", le="300.0") == 0
    assert shown("wait_seconds_count", lane="interactive") == 2
