"""A session's way through the workload lanes: which lane a statement is in, and whether its turn has come.

A session holds one place at most, from before its statement is sent until nothing of it is under way any more. The
client waits meanwhile; nothing was sent to the server. It must not know who else waits: `net` keeps the queues.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from typing import Final

from policies.compile.comments import comments_of
from policies.compile.reading import only_reads
from policies.decision import NO_EFFECT, NOTHING_LEFT, Plan, Refusal
from proxy.session.conversation import Conversation, Wait
from proxy.session.costs import Ran, ran_of
from proxy.session.held import Held, Run, plan_of
from proxy.session.origin import origin_of
from proxy.session.ports import CostQuery, Estimate, EstimateCost, QueueForLane, WorkLanes
from proxy.work_lanes import BulkWay, WorkLane, is_free, is_planned

_IDLE: Final = b"I"
_OF_PRIMARIES: Final = frozenset({"default_transaction_isolation"})  # a standby knows no serializable transactions
CANCELLED: Final = Refusal("57014", "pgwarden/lanes", "canceling statement due to user request")


class Queueing:
    """Of one open session. `is_waiting`: for its turn; then `turn_came` or `turn_refused` is due."""

    def __init__(self, conversation: Conversation, lanes: WorkLanes) -> None:
        # The conversation has this object: a reference back would keep both until the collector comes.
        self._c: Conversation = weakref.proxy(conversation)
        self._lanes = lanes
        self._held: WorkLane | None = None
        self._refused: Refusal | None = None
        self._since_us = 0
        self._has_worked = False  # the transaction that is open has run something, and may hold locks
        self._known_as: tuple[str, str] | None = None
        self._is_bulk_client = False
        self.is_waiting = False
        self.takes_place = False
        if lanes.signs.rows is not None:
            conversation.ledger.ran = self.ran

    # before a statement

    def refusal(self, runs: Iterable[tuple[Run, Ran]]) -> Refusal | None:
        """Why these, one text, may not run; None when their turn has come. Raises Wait until then."""
        refused, self._refused = self._refused, None
        if refused is not None:
            return refused
        lane = self._lane_of_all(runs)
        self._note(lane)
        if lane is None or not self._lanes.is_limited(lane) or self._held in (lane, WorkLane.BULK):
            refusal = None
        else:
            refusal = self._queue(lane)
        self._has_worked = self._c.status != _IDLE and (self._has_worked or lane is not None)
        return refusal

    def _note(self, lane: WorkLane | None) -> None:
        """The next records are of this lane."""
        self._c.ledger.lane = "" if lane is None else lane.value

    def _queue(self, lane: WorkLane) -> Refusal | None:
        if self.is_waiting:
            raise Wait
        if self._lanes.enter(lane):
            self._hold(lane)
            return None
        full = self._lanes.full(lane)
        if full is not None:
            return full
        c = self._c
        self.is_waiting = True
        self._since_us = c.services.now_us()
        is_urgent = self._has_worked and c.status != _IDLE
        c.outbox.commands.append(QueueForLane(lane, is_urgent=is_urgent))
        raise Wait

    def turn_came(self, lane: WorkLane) -> None:
        self._waited()
        self._hold(lane)

    def turn_refused(self, refusal: Refusal) -> None:
        self._waited()
        self._refused = refusal

    def _waited(self) -> None:
        """The next record says how long."""
        self.is_waiting = False
        self._c.ledger.queued_us = max(0, self._c.services.now_us() - self._since_us)

    def _hold(self, lane: WorkLane) -> None:
        self.leave()
        self._held = lane

    def leave(self) -> None:
        """Nothing of it is under way any more."""
        held, self._held = self._held, None
        if held is not None:
            self._lanes.leave(held)

    # the short way

    @property
    def changes(self) -> int:
        """Another number, and `lets_pass` must be asked anew."""
        return self._lanes.shapes.changes

    def lets_pass(self, plan: Plan, text: str, is_spoken: bool) -> bool:
        """Whether such a statement is an everyday one, as far as that is known without asking anybody.

        `is_spoken`: each text has comments of its own. `takes_place` says then whether each has to `enter_quietly`.
        """
        lane = None
        if not is_free(plan):
            if is_spoken and self._lanes.signs.workloads:
                return False
            lane = self._known_lane(plan, text)
            if lane is not WorkLane.INTERACTIVE:
                return False
        self._note(lane)
        self.takes_place = lane is not None and self._lanes.is_limited(lane)
        self._has_worked = self._c.status != _IDLE and (self._has_worked or lane is not None)
        return True

    def enter_quietly(self) -> bool:
        """Whether there is a place for an everyday statement; it is held until `leave`."""
        if self._held is None:
            if not self._lanes.enter(WorkLane.INTERACTIVE):
                return False
            self._held = WorkLane.INTERACTIVE
        return True

    def ran(self, plan: Plan, rows: int) -> None:
        """It has given so many rows."""
        if self._lanes.signs.rows is not None and is_planned(plan):
            self._lanes.shapes.ran(plan.shape, rows)

    # which lane

    def _lane_of_all(self, runs: Iterable[tuple[Run, Ran]]) -> WorkLane | None:
        """The most patient of them."""
        lanes = {self._lane_of(run, ran) for run, ran in runs}
        if WorkLane.BULK in lanes:
            return WorkLane.BULK
        return WorkLane.INTERACTIVE if WorkLane.INTERACTIVE in lanes else None

    def _lane_of(self, run: Run, ran: Ran) -> WorkLane | None:
        if is_free(run.plan):
            return None
        held = self._read_by(run)
        plan = run.plan if held is None else plan_of(held)
        found = self._known_lane(plan, ran.text)
        if found is None:
            self._learn(plan, ran if held is None else ran_of(held))
            found = self._known_lane(plan, ran.text)
        return found

    def _read_by(self, run: Run) -> Held | None:
        """FETCH and EXECUTE are as much work as what they run."""
        if run.reads is not None:
            return run.reads.held
        effect, names = run.plan.effect, self._c.sent.names
        if effect.reads_cursor:
            return names.portal(effect.reads_cursor.encode())
        return names.statement(effect.executes.encode()) if effect.executes else None

    def _known_lane(self, plan: Plan, text: str) -> WorkLane | None:
        """None: the planner has to be asked. `text`: with the comments around it."""
        signs = self._lanes.signs
        if signs.workloads and signs.is_bulk_workload(self._workload(text)):
            return WorkLane.BULK
        if self._comes_from_bulk_client() or (plan.command == "copy" and signs.copy):
            return WorkLane.BULK
        if not signs.needs_estimates or not is_planned(plan):
            return WorkLane.INTERACTIVE
        return self._lanes.shapes.lane_of(plan.shape, self._version)

    def _workload(self, text: str) -> str:
        return origin_of(comments_of(text)).workload or self._c.identity.application

    def _comes_from_bulk_client(self) -> bool:
        known_as = self._c.identity.user, self._c.identity.application
        if known_as != self._known_as:
            self._known_as = known_as
            self._is_bulk_client = self._lanes.signs.is_bulk_client(*known_as)
        return self._is_bulk_client

    @property
    def _version(self) -> int:
        catalog = self._c.services.catalog(self._c.identity.database)
        return 0 if catalog is None else catalog.version

    def _learn(self, plan: Plan, ran: Ran) -> None:
        """Raises Wait until the planner has answered."""
        c = self._c
        path = c.sent.track.namespace.search_path
        query = CostQuery(c.identity.database, self._version, path, ran.text, ran.index, ran.types)
        estimate = self._estimate(query)
        self._lanes.shapes.learn(plan.shape, self._version, estimate.units, estimate.rows)
        if plan.limits.cost is None:  # else the limit of cost looks at it next
            c.estimates.pop(query, None)

    def _estimate(self, query: CostQuery) -> Estimate:
        c = self._c
        found = c.estimates.get(query) or c.services.known_estimate(query)
        if found is None:
            c.wanted_estimate = query
            c.outbox.commands.append(EstimateCost(query, c.identity.user))
            raise Wait
        return found

    # which server

    def bulk_way(self, plans: Sequence[Plan]) -> BulkWay:
        """Where these go, which are about to borrow a link, and end their transaction themselves."""
        way = self._lanes.bulk_way()
        if way is BulkWay.PRIMARY or self._c.ledger.lane != WorkLane.BULK.value or not plans:
            return BulkWay.PRIMARY
        if any(name in _OF_PRIMARIES for name, _ in self._c.confirmed.track.settings):
            return BulkWay.PRIMARY
        return way if all(map(_may_go_elsewhere, plans)) else BulkWay.PRIMARY

    def is_misplaced(self) -> bool:
        """Whether the session has a link to the bulk lane's server, unused yet, that will do no longer."""
        c = self._c
        if c.lending is None or c.lending.link is None or not c.lending.link.is_elsewhere or c.queue:
            return False
        return self._lanes.bulk_way() is not BulkWay.REPLICA


def _may_go_elsewhere(plan: Plan) -> bool:
    """Whether a server that takes no writes answers it as the primary would, and nothing of it stays in the session."""
    if plan.command != "select" or plan.effect != NO_EFFECT or plan.leaves != NOTHING_LEFT or plan.is_ddl:
        return False
    return not plan.is_tainting and only_reads(plan.text)
