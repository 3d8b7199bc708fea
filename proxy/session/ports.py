"""What a session needs from outside and what it asks to be done: plain types, no I/O.

Commands are imperative; `net` carries them out. Services are called synchronously and must not block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol

from audit.cost import PriceList
from audit.lines import Lines
from audit.record import Record, ShadowDecision, Verdict
from audit.tail import Tail
from policies.catalog import Catalog, Namespace
from policies.compile.shapes import Scope
from policies.decision import Decision, Plan, Refusal
from policies.limits import Limit, Load
from policies.model import EffectivePolicy, Principal
from proxy.purses import Mean, Purse
from proxy.session.epoch import Epoch
from proxy.session.shared_link import LinkKind
from proxy.session.track import Settings
from proxy.tallies import Tallies
from proxy.wire.scram import KnownKeys
from proxy.work_lanes import BulkWay, Shapes, Signs, WorkLane

Chunk = bytes | memoryview


@dataclass(frozen=True, slots=True)
class Channel:
    """What TLS says of a link. `binding`: its mark for SCRAM (tls-server-end-point), b"" where there is none.

    `subject`: (kind, value) pairs of the peer's verified certificate, such as ("CN", "ada"); None without one.
    """

    binding: bytes = b""
    subject: tuple[tuple[str, str], ...] | None = None


@dataclass(frozen=True, slots=True)
class StartTls:
    """Upgrade the client link; the answer S is already in the outbox."""


@dataclass(frozen=True, slots=True)
class ConnectUpstream:
    """Open the server link of this database (with TLS as its DSN says), then call `upstream_connected`."""

    database: str


@dataclass(frozen=True, slots=True)
class RegisterKey:
    """The client may cancel with this key from now on; the server's own key cancels at the server."""

    process_id: int
    secret_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CancelUpstream:
    """Cancel this session's statement at the server, then call `cancel_done`."""


@dataclass(frozen=True, slots=True)
class CancelOther:
    """A client's CancelRequest: the key is ours and belongs to another session, or to none."""

    process_id: int
    secret_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class StartTimer:
    token: int
    seconds: float


@dataclass(frozen=True, slots=True)
class StopTimer:
    token: int


@dataclass(frozen=True, slots=True)
class RefreshCatalog:
    """DDL went through: the snapshot of this database is old. Read it again, then call `catalog_refreshed`."""

    database: str


@dataclass(frozen=True, slots=True)
class CostQuery:
    """A statement whose cost is asked for: the `index`-th of `text`, as the server will get it.

    `types`: OIDs of parameters as Parse declared them, 0 where it left that to the server.
    """

    database: str
    catalog_version: int
    search_path: tuple[str, ...]
    text: str
    index: int
    types: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Estimate:
    """In the planner's units; None when there is no estimate, and `problem` says why. Neither text quotes data."""

    units: float | None
    problem: str = ""
    hint: str = ""
    rows: float = 0.0  # as many as the planner expects


@dataclass(frozen=True, slots=True)
class EstimateCost:
    """Have the planner say what this would cost, then call `cost_estimated`. Who asks waits for its turn."""

    query: CostQuery
    user: str = ""


@dataclass(frozen=True, slots=True)
class QueueForLane:
    """Have this session wait for a place in a workload lane, then call `turn_came` or `turn_refused`.

    `is_urgent`: its transaction has run something, and may hold locks.
    """

    lane: WorkLane
    is_urgent: bool = False


@dataclass(frozen=True, slots=True)
class AwaitPurse:
    """Wait until so much can be had of a purse, or nobody can say when, or time is up; then call `purse_looked_at`."""

    purse: Purse
    nano: int
    limit_s: float


@dataclass(frozen=True, slots=True)
class BorrowServer:
    """Have a link of this kind lent by the database's pool, then call `server_lent`. `is_first`: for the login.

    `is_elsewhere`: one to the server of the bulk lane will do, and is preferred.
    """

    kind: LinkKind
    is_first: bool = False
    is_elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class ReturnServer:
    """The link that was lent goes back; what was sent on it has been answered."""


@dataclass(frozen=True, slots=True)
class FinishServer:
    """Nothing more goes to the server; what it says then still comes."""


@dataclass(frozen=True, slots=True)
class CloseLinks:
    """Send what is in the outbox, then close both links."""


Command = (
    StartTls
    | ConnectUpstream
    | RegisterKey
    | CancelUpstream
    | CancelOther
    | StartTimer
    | StopTimer
    | RefreshCatalog
    | EstimateCost
    | QueueForLane
    | AwaitPurse
    | BorrowServer
    | ReturnServer
    | FinishServer
    | CloseLinks
)


@dataclass(slots=True)
class Outbox:
    """What a session wants sent and done, in order. `net` empties it after each call."""

    to_client: list[Chunk] = field(default_factory=list)
    to_server: list[Chunk] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Measures:
    """One finished or refused statement, for the metrics."""

    verdict: Verdict
    duration_us: int
    rows: int
    bytes_out: int
    masked_cells: int


@dataclass(frozen=True, slots=True)
class Gateway:
    """How to log in at the server. `channel_binding` and `target_session_attrs` have libpq's meaning.

    `is_asked_long_keys`: protocol 3.2 is asked for where the server knows it. `known_keys`: of earlier logins.
    """

    user: str
    database: str
    password: str | None = field(default=None, repr=False)
    channel_binding: str = "prefer"
    is_asked_long_keys: bool = True
    target_session_attrs: str = "any"
    known_keys: KnownKeys = field(default_factory=KnownKeys, repr=False, compare=False)


class Pooling(Protocol):
    """What sessions of one database know together of the servers behind its pool.

    `reported`: ParameterStatus values after a login with such settings, None when nobody has had one yet.
    """

    def reported(self, kind: LinkKind, base: Settings) -> Mapping[bytes, bytes] | None: ...

    def note_reported(self, kind: LinkKind, base: Settings, values: Mapping[bytes, bytes]) -> None: ...

    def count_pin(self, reason: str) -> None:
        """A session has taken a link for itself."""


@dataclass(frozen=True, slots=True)
class KeyFound:
    """A key of the store that a client has shown. `flaw`: why it is no good, behind the words "the API key"."""

    id: str
    flaw: str = ""


@dataclass(frozen=True, slots=True)
class Spent:
    """What a statement's cost is made of. `plan_units` None: those of its templates."""

    rows: int
    bytes_out: int
    duration_us: int
    sqlstate: str = ""
    plan_units: int | None = None


class Allowance(Protocol):
    """What a session's principal and API key may begin, together with all their other sessions."""

    @property
    def counts_cost(self) -> bool:
        """Whether `spend` is of any use."""

    def take(self, statements: int) -> tuple[Limit, Refusal] | None:
        """They begin now and are counted; or which limit they would break, and nothing is counted."""

    def give_back(self, statements: int) -> None:
        """They didn't run after all."""

    def spend(self, lines: Lines, measured: Spent) -> None:
        """One has ended. `lines` price it."""


class WorkLanes(Protocol):
    """The workload lanes of one database. Places are those of limited lanes only; who takes one leaves it."""

    @property
    def signs(self) -> Signs: ...

    @property
    def shapes(self) -> Shapes: ...

    def is_limited(self, lane: WorkLane) -> bool: ...

    def enter(self, lane: WorkLane) -> bool:
        """Takes a place at once, if one is free and nobody waits for it."""

    def leave(self, lane: WorkLane) -> None: ...

    def full(self, lane: WorkLane) -> Refusal | None:
        """Why nobody more may wait there."""

    def bulk_way(self) -> BulkWay:
        """Where bulk work that only reads is to be sent now."""


class Services(Protocol):
    """The world as one worker sees it. `now_us` is monotonic, `today` is UTC's.

    `epoch` rises whenever policies, prices or a catalog change. `is_text_kept`: `kept_text` changes nothing;
    `is_shape_kept`: it gives the same for all texts of a shape. `keeps_parameters`: records bear bind values.
    """

    @property
    def epoch(self) -> Epoch: ...

    @property
    def is_text_kept(self) -> bool: ...

    @property
    def is_shape_kept(self) -> bool: ...

    @property
    def keeps_parameters(self) -> bool: ...

    def now_us(self) -> int: ...

    def today(self) -> date: ...

    def random_bytes(self, count: int) -> bytes: ...

    def new_id(self) -> str: ...

    def principal(self, user: str) -> Principal | None: ...

    def usual_iterations(self) -> int:
        """What most principals' verifiers have: an unknown user's must look like them."""

    def has_database(self, database: str) -> bool: ...

    def gateway(self, database: str) -> Gateway: ...

    def pooling(self, database: str) -> Pooling | None:
        """None where each session has a server link of its own."""

    def work_lanes(self, database: str) -> WorkLanes | None:
        """None where no statement waits for others."""

    def effective(self, user: str, database: str, address: str) -> EffectivePolicy | None:
        """The policy of now for a client at `address`; None for a user that there isn't.

        Raises PoliciesError when it can't be made.
        """

    def catalog(self, database: str) -> Catalog | None:
        """The newest snapshot; None while there is none: nothing can be decided then."""

    def prices(self, database: str) -> PriceList:
        """Those of now; the same object until `epoch` rises."""

    def plan_units(self, database: str, decision: Decision, plan: Plan) -> int | None:
        """The planner's estimate, where prices ask for one and it is known; `epoch` rises when it gets known."""

    def is_timed(self, user: str, database: str) -> bool:
        """Whether `effective` can change with the hour."""

    def scope(self, policy: EffectivePolicy, catalog: Catalog, namespace: Namespace) -> Scope:
        """What is known of texts under these circumstances."""

    def decide(self, sql: str, policy: EffectivePolicy, catalog: Catalog, namespace: Namespace) -> Decision: ...

    def append(self, records: Sequence[Record]) -> int:
        """Writes to the journal and gives the position behind the records. Raises JournalError."""

    @property
    def tail(self) -> Tail | None:
        """Where the journal takes plain records at once; what it doesn't take, `append_intent` and the like do."""

    def append_intent(self, lines: Lines, sql_text: bytes) -> str:
        """A statement's intent from its templates, and the statement's id. Raises JournalError."""

    def append_outcome(
        self,
        lines: Lines,
        statement_id: str,
        rows: int | None,
        bytes_out: int,
        duration_us: int,
        sqlstate: str = "",
    ) -> None:
        """Its outcome, priced by the templates' price list. Raises JournalError."""

    def journal_position(self) -> int:
        """Behind the records that were written last."""

    def kept_text(self, sql: str) -> str:
        """What a record keeps of a statement's text."""

    def kept_error(self, text: str) -> str:
        """What a record keeps of the server's texts that no client reads: they may quote data."""

    @property
    def tallies(self) -> Tallies | None:
        """Where plain statements are counted at once; None: by `count_plain`."""

    def count_added(self, added_us: int) -> None: ...

    def count_statement(self, measures: Measures) -> None: ...

    def count_plain(
        self, verdict: Verdict, added_us: int, duration_us: int, rows: int, bytes_out: int, masked_cells: int
    ) -> None:
        """`count_added` and `count_statement` in one, for a statement that was allowed."""

    def count_shadow(self, decision: ShadowDecision) -> None: ...

    def count_raw_uses(self, count: int) -> None:
        """So many times a masked column's real values were compared."""

    def count_limit(self, limit: Limit) -> None:
        """A limit was reached: a statement was refused, cut off or cut short."""

    def has_workload_budgets(self) -> bool:
        """Whether `purses` depends on the workload."""

    def purses(self, principal: Principal, workload: str) -> tuple[Purse, ...]:
        """What its statements draw on; none where no budget concerns them."""

    def mean_cost(self, database: str, shape: str) -> Mean:
        """What statements of this shape have cost."""

    def now(self) -> datetime:
        """By the wall, in UTC: to tell people how long something takes."""

    def known_estimate(self, query: CostQuery) -> Estimate | None:
        """What was found out a while ago about the same question."""

    def load(self, user: str, database: str) -> Load:
        """What this user has under way there, all sessions together."""

    def stored_key(self, user: str, sha256: str) -> KeyFound | None:
        """The user's key in the store whose hex digest this is; None when there is none."""

    def allowance(self, principal: Principal, key: str) -> Allowance | None:
        """Of one who has logged in, by this API key of the store or "". None where nothing is counted."""

    def count_login(self, is_ok: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class Rules:
    """The client's side as configured. `mock_secret` is the same in every process of one deployment.

    `is_local`: a unix socket, which nobody else can listen to. `idle_s` and `idle_in_transaction_s`: how long a
    session may do nothing, None without end.
    """

    is_tls_offered: bool = False
    is_tls_required: bool = False
    is_local: bool = False
    idle_s: float | None = None
    idle_in_transaction_s: float | None = None
    mock_secret: bytes = field(default=b"pgwarden", repr=False)
