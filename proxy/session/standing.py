"""A statement that was prepared by name, as the lane runs it again and again while nothing else comes between."""

from __future__ import annotations

from policies.model import EffectivePolicy
from proxy.session.conversation import Conversation
from proxy.session.course import Course, Placed
from proxy.session.handover import foreseen
from proxy.session.held import Prepared


class Standing:
    """`told`: what the client was told of last; `placed`: where masks go, by result formats."""

    def __init__(self, prepared: Prepared, course: Course) -> None:
        self.prepared = prepared
        self.course = course
        self.text = prepared.plan.text.encode()
        self.told: Placed | None = None
        self.placed: dict[bytes, Placed] = {}

    def foresee(self, formats: bytes) -> bool:
        """Whether the masks can be placed by the columns that the server has told of the statement."""
        if formats in self.placed:
            return True
        fields = self.prepared.server.fields
        found = None if fields is None else foreseen(fields, formats, self.course.plan)
        if found is not None:
            self.placed[formats] = found
        return found is not None


def standing_of(c: Conversation, policy: EffectivePolicy, name: bytes) -> Standing | None:
    """The statement under this name, if it is decided under what holds now, and the server has it."""
    held = c.sent.names.statement(name)
    if not isinstance(held, Prepared) or held.declared is not None or c.confirmed.names.statement(name) is not held:
        return None
    return Standing(held, Course(held.decision)) if held.basis == c.basis(policy, held.sql) else None
