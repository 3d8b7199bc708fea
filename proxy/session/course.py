"""What is known beforehand of a decided statement that the lane may take: how its answer must look, where masks go.

Made once for each decision and kept with it. It must not know sessions: all of it holds for whoever runs the statement.
"""

from __future__ import annotations

from typing import Final

from audit.record import Verdict
from policies.decision import NO_EFFECT, NOTHING_LEFT, Decision, Leaves
from policies.masks import StreamMask
from proxy.purses import Mean
from proxy.session.held import EMPTY_PLAN
from proxy.session.ledger import verdict_of
from proxy.session.queue import MaskMismatch, RowMasks, place_masks
from proxy.session.shared_link import RUN_NOTHING
from proxy.wire import messages as m
from proxy.wire.codec import decode_backend
from proxy.wire.errors import ProtocolViolation

LONG: Final = 0  # not for the lane
PLAIN: Final = 1  # it changes nothing that the session follows
BEGIN: Final = 2
END: Final = 3  # COMMIT or ROLLBACK

_HARMLESS: Final = (NOTHING_LEFT, Leaves(has_sequences=True))
_PLAIN_COMMANDS: Final = frozenset({"select", "insert", "update", "delete", "merge", "show"})
_CONTROL: Final = {"begin": BEGIN, "commit": END, "rollback": END}
_MOST_DESCRIPTIONS: Final = 8  # of one statement: clients ask for the same formats again and again
_DESCRIPTION: Final = ord("T")
NO_LIMIT: Final = -1


class Placed:
    """One RowDescription as the server sent it, what it says, and the masks for rows that look like that."""

    def __init__(self, description: bytes, fields: tuple[m.Field, ...], masks: RowMasks) -> None:
        self.description = description
        self.size = len(description)
        self.fields = fields
        self.columns: tuple[tuple[int, int, StreamMask], ...] = masks.columns
        self.column_count = masks.column_count
        self.mask_count = len(masks.columns)


class Course:
    """`way`: LONG, PLAIN, BEGIN or END. `most_rows` and `most_bytes`: the plan's limits, NO_LIMIT without.

    `is_spoken`: each text that takes it has comments of its own. `kept`: what records keep of the text where all texts
    of a shape have the same kept, once somebody has found it out.
    """

    def __init__(self, decision: Decision, is_spoken: bool = False) -> None:
        self.decision = decision
        self.is_spoken = is_spoken
        self.kept: bytes | None = None
        self.way = _way_of(decision)
        self.plan = decision.plans[0] if decision.plans else EMPTY_PLAN
        self.is_commit = self.plan.command == "commit"
        self.verdict = verdict_of(self.plan)
        self.is_rewritten = self.verdict is Verdict.REWRITE
        limits = self.plan.limits
        self.most_rows = NO_LIMIT if limits.rows is None else limits.rows
        self.most_bytes = NO_LIMIT if limits.bytes is None else limits.bytes
        self.is_masked = bool(self.plan.column_masks)
        self.may_run_code = self.plan.command not in RUN_NOTHING
        self.has_sequences = self.plan.leaves.has_sequences
        self.last: Placed | None = None
        self.mean: Mean | None = None  # of the cost, once a budget asked for it
        self._placed: dict[bytes, Placed] = {}

    def placed(self, description: bytes) -> Placed | None:
        """What rows behind this RowDescription need; None when that isn't what the plan expects, or can't be read."""
        found = self._placed.get(description)
        if found is None:
            found = self._place(description)
            if found is not None and len(self._placed) < _MOST_DESCRIPTIONS:
                self._placed[description] = found
        if found is not None:
            self.last = found
        return found

    def _place(self, description: bytes) -> Placed | None:
        try:
            message = decode_backend(_DESCRIPTION, description[5:])
            assert isinstance(message, m.RowDescription)
            return Placed(description, message.fields, place_masks(self.plan, message.fields, None))
        except (ProtocolViolation, MaskMismatch):
            return None


def _way_of(decision: Decision) -> int:
    if decision.refusal is not None or len(decision.plans) != 1:
        return LONG
    plan = decision.plans[0]
    if plan.effect != NO_EFFECT or plan.leaves not in _HARMLESS or plan.is_ddl or plan.is_tainting:
        return LONG
    if plan.hidden_columns or plan.raw_columns or plan.check is not None:
        return LONG
    limits = plan.limits
    timed = (limits.runtime_s, limits.concurrent, limits.statements_per_minute, limits.cost)
    if any(limit is not None for limit in timed):
        return LONG
    return PLAIN if plan.command in _PLAIN_COMMANDS else _CONTROL.get(plan.command, LONG)
