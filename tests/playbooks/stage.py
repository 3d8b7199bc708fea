"""A stage for playbooks: a Session without sockets, a client and a server that speak in messages.

The services are real but for what they decide: a table from text to Decision, so that a playbook says which
statement is rewritten, masked or refused. Nothing of PostgreSQL is imitated here but the messages it is told to send.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any, cast

import msgspec

from audit.cost import PriceList
from audit.errors import JournalError
from audit.lines import Lines
from audit.record import NO_HASH, Record, ShadowDecision, Stage, Verdict, record_of
from policies.catalog import Catalog, Namespace
from policies.compile.shapes import Entry, Known, Outcomes, Scope
from policies.decision import Decision, Plan, Refusal
from policies.limits import Limit, Load, Loads
from policies.model import EffectivePolicy, Limits, Principal, RuleId, Source, Statement
from proxy.purses import Mean, Means, Purse
from proxy.session.epoch import Epoch
from proxy.session.phase import Phase
from proxy.session.ports import (
    Allowance,
    BorrowServer,
    Command,
    CostQuery,
    Estimate,
    Gateway,
    KeyFound,
    Measures,
    Pooling,
    ReturnServer,
    Rules,
    WorkLanes,
)
from proxy.session.session import Session
from proxy.session.shared_link import SharedLink
from proxy.wire import messages as m
from proxy.wire.codec import decode_backend, decode_frontend, decode_startup, encode
from proxy.wire.frames import FrameCutter, FrameLimits
from proxy.wire.scram import SCRAM_SHA_256, ScramClient, make_verifier

PASSWORD = "correct horse"
VERIFIER = make_verifier(PASSWORD, 4096, b"0123456789abcdef")
ADA = Principal("ada", tenant="acme", team="finance", scram=VERIFIER)
LIMITED = FrameLimits(message_bytes=1 << 30)
POISON = b"refused by pgwarden"


def policy_of(fingerprint: str = "p1", is_everything: bool = False) -> EffectivePolicy:
    return EffectivePolicy(
        ADA, "shop", (), frozenset({Statement.SELECT}), None, (), None, Limits(), fingerprint, is_everything
    )


def allow(text: str, **changes: object) -> Callable[[str], Decision]:
    plan = replace(Plan("select", text), **changes)  # type: ignore[arg-type]
    return lambda sql: Decision(sql, (plan,))


def refuse(sqlstate: str = "42501", rule: str = "analysts/tables") -> Callable[[str], Decision]:
    refusal = Refusal(sqlstate, rule, "not allowed", "p.yaml:1:1", "ask", 1)
    return lambda sql: Decision(sql, (Plan("delete", sql),), refusal)


Maker = Callable[[str], Decision]


class Decisions(dict[str, Maker]):
    """What is decided of which text. To change it is to change the policies: the epoch advances."""

    def __init__(self, given: Mapping[str, Maker], epoch: Epoch) -> None:
        super().__init__(given)
        self._epoch = epoch

    def __setitem__(self, text: str, maker: Maker) -> None:
        super().__setitem__(text, maker)
        self._epoch.advance()

    def __delitem__(self, text: str) -> None:
        super().__delitem__(text)
        self._epoch.advance()


@dataclass
class StageServices:
    """`session.ports.Services` over plain data. Change the fields in the middle of a playbook.

    What was decided is known from then on, until the epoch advances.
    """

    decisions: dict[str, Maker] = field(default_factory=dict)
    policy: EffectivePolicy | None = field(default_factory=policy_of)
    snapshot: Catalog | None = field(
        default_factory=lambda: Catalog(1, "shop", 150000, (), ("shop",), frozenset({"shop", "public"}))
    )
    records: list[Record] = field(default_factory=list)
    logins: list[bool] = field(default_factory=list)
    measures: list[Measures] = field(default_factory=list)
    paths: list[tuple[str, ...]] = field(default_factory=list)
    gateway_password: str | None = None
    is_journal_full: bool = False
    keeps_texts: bool = True
    loads: Loads = field(default_factory=Loads)
    shadows: list[ShadowDecision] = field(default_factory=list)
    raw_uses: int = 0
    estimates: dict[str, Estimate] = field(default_factory=dict)
    allowances: dict[str, Allowance] = field(default_factory=dict)
    stored_keys: dict[tuple[str, str], KeyFound] = field(default_factory=dict)
    purses_of: dict[str, tuple[Purse, ...]] = field(default_factory=dict)
    means: Means = field(default_factory=Means)
    pool: Pooling | None = None
    lanes: WorkLanes | None = None
    known_units: int | None = None
    price_list: PriceList = field(default_factory=PriceList)
    reached: list[Limit] = field(default_factory=list)
    ticks: int = 0
    ids: int = 0
    is_text_kept: bool = True
    is_shape_kept: bool = False
    keeps_parameters: bool = False
    is_timed_now: bool = False
    known: dict[tuple[str, int, Namespace], Scope] = field(default_factory=dict)
    _known_at: int = -1

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "decisions":
            value = Decisions(value, self.epoch)
        object.__setattr__(self, name, value)
        if name in ("decisions", "policy", "snapshot", "price_list"):
            self.epoch.advance()

    @cached_property
    def epoch(self) -> Epoch:
        return Epoch()

    def is_timed(self, user: str, database: str) -> bool:
        return self.is_timed_now

    def scope(self, policy: EffectivePolicy, catalog: Catalog, namespace: Namespace) -> Scope:
        key = policy.fingerprint, catalog.version, namespace
        if self._known_at != self.epoch.number:
            self.known.clear()
            self._known_at = self.epoch.number
        return self.known.setdefault(key, Scope(Outcomes()))

    def count_plain(
        self, verdict: Verdict, added_us: int, duration_us: int, rows: int, bytes_out: int, masked_cells: int
    ) -> None:
        self.count_added(added_us)
        self.count_statement(Measures(verdict, duration_us, rows, bytes_out, masked_cells))

    def now_us(self) -> int:
        self.ticks += 1
        return self.ticks

    def today(self) -> date:
        return date(2026, 7, 1)

    def random_bytes(self, count: int) -> bytes:
        return bytes(range(1, count + 1))

    def new_id(self) -> str:
        self.ids += 1
        return f"{self.ids:032x}"

    def principal(self, user: str) -> Principal | None:
        return {"ada": ADA, "silent": Principal("silent")}.get(user)

    def usual_iterations(self) -> int:
        return 4096

    def has_database(self, database: str) -> bool:
        return database == "shop"

    def gateway(self, database: str) -> Gateway:
        return Gateway("gate", "warehouse", self.gateway_password)

    def pooling(self, database: str) -> Pooling | None:
        return self.pool

    def work_lanes(self, database: str) -> WorkLanes | None:
        return self.lanes

    def effective(self, user: str, database: str, address: str) -> EffectivePolicy | None:
        return self.policy

    def catalog(self, database: str) -> Catalog | None:
        return self.snapshot

    def prices(self, database: str) -> PriceList:
        return self.price_list

    def plan_units(self, database: str, decision: Decision, plan: Plan) -> int | None:
        return self.known_units

    def decide(self, sql: str, policy: EffectivePolicy, catalog: Catalog, namespace: Namespace) -> Decision:
        self.paths.append(namespace.search_path)
        made = self.decisions.get(sql, allow(sql))(sql)
        decision = replace(made, policy_fingerprint=policy.fingerprint, catalog_version=catalog.version)
        exact = self.scope(policy, catalog, namespace).exact
        raw = sql.encode()
        if raw in exact:
            return cast(Decision, exact[raw].decision)
        if decision.refusal is None:
            statement = decision.plans[0].text.encode() if len(decision.plans) == 1 else b""
            exact[raw] = Known(Entry(decision), decision, decision.text.encode(), statement, raw, None)
        return decision

    def append(self, records: Sequence[Record]) -> int:
        if self.is_journal_full:
            raise JournalError("no room")
        self.records += records
        return len(self.records)

    @property
    def tail(self) -> None:
        """No journal."""

    @property
    def tallies(self) -> None:
        """What is counted is kept as it came."""

    def append_intent(self, lines: Lines, sql_text: bytes) -> str:
        statement_id = self.new_id()
        made = lines.intent_body(statement_id.encode(), 1, sql_text)
        record = record_of(made, NO_HASH, NO_HASH)
        self.append([msgspec.structs.replace(record, id="", at=0, prev_hash="", hash="")])
        return statement_id

    def append_outcome(
        self,
        lines: Lines,
        statement_id: str,
        rows: int | None,
        bytes_out: int,
        duration_us: int,
        sqlstate: str = "",
    ) -> None:
        made = lines.outcome_body(b"0" * 32, statement_id.encode(), 1, rows, bytes_out, duration_us, sqlstate)
        record = record_of(made, NO_HASH, NO_HASH)
        self.append([msgspec.structs.replace(record, id="", at=0, prev_hash="", hash="")])

    def journal_position(self) -> int:
        return len(self.records)

    def kept_text(self, sql: str) -> str:
        return sql

    def kept_error(self, text: str) -> str:
        return text if self.keeps_texts else ""

    def count_added(self, added_us: int) -> None:
        assert added_us > 0

    def count_statement(self, measures: Measures) -> None:
        self.measures.append(measures)

    def count_shadow(self, decision: ShadowDecision) -> None:
        self.shadows.append(decision)

    def count_raw_uses(self, count: int) -> None:
        self.raw_uses += count

    def count_limit(self, limit: Limit) -> None:
        self.reached.append(limit)

    def known_estimate(self, query: CostQuery) -> Estimate | None:
        return self.estimates.get(query.text)

    def load(self, user: str, database: str) -> Load:
        return self.loads.of(user, database)

    def stored_key(self, user: str, sha256: str) -> KeyFound | None:
        return self.stored_keys.get((user, sha256))

    def allowance(self, principal: Principal, key: str) -> Allowance | None:
        return self.allowances.get(key)

    def has_workload_budgets(self) -> bool:
        return False

    def purses(self, principal: Principal, workload: str) -> tuple[Purse, ...]:
        return self.purses_of.get(principal.user, ())

    def mean_cost(self, database: str, shape: str) -> Mean:
        return self.means.of(database, shape)

    def now(self) -> datetime:
        return datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

    def count_login(self, is_ok: bool) -> None:
        self.logins.append(is_ok)

    def statements(self, stage: Stage) -> list[tuple[str, str]]:
        """(text or shape of the decision, SQLSTATE) of the records of one stage."""
        return [(r.sql_text or str(r.decision), r.sqlstate) for r in self.records if r.stage is stage]


class Play:
    """`client` and `server` speak; `client_hears`, `server_hears` and `told` say what came out since."""

    def __init__(
        self, services: StageServices | None = None, rules: Rules | None = None, cut: int = 0, *, has_lane: bool = True
    ) -> None:
        self.services = services or StageServices()
        self.session = Session(self.services, rules or Rules(), "192.0.2.7", has_lane=has_lane)
        self.commands: list[Command] = []
        self.client_bytes = b""
        self.taken = 0  # chunks of the client that the lane took
        self._to_client = FrameCutter(LIMITED)
        self._to_server = FrameCutter(LIMITED, startup=True)
        self._heard_by_client: list[m.BackendMessage] = []
        self._heard_by_server: list[m.Message] = []
        self._cut = cut

    # speaking

    def client(self, *messages: m.Message) -> Play:
        return self.client_raw(b"".join(map(encode, messages)))

    def client_raw(self, data: bytes) -> Play:
        for piece in self._pieces(data):
            sent = None if self.session.lane is None else self.session.lane.client(piece)
            if sent is None:
                self.session.client_data(piece)
            elif not sent:
                assert self.session.lane is not None
                self.commands.append(BorrowServer(self.session.lane.link_kind))
            else:
                self.taken += 1
                self._collect_server(sent)
            self.collect()
        return self

    def lend(self, link: SharedLink) -> Play:
        """A link of a pool, for what was said."""
        lane = self.session.lane
        sent = lane.lent(link) if lane is not None and lane.is_waiting else None
        if sent is None:
            self.session.server_lent(link)
        else:
            self.taken += 1
            self._collect_server(sent)
        self.collect()
        return self

    def server(self, *messages: m.Message) -> Play:
        return self.server_raw(b"".join(map(encode, messages)))

    def server_raw(self, data: bytes) -> Play:
        for piece in self._pieces(data):
            shown = None if self.session.lane is None else self.session.lane.server(piece)
            if shown is None:
                self.session.server_data(piece)
            else:
                assert self.session.lane is not None
                self._collect_client(shown)
                if self.session.lane.gives_back():
                    self.commands.append(ReturnServer())
            self.collect()
        return self

    def _pieces(self, data: bytes) -> list[bytes]:
        size = self._cut or len(data)
        return [data[i : i + size] for i in range(0, len(data), size)]

    def collect(self) -> None:
        outbox = self.session.take_outbox()
        self.commands += outbox.commands
        self._collect_client(b"".join(outbox.to_client))
        self._collect_server(b"".join(outbox.to_server))

    def _collect_client(self, shown: bytes) -> None:
        self.client_bytes += shown
        if shown[:1] in (b"N", b"S") and len(shown) == 1:
            return
        self._to_client.feed(shown)
        for type_byte, start, end in self._to_client:
            self._heard_by_client.append(decode_backend(type_byte, self._to_client.buffer[start + 5 : end]))

    def _collect_server(self, data: bytes) -> None:
        self._to_server.feed(data)
        while (frame := self._to_server.next_frame()) is not None:
            type_byte, start, end = frame
            view = self._to_server.buffer[start:end]
            if self._to_server.is_startup:
                self._heard_by_server.append(decode_startup(view[4:]))
                self._to_server.end_startup()
            elif type_byte == ord("p"):
                self._heard_by_server.append(m.SASLResponse(view[5:]))
            else:
                self._heard_by_server.append(decode_frontend(type_byte, view[5:]))

    # hearing

    def client_hears(self) -> list[m.BackendMessage]:
        heard, self._heard_by_client = self._heard_by_client, []
        return heard

    def server_hears(self) -> list[m.Message]:
        heard, self._heard_by_server = self._heard_by_server, []
        return heard

    def told(self) -> list[Command]:
        told, self.commands = self.commands, []
        return told

    # usual beginnings

    def log_in(self, user: str = "ada", database: str = "shop", password: str = PASSWORD, **more: str) -> Play:
        settings = {"user": user, "database": database, **more}
        return self.start({k.encode(): v.encode() for k, v in settings.items()}, password=password)

    def start(self, parameters: dict[bytes, bytes], protocol: int = m.PROTOCOL_3_0, password: str = PASSWORD) -> Play:
        """A login by SCRAM, whatever the startup packet says."""
        self.client(m.StartupMessage(protocol, parameters))
        if not any(isinstance(x, m.AuthenticationSASL) for x in self._heard_by_client):
            return self
        scram = ScramClient(password, b"abcdef")
        self.client(m.SASLInitialResponse(SCRAM_SHA_256, scram.first()))
        challenge = self._heard_by_client[-1]
        if isinstance(challenge, m.AuthenticationSASLContinue):
            self.client(m.SASLResponse(scram.final(challenge.data)))
        return self

    def open_pooled(self, **more: str) -> Play:
        """Greeted with what the services' pool knows; no link has been lent yet."""
        self._to_server.end_startup()
        self.log_in(**more)
        assert self.session.phase is Phase.OPEN
        self.client_hears()
        self.told()
        return self

    def open(self, **more: str) -> Play:
        """Logged in on both sides, nothing left to hear."""
        self.log_in(**more)
        self.session.upstream_connected()
        self.collect()
        self.server(
            m.AuthenticationOk(),
            m.ParameterStatus(b"client_encoding", b"UTF8"),
            m.BackendKeyData(42, b"\xaa\xbb\xcc\xdd"),
            m.ReadyForQuery(b"I"),
        )
        assert self.session.phase is Phase.OPEN
        self.client_hears()
        self.server_hears()
        self.told()
        return self


def error(sqlstate: str, message: str = "m", severity: str = "ERROR", **more: str) -> m.ErrorResponse:
    fields = {"S": severity, "V": severity, "C": sqlstate, "M": message, **more}
    return m.ErrorResponse({key: text.encode() for key, text in fields.items()})


def sqlstates(messages: Sequence[m.Message]) -> list[str]:
    return [x.fields["C"].decode() for x in messages if isinstance(x, m.ErrorResponse)]


def kinds(messages: Sequence[m.Message]) -> list[str]:
    return [type(x).__name__ for x in messages]


def column(name: str, table_oid: int = 0, attnum: int = 0, type_oid: int = 25, format_: int = 0) -> m.Field:
    return m.Field(name.encode(), table_oid, attnum, type_oid, -1, -1, format_)


READY = m.ReadyForQuery(b"I")
IN_BLOCK = m.ReadyForQuery(b"T")
FAILED = m.ReadyForQuery(b"E")
RULE = RuleId("capped/limits.rows", Source("p.yaml", 3, 5))


def limits(**given: object) -> Limits:
    """Limits, each by `RULE`."""
    rules = {f"{name}_rule".replace("runtime_s", "runtime"): RULE for name in given if name != "at_cap"}
    return Limits(**given, **rules)  # type: ignore[arg-type]


DONE = m.CommandComplete(b"SELECT 1")


def extended(query: str, name: str = "") -> tuple[m.Message, ...]:
    raw = name.encode()
    return m.Parse(raw, query.encode()), m.Bind(b"", raw), m.Describe(b"P", b""), m.Execute(b"")
