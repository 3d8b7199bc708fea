"""Budgets under their Prometheus names, made when somebody asks for them. Amounts are in the currency of the prices."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, Metric

from policies.budgets import NANO
from proxy.treasury import PurseStanding


def budget_metrics(standings: Iterable[PurseStanding]) -> Iterable[Metric]:
    """Labels are names of the policies, never a client's text."""
    labels = ["budget", "period"]
    amount = GaugeMetricFamily("pgwarden_budget_amount", "What may be spent in the period", labels=labels)
    spent = GaugeMetricFamily("pgwarden_budget_spent", "What all sidecars have spent of it", labels=labels)
    leased = GaugeMetricFamily("pgwarden_budget_leased", "What is spent or in a sidecar's hands", labels=labels)
    for one in standings:
        names = [one.budget.whose, one.budget.period.value]
        amount.add_metric(names, one.budget.limit / NANO)
        spent.add_metric(names, one.spent / NANO)
        leased.add_metric(names, one.leased / NANO)
    yield from (amount, spent, leased)
