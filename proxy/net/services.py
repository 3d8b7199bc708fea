"""What sessions ask of the worker, answered from policies, catalogs, compiler, journal and tallies."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from audit.cost import PriceList
from audit.journal import Journal
from audit.lines import Lines
from audit.record import Record, ShadowDecision, Stage, Verdict
from audit.tail import Tail
from policies.catalog import Catalog, Namespace
from policies.compile import Compiler
from policies.compile.redaction import digest_of, redacted
from policies.compile.shapes import Scope
from policies.decision import Decision, Plan
from policies.limits import Limit, Load, Loads
from policies.model import EffectivePolicy, Principal
from proxy.allowances import Allowances
from proxy.clock import monotonic_us
from proxy.config import SqlText
from proxy.dsn import Upstream
from proxy.key_ring import KeyRing
from proxy.net.catalogs import Catalogs
from proxy.net.estimates import Estimates
from proxy.net.plan_weights import PlanWeights
from proxy.net.policies import PolicyHolder
from proxy.net.pool import AnyPool
from proxy.net.pricing import Pricing
from proxy.net.work_queue import WorkQueue
from proxy.purse_book import PurseBook
from proxy.purses import Mean, Means, Purse
from proxy.session.epoch import Epoch
from proxy.session.ports import Allowance, CostQuery, Estimate, Gateway, KeyFound, Measures
from proxy.tallies import Tallies
from proxy.wire.scram import KnownKeys


@dataclass(slots=True)
class WorkerServices:
    """`session.ports.Services` for one worker. `sql_text`: what records keep of texts."""

    policies: PolicyHolder
    catalogs: Catalogs
    compiler: Compiler
    journal: Journal
    tallies: Tallies
    upstreams: Mapping[str, Callable[[], Upstream]]
    estimates: Estimates
    pricing: Pricing
    weights: PlanWeights
    sql_text: SqlText = SqlText.FULL
    keeps_parameters: bool = False
    pools: Mapping[str, AnyPool] = field(default_factory=dict)
    work_queues: Mapping[str, WorkQueue] = field(default_factory=dict)
    loads: Loads = field(default_factory=Loads)
    known_keys: KnownKeys = field(default_factory=KnownKeys)
    purse_book: PurseBook = field(default_factory=PurseBook)
    means: Means = field(default_factory=Means)
    allowances: Allowances = field(default_factory=Allowances)
    keys: KeyRing | None = None

    def __post_init__(self) -> None:
        if self.catalogs.epoch is not self.policies.epoch:
            raise ValueError("policies and catalogs count their changes apart")

    @property
    def epoch(self) -> Epoch:
        return self.policies.epoch

    now_us = staticmethod(monotonic_us)

    def today(self) -> date:
        return datetime.now(UTC).date()

    def random_bytes(self, count: int) -> bytes:
        return os.urandom(count)

    def new_id(self) -> str:
        return self.journal.ids.next()

    def principal(self, user: str) -> Principal | None:
        return self.policies.principal(user)

    def usual_iterations(self) -> int:
        return self.policies.usual_iterations

    def has_database(self, database: str) -> bool:
        return database in self.upstreams

    def gateway(self, database: str) -> Gateway:
        return gateway_of(self.upstreams[database](), self.known_keys)

    def pooling(self, database: str) -> AnyPool | None:
        return self.pools.get(database)

    def work_lanes(self, database: str) -> WorkQueue | None:
        return self.work_queues.get(database)

    def effective(self, user: str, database: str, address: str) -> EffectivePolicy | None:
        return self.policies.effective(user, database, address)

    def catalog(self, database: str) -> Catalog | None:
        return self.catalogs.get(database)

    def prices(self, database: str) -> PriceList:
        return self.pricing.of(database)

    def plan_units(self, database: str, decision: Decision, plan: Plan) -> int | None:
        if not self.pricing.of(database).per_million_plan_units:
            return None
        return self.weights.of(database, decision, plan)

    def is_timed(self, user: str, database: str) -> bool:
        return self.policies.is_timed(user, database)

    def scope(self, policy: EffectivePolicy, catalog: Catalog, namespace: Namespace) -> Scope:
        return self.compiler.scope(policy, catalog, namespace)

    def decide(self, sql: str, policy: EffectivePolicy, catalog: Catalog, namespace: Namespace) -> Decision:
        return self.compiler.decide(sql, policy, catalog, namespace)

    def append(self, records: Sequence[Record]) -> int:
        return self.journal.append(records)

    @property
    def tail(self) -> Tail:
        return self.journal.tail

    def append_intent(self, lines: Lines, sql_text: bytes) -> str:
        return self.journal.append_intent(lines, sql_text)

    def append_outcome(
        self,
        lines: Lines,
        statement_id: str,
        rows: int | None,
        bytes_out: int,
        duration_us: int,
        sqlstate: str = "",
    ) -> None:
        self.journal.append_outcome(lines, statement_id, rows, bytes_out, duration_us, sqlstate)

    def journal_position(self) -> int:
        return self.journal.position

    @property
    def is_text_kept(self) -> bool:
        return self.sql_text is SqlText.FULL

    @property
    def is_shape_kept(self) -> bool:
        return self.sql_text is SqlText.REDACTED

    def kept_text(self, sql: str) -> str:
        match self.sql_text:
            case SqlText.FULL:
                return sql
            case SqlText.REDACTED:
                return redacted(sql)
            case SqlText.DIGEST:
                return digest_of(sql)

    def kept_error(self, text: str) -> str:
        return text if self.is_text_kept else ""

    def all_tallies(self) -> Tallies:
        """With what the plan cache has counted itself."""
        outcomes, tallies = self.compiler.cache.outcomes, self.tallies
        tallies.plan_exact, tallies.plan_shape, tallies.plan_miss = outcomes.exact, outcomes.shape, outcomes.miss
        return tallies

    def count_added(self, added_us: int) -> None:
        self.tallies.count_added(added_us)

    def count_statement(self, measures: Measures) -> None:
        m = measures
        self.tallies.count_statement(m.verdict, m.duration_us, m.rows, m.bytes_out, m.masked_cells)

    def count_plain(
        self, verdict: Verdict, added_us: int, duration_us: int, rows: int, bytes_out: int, masked_cells: int
    ) -> None:
        self.tallies.count_added(added_us)
        self.tallies.count_statement(verdict, duration_us, rows, bytes_out, masked_cells)

    def count_shadow(self, decision: ShadowDecision) -> None:
        self.tallies.count_shadow(decision)

    def count_raw_uses(self, count: int) -> None:
        self.tallies.raw_uses += count

    def count_limit(self, limit: Limit) -> None:
        self.tallies.count_limit(limit)

    def has_workload_budgets(self) -> bool:
        return self.purse_book.goes_by_workload(self.policies.current)

    def purses(self, principal: Principal, workload: str) -> tuple[Purse, ...]:
        return self.purse_book.of(self.policies.current, principal, workload)

    def mean_cost(self, database: str, shape: str) -> Mean:
        return self.means.of(database, shape)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def known_estimate(self, query: CostQuery) -> Estimate | None:
        return self.estimates.known(query)

    def load(self, user: str, database: str) -> Load:
        return self.loads.of(user, database)

    def stored_key(self, user: str, sha256: str) -> KeyFound | None:
        return None if self.keys is None else self.keys.find(user, sha256)

    def allowance(self, principal: Principal, key: str) -> Allowance | None:
        return self.allowances.of(self.policies.current, principal, key)

    def count_login(self, is_ok: bool) -> None:
        self.tallies.count_login(is_ok)


def gateway_of(upstream: Upstream, known_keys: KnownKeys) -> Gateway:
    return Gateway(
        upstream.user,
        upstream.database,
        upstream.password,
        upstream.channel_binding,
        upstream.max_protocol_version != "3.0",
        upstream.target_session_attrs,
        known_keys,
    )


def policy_load_event(is_ok: bool, text: str, fingerprint: str) -> Record:
    """The record of one policy load."""
    verdict = Verdict.ALLOW if is_ok else Verdict.DENY
    return Record(stage=Stage.EVENT, shape="policy_load", sql_text=text, decision=verdict, policy_version=fingerprint)
