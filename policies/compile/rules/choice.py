"""Which masked columns of a statement's top block are nothing but put out, or used raw as their masks' `use` allows.

One column's answer may hang on another's (both sides of a join are raw or none is), so columns are dropped until
nothing changes any more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from policies.catalog import Column
from policies.compile.draft import Draft, Target
from policies.compile.rules.output_order import can_shuffle, output_at, sorts_by
from policies.compile.rules.raw_uses import Held, read_raw_uses
from policies.compile.scope import Block, Reference
from policies.compile.tree import Tree, is_node, node_kind, strings_of
from policies.masks import StreamMask
from policies.model import MaskRule, RawUse, Statement
from policies.raw_types import RAW_CASTS

# Columns of the types of one set can be held against each other without a cast that fails.
_JOINED = (frozenset({25, 1043}), frozenset({20, 21, 23, 1700}), frozenset({700, 701}))
# Who writes values of their own knows them: a group or a partner of theirs tells everybody else's.
_WRITES = frozenset(
    {Statement.INSERT, Statement.UPDATE, Statement.MERGE, Statement.COPY_FROM, Statement.DDL, Statement.ALL}
)


@dataclass(slots=True, eq=False)
class Candidate:
    """A masked column of a guarded relation in the top block. `count` fields show it, `held` are its raw uses."""

    target: Target
    column: Column
    rule: MaskRule
    mask: StreamMask
    count: int = 0
    held: list[Held] = field(default_factory=list)


class Choice:
    def __init__(self, draft: Draft, top: Block, candidates: list[Candidate]) -> None:
        self._draft = draft
        self._top = top
        self._kept = candidates
        self._held = read_raw_uses(top) if any(one.rule.uses for one in candidates) else {}

    def made(self) -> list[Candidate]:
        """The candidates that go out raw, with what is done with them."""
        while True:
            kept = [one for one in self._kept if self._is_fine(one)]
            if len(kept) == len(self._kept):
                return [one for one in kept if one.count or one.held]
            self._kept = kept

    def _is_fine(self, one: Candidate) -> bool:
        held = self._uses(one)
        if held is None:
            return False
        one.held = held
        one.count = sum(_puts_out(reference, one) for reference in self._outputs)
        return self._is_joined_by_name(one) and (not self._is_put_out(one) or self._is_put_out_as_it_is(one))

    @cached_property
    def _outputs(self) -> list[Reference]:
        """The top block's outputs that are columns or stars."""
        return [r for r in self._draft.facts.references if r.is_plain_target and r.block is self._top]

    # uses

    def _uses(self, one: Candidate) -> list[Held] | None:
        """All that is done with columns of this name but putting them out; None when some of it isn't allowed."""
        found: list[Held] = []
        for reference in self._draft.facts.references:
            if reference.names[-1] != one.column.name or (reference.is_plain_target and reference.block is self._top):
                continue
            held = self._held.get(id(reference.node))
            if held is None or reference.block is not self._top:
                return None
            if not self._is_of_other(reference, one):
                if not self._is_allowed(one, held):
                    return None
                found.append(held)
        if one.column.name in self._grouped_outputs:
            if not self._is_allowed(one, Held(RawUse.GROUP, is_ordered=True)):
                return None
            found.append(Held(RawUse.GROUP, is_ordered=True))
        return found

    def _is_of_other(self, reference: Reference, one: Candidate) -> bool:
        *qualifier, _ = reference.names
        item = self._draft.find_qualified(self._top, qualifier[-1] or "") if qualifier else None
        return item is not None and item is not one.target.item

    def _is_allowed(self, one: Candidate, held: Held) -> bool:
        if held.use not in one.rule.uses & self._possible or one.column.type_oid not in RAW_CASTS:
            return False
        match held.use:
            case RawUse.EQUALITY:
                is_counted = held.probes is not None or one.rule.probes_per_hour is None
                is_hidden = not held.is_ordered or self._can_shuffle
                return is_counted and is_hidden and held.casts <= RAW_CASTS[one.column.type_oid]
            case RawUse.JOIN:
                return self._has_partner(one, held.partner)
        return True

    @cached_property
    def _possible(self) -> frozenset[RawUse]:
        """What this statement may do at all."""
        draft = self._draft
        aliases = [item.alias for item in self._top.items if item.alias]
        if len(set(aliases)) < len(aliases) or draft.parameter_types or draft.catalog.user_operators & {"=", "<>"}:
            return frozenset()
        if draft.policy.statements & _WRITES or not self._can_shuffle:
            return frozenset({RawUse.EQUALITY})
        return frozenset(RawUse)

    @cached_property
    def _can_shuffle(self) -> bool:
        return can_shuffle(self._draft, self._top)

    # joins

    def _has_partner(self, one: Candidate, partner: Tree | None) -> bool:
        """The other side is a raw column too, of another relation, and compares with this one without fail."""
        names = strings_of(partner["fields"]) if partner else ()
        found = [other for other in self._kept if names and self._means(names, other)]
        return len(found) == 1 and self._is_partner(one, found[0])

    def _means(self, names: tuple[str, ...], other: Candidate) -> bool:
        """Whether a name in the top block can only be this column."""
        if names[-1] != other.column.name:
            return False
        if len(names) > 1:
            return self._draft.find_qualified(self._top, names[-2]) is other.target.item
        with_it = [t for t in self._draft.targets_in(self._top) if any(c.name == names[0] for c in t.visible_columns)]
        return with_it == [other.target]

    def _is_partner(self, one: Candidate, other: Candidate) -> bool:
        types = {one.column.type_oid, other.column.type_oid}
        is_comparable = len(types) == 1 or any(types <= joined for joined in _JOINED)
        has_collation = one.column.has_own_collation or other.column.has_own_collation
        is_allowed = RawUse.JOIN in other.rule.uses and other.column.type_oid in RAW_CASTS
        return one.target is not other.target and is_comparable and not has_collation and is_allowed

    def _is_joined_by_name(self, one: Candidate) -> bool:
        """USING (column): every relation below the join that has the column has it raw."""
        for join in one.target.use.joins:
            if one.column.name in strings_of(join.get("usingClause")):
                if RawUse.JOIN not in one.rule.uses & self._possible or not self._are_partners(one, join):
                    return False
                if any(len(reference.names) == 1 and _puts_out(reference, one) for reference in self._outputs):
                    return False  # the merged column may be of either side
                if not any(held.use is RawUse.JOIN for held in one.held):
                    one.held.append(Held(RawUse.JOIN, is_ordered=True))
        return True

    def _are_partners(self, one: Candidate, join: Tree) -> bool:
        sources = _relations_below({"JoinExpr": join})
        if sources is None:
            return False
        for node in sources:
            target = next((t for t in self._draft.targets_in(self._top) if t.use.node is node), None)
            if target is None or target.relation is None:
                return False
            if target is one.target or not any(c.name == one.column.name for c in target.visible_columns):
                continue
            other = next((k for k in self._kept if k.target is target and k.column.name == one.column.name), None)
            if other is None or not self._is_partner(one, other):
                return False
        return True

    # outputs

    def _is_put_out(self, one: Candidate) -> bool:
        return one.count > 0 or any(reference.names[-1] == one.column.name for reference in self._outputs)

    def _is_put_out_as_it_is(self, one: Candidate) -> bool:
        """Not grouped but by itself, not made distinct, not sorted by."""
        node, name = self._top.node, one.column.name
        if node.get("distinctClause"):
            return False
        if node.get("groupClause") or node.get("havingClause"):
            has_star = any(reference.names[-1] is None for reference in self._outputs)
            if has_star or not any(held.use is RawUse.GROUP for held in one.held) or not self._is_grouped(name):
                return False
        names = {reference.output_name for reference in self._outputs if reference.names[-1] == name}
        return not sorts_by(self._top, name, {shown for shown in names if shown})

    def _is_grouped(self, name: str) -> bool:
        items = self._top.node.get("groupClause") or ()
        named = {strings_of(item["ColumnRef"]["fields"])[-1:] for item in items if is_node(item, "ColumnRef")}
        return (name,) in named or name in self._grouped_outputs

    @cached_property
    def _grouped_outputs(self) -> frozenset[str]:
        """Columns that GROUP BY means by an output's ordinal or name."""
        grouped: set[str] = set()
        by_name = {r.output_name: r.names[-1] for r in self._outputs if r.output_name and r.names[-1]}
        for item in self._top.node.get("groupClause") or ():
            names = _group_names(self._top, item)
            if is_node(item, "A_Const"):
                grouped.update(names[-1:])
            elif len(names) == 1 and names[0] in by_name:
                grouped.add(str(by_name[names[0]]))
        return frozenset(grouped)


def _group_names(top: Block, item: Any) -> tuple[str, ...]:
    value = output_at(top, item) if is_node(item, "A_Const") else item
    return strings_of(value["ColumnRef"]["fields"]) if is_node(value, "ColumnRef") else ()


def _puts_out(reference: Reference, one: Candidate) -> bool:
    *qualifier, last = reference.names
    if last is not None and last != one.column.name:
        return False
    return not qualifier or qualifier[-1] == one.target.item.alias


def _relations_below(source: Any) -> list[Tree] | None:
    """The RangeVars of a join, None when it holds anything else."""
    match node_kind(source):
        case "RangeVar":
            return [source["RangeVar"]]
        case "JoinExpr":
            left, right = (_relations_below(source["JoinExpr"][side]) for side in ("larg", "rarg"))
            return left + right if left is not None and right is not None else None
    return None
