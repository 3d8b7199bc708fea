"""The numbers pgwarden counts about itself, under their Prometheus names.

Labels are bounded: never a user's text. Made once by the supervisor and passed to whoever counts; nothing is global.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from audit.record import ShadowDecision
from policies.limits import Limit

DECISIONS: Final = ("allow", "rewrite", "deny", "hold")
OUTCOMES: Final = ("ok", "failed")
ESTIMATES: Final = ("known", "made", "failed")
SHADOW_DECISIONS: Final = tuple(decision.value for decision in ShadowDecision)
LIMITS: Final = tuple(limit.value for limit in Limit)

_TOTAL_BUCKETS: Final = (
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    30,
    60,
    300,
)
_ADDED_BUCKETS: Final = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5)


class Metrics:
    """All of one process. Known label values are created at once, so that rates start at 0."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.statements = _counter(registry, "statements", "Statements by decision", "decision", DECISIONS)
        self.statement_seconds = Histogram(
            "pgwarden_statement_seconds",
            "From a statement's arrival to its last answer",
            registry=registry,
            buckets=_TOTAL_BUCKETS,
        )
        self.added_seconds = Histogram(
            "pgwarden_added_seconds",
            "Deciding and recording a statement before it goes upstream",
            registry=registry,
            buckets=_ADDED_BUCKETS,
        )
        self.rows = Counter("pgwarden_rows_total", "Rows sent to clients", registry=registry)
        self.sent_bytes = Counter("pgwarden_sent_bytes_total", "Bytes sent to clients", registry=registry)
        self.masked_cells = Counter("pgwarden_masked_cells_total", "Cells masked in the stream", registry=registry)
        self.limits = _counter(registry, "limits_reached", "Statements that a limit stopped or cut", "limit", LIMITS)
        self.shadow_decisions = _counter(
            registry,
            "shadow_decisions",
            "What policies in shadow mode would have decided",
            "decision",
            SHADOW_DECISIONS,
        )
        self.raw_uses = Counter(
            "pgwarden_raw_uses_total", "Masked columns whose real values a statement compared", registry=registry
        )
        self.estimates = _counter(registry, "estimates", "Costs asked of the planner", "outcome", ESTIMATES)
        self.sessions = Gauge("pgwarden_sessions", "Sessions open now", registry=registry)
        self.logins = _counter(registry, "logins", "Logins by outcome", "outcome", OUTCOMES)
        self.journal_lag_bytes = Gauge(
            "pgwarden_journal_lag_bytes",
            "Bytes in the journal that the store does not have yet",
            registry=registry,
        )
        self.journal_failed = Gauge(
            "pgwarden_journal_failed",
            "1 while records cannot be written and statements are refused",
            registry=registry,
        )
        self.store_reachable = Gauge("pgwarden_store_reachable", "1 while the audit store answers", registry=registry)
        self.policy_loads = _counter(registry, "policy_loads", "Policy loads by outcome", "outcome", OUTCOMES)
        self.plan_cache = _counter(registry, "plan_cache", "Plan cache look-ups", "outcome", ("hit", "miss"))


def _counter(registry: CollectorRegistry, name: str, text: str, label: str, values: tuple[str, ...]) -> Counter:
    counter = Counter(f"pgwarden_{name}_total", text, [label], registry=registry)
    for value in values:
        counter.labels(value)
    return counter
