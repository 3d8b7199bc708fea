"""What is known of texts under one set of circumstances: by exact text, and by shape with other literals in it.

A shape is a decided statement whose exchangeable literals no rule looks at: its plan holds for every text that differs
in them only, and its edits are put around the new literals. Whether a literal may be exchanged, and whether a shape is
sound, is for `exchange` and `admission` to say; this only finds and fills in. Compiled where it can be.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from policies.compile.margins import TEXT, Margins
from policies.compile.skeleton import Skeleton, skeleton
from policies.decision import Decision, Edit, Plan


class Outcomes:
    """How often a text was known exactly, by its shape, or not. Only rise."""

    def __init__(self) -> None:
        self.exact = 0
        self.shape = 0
        self.miss = 0


class Entry:
    """What is kept once for all hits of one text or shape.

    `note` is a free place for the proxy's own: what it makes of the decision goes when the entry goes. `is_used` is set
    by every hit, for the cache to see. `is_spoken`: each text has comments of its own around the statement.
    """

    def __init__(self, decision: Decision) -> None:
        self.decision = decision
        self.note: Any = None
        self.is_used = False
        self.is_spoken = False


class Known:
    """A text that may go upstream. `text`: what goes upstream, the client's own bytes object when nothing is edited.

    `decision` is this text's own for an exact hit, and for a shape that of the text that it was made from: its plans'
    masks, rules, tables and limits hold, its texts and edits don't; `complete()` has them right. `statement`: the
    statement in bytes, as a Plan's text would be, empty where the text has several.
    """

    def __init__(
        self, entry: Entry, decision: Decision, text: bytes, statement: bytes, raw: bytes, offsets: list[int] | None
    ) -> None:
        self.entry = entry
        self.decision = decision
        self.text = text
        self.statement = statement
        self._raw = raw
        self._offsets = offsets

    @property
    def is_shape(self) -> bool:
        return self._offsets is not None

    def comments(self) -> list[bytes]:
        """What this text says of itself where others of its shape say something else: `Shape.is_spoken`."""
        offsets = self._offsets
        if offsets is None:
            return []
        shape: Any = self.entry
        return [self._raw[offsets[2 * number] : offsets[2 * number + 1]] for number in shape.said]

    def complete(self) -> Decision:
        """The decision of this very text, equal to what a compile gives."""
        if self._offsets is None:
            return self.decision
        shape: Any = self.entry
        found: Decision = shape.complete(self._raw, self._offsets, self.text)
        return found


class Shape(Entry):
    """A decided statement with `free` literals and comments (their numbers among all of the text's).

    `gaps`: the pieces of the edited text around them, None where nothing is edited; `digits`: those of the free ones
    that may only be strings of digits; `margins`: where in the text the statement is. `edits` are of the text with
    `sizes`, the lengths of its free literals in characters, each edit with the number of free literals before it.
    `said`: the comments around the statement; `is_spoken`: there are any.
    """

    def __init__(
        self,
        decision: Decision,
        free: tuple[int, ...],
        digits: tuple[int, ...],
        gaps: list[bytes] | None,
        margins: Margins,
        sizes: tuple[int, ...],
        edits: tuple[tuple[int, Edit], ...],
    ) -> None:
        self.decision = decision
        self.note = None
        self.is_used = False
        self._free = free
        self._digits = digits
        self._gaps = gaps
        self.said = margins.said
        self.is_spoken = bool(margins.said)
        self._first, self._lead = margins.first, margins.lead
        self._last, self._trail = margins.last, margins.trail
        self._is_whole = (self._first, self._lead, self._last, self._trail) == (TEXT, 0, TEXT, 0)
        self._sizes = sizes
        self._edits = edits

    @property
    def size(self) -> int:
        """How many literals may be exchanged."""
        return len(self._free)

    def known(self, raw: bytes, offsets: list[int]) -> Known | None:
        """None for a literal that this shape can't take."""
        for number in self._digits:
            if not raw[offsets[2 * number] + 1 : offsets[2 * number + 1] - 1].isdigit():
                return None
        statement = raw if self._is_whole else self._statement(raw, offsets)
        return Known(self, self.decision, self._filled(raw, offsets), statement, raw, offsets)

    def _statement(self, raw: bytes, offsets: list[int]) -> bytes:
        start, end = self._lead, len(raw) - self._trail
        if self._first >= 0:
            start += offsets[2 * self._first + 1]
        if self._last >= 0:
            end = offsets[2 * self._last] - self._trail
        return raw[start:end]

    def _filled(self, raw: bytes, offsets: list[int]) -> bytes:
        gaps = self._gaps
        if gaps is None:
            return raw
        parts = [gaps[0]]
        gap = 1
        for number in self._free:
            parts.append(raw[offsets[2 * number] : offsets[2 * number + 1]])
            parts.append(gaps[gap])
            gap += 1
        return b"".join(parts)

    def complete(self, raw: bytes, offsets: list[int], text: bytes) -> Decision:
        """The whole Decision of a text of this shape."""
        old = self.decision
        own = raw.decode()
        statement = self._statement(raw, offsets).decode()
        plans: tuple[Plan, ...] = (replace(old.plans[0], text=statement),)
        edits = self._moved(raw, offsets) if self._edits else ()
        sent = own if self._gaps is None else text.decode()
        return Decision(sent, plans, None, edits, old.policy_fingerprint, old.catalog_version, old.search_path)

    def _moved(self, raw: bytes, offsets: list[int]) -> tuple[Edit, ...]:
        """The edits at their places in this text."""
        shifts = [0]
        for number, size in zip(self._free, self._sizes, strict=True):
            literal = raw[offsets[2 * number] : offsets[2 * number + 1]]
            shifts.append(shifts[-1] + len(literal.decode()) - size)
        return tuple(
            Edit(edit.start + shifts[before], edit.end + shifts[before], edit.replacement)
            for before, edit in self._edits
        )


class Family:
    """Statements of one skeleton. Literals with a say stand in `fixed`: each set of their values is a shape of its own.

    `fixed` and `exchange` are None until a second text of the skeleton is seen; `first` is the first one till then.
    `seen`: hashes of values of the fixed literals that came once. A value of `shapes` is None where it isn't one.
    """

    def __init__(self, first: bytes) -> None:
        self.first = first
        self.fixed: tuple[int, ...] | None = None
        self.exchange: Any = None
        self.seen: set[int] = set()
        self.shapes: dict[bytes, Shape | None] = {}
        self.is_used = False
        self.is_barren = False  # no literal of it may be exchanged

    def find(self, raw: bytes, offsets: list[int]) -> Known | None:
        if self.fixed is None:
            return None
        shape = self.shapes.get(self.fixed_in(raw, offsets))
        if shape is None:
            return None
        self.is_used = True
        shape.is_used = True
        return shape.known(raw, offsets)

    def fixed_in(self, raw: bytes, offsets: list[int]) -> bytes:
        """The values of the fixed literals; no literal holds a NUL."""
        fixed = self.fixed
        if not fixed:
            return b""
        return b"\0".join([raw[offsets[2 * number] : offsets[2 * number + 1]] for number in fixed])


class Scope:
    """What a decision depends on besides its text, as one object with all that is known of texts under it.

    Scopes of equal circumstances are one object (`PlanCache.scope`), so what holds one may ask it again and again.
    """

    def __init__(self, outcomes: Outcomes) -> None:
        self.exact: dict[bytes, Known] = {}
        self.refused: dict[bytes, Entry] = {}
        self.families: dict[bytes, Family] = {}
        self._outcomes = outcomes

    def find(self, raw: bytes) -> Known | None:
        """None for a text that isn't known, or is known to be refused."""
        known = self.exact.get(raw)
        if known is not None:
            known.entry.is_used = True
            self._outcomes.exact += 1
            return known
        if not self.families:
            return None
        found = skeleton(raw)
        if found is None:
            return None
        known = self.find_shape(raw, found)
        if known is not None:
            self._outcomes.shape += 1
        return known

    def find_shape(self, raw: bytes, found: Skeleton) -> Known | None:
        family = self.families.get(found.key)
        return None if family is None else family.find(raw, found.offsets)

    def find_refused(self, raw: bytes) -> Decision | None:
        entry = self.refused.get(raw)
        if entry is None:
            return None
        entry.is_used = True
        self._outcomes.exact += 1
        return entry.decision
