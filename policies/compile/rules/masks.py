"""Chooses where each masked column is masked: in the stream when it is certainly only put out or used as its mask's
`use` allows, else in the guard.

The test is by name and conservative. Whatever it doesn't recognise is masked at the source, for the whole statement.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

from policies.catalog import Column
from policies.compile.draft import Access, Draft, PlacedMask, Target
from policies.compile.rules.choice import Candidate, Choice
from policies.compile.rules.output_order import shuffle
from policies.compile.rules.output_places import Place, is_at, output_places
from policies.compile.scope import Block
from policies.compile.tree import strings_of
from policies.compile.usage import is_used_as_row
from policies.decision import ColumnMask, RawColumn
from policies.masks import MaskError, StreamMask, stream_form
from policies.model import MaskRule, MaskSpec, RawUse

# The stream form of these prints as ISO and UTC; the source form prints as the session asked.
_PRINTED_BY_SESSION = frozenset({1082, 1114, 1184})


def choose_masks(draft: Draft) -> None:
    """Sets `target.stream` for the columns that go out raw, and adds their ColumnMasks and RawColumns."""
    top = draft.facts.top or draft.copied_top
    if top is None or top.node.get("valuesLists"):
        return
    candidates = list(_candidates(draft, top))
    if not candidates:
        return
    chosen = Choice(draft, top, candidates).made()
    if draft.copied_top is not None and not _place_masks(draft, top, chosen):
        return
    for one in chosen:
        one.target.stream |= {one.column.name}
        if draft.copied_top is None:
            _add_mask(draft, one)
    _add_raw(draft, chosen)
    if any(held.is_ordered for one in chosen for held in one.held):
        shuffle(draft, top)


def _place_masks(draft: Draft, top: Block, chosen: list[Candidate]) -> bool:
    """Adds the places of the chosen columns to the draft; False when they aren't certain, or more is done with them
    than to put them out."""
    places = output_places(draft, top)
    aliases = [item.alias for item in top.items if item.alias]
    if places is None or any(one.held for one in chosen) or len(set(aliases)) < len(aliases):
        return False
    found = {id(one): [at for at, place in enumerate(places) if _is_at(place, one)] for one in chosen}
    at_all = sorted(at for places_of_one in found.values() for at in places_of_one)
    if any(len(found[id(one)]) != one.count for one in chosen) or len(set(at_all)) < len(at_all):
        return False
    draft.place_count = len(places)
    draft.placed_masks = [
        PlacedMask(at, one.target, one.column.name, one.mask) for one in chosen for at in found[id(one)]
    ]
    return True


def _is_at(place: Place, one: Candidate) -> bool:
    return is_at(place, one.target, one.column.name)


def _candidates(draft: Draft, top: Block) -> Iterator[Candidate]:
    names = {reference.names[-1] for reference in draft.facts.references}
    for target in draft.targets_in(top):
        if target.access is not Access.GUARDED or target.body or not _stands_plainly(target):
            continue
        assert target.rule is not None
        masks = target.rule.masks
        shared = {name for join in target.use.joins for name in strings_of(join.get("usingClause"))}
        meant = masks if None in names else masks.keys() & (names | shared)
        if not meant or is_used_as_row(draft, target):
            continue
        for column in target.visible_columns:
            if column.name in meant and (mask := mask_of_column(masks[column.name].mask, column)) is not None:
                yield Candidate(target, column, masks[column.name], mask)


def _stands_plainly(target: Target) -> bool:
    """In FROM or below plain joins, without renamed columns: RowDescription then tells its columns by OID."""
    use = target.use
    if use.is_sampled or not use.is_direct or use.item.column_aliases:
        return False
    return not any("alias" in join or "join_using_alias" in join or join.get("isNatural") for join in use.joins)


def mask_of_column(spec: MaskSpec, column: Column) -> StreamMask | None:
    """Its stream form, None when it has none that says the same as the source form."""
    if column.type_oid in _PRINTED_BY_SESSION:
        return None
    # 1 and True are equal, and give other masks.
    types = tuple(type(value) for _, value in spec.parameters)
    return _known_mask(spec, types, column.type_oid, column.type_name)


# The same columns are asked for in statement after statement.
@lru_cache(maxsize=1024)
def _known_mask(spec: MaskSpec, types: tuple[type, ...], type_oid: int, type_name: str) -> StreamMask | None:
    try:
        return stream_form(spec, type_oid, type_name)
    except MaskError:
        return None  # it has no form at all: the guard refuses


def _add_mask(draft: Draft, one: Candidate) -> None:
    """A table that stands twice in FROM has one entry per column: the fields can't tell which one they came from."""
    if not one.count or one.target.relation is None:
        return
    place = (one.target.relation.oid, one.column.attnum)
    for index, other in enumerate(draft.column_masks):
        if (other.table_oid, other.attnum) == place:
            draft.column_masks[index] = ColumnMask(*place, other.count + one.count, other.mask)
            return
    draft.column_masks.append(ColumnMask(*place, one.count, one.mask))


def _add_raw(draft: Draft, chosen: list[Candidate]) -> None:
    """One entry for a column, however often its table stands in FROM."""
    rules: dict[str, MaskRule] = {}
    probes: Counter[str] = Counter()
    for one in chosen:
        name = f"{one.target.schema}.{one.target.name}.{one.column.name}"
        if one.held:
            rules.setdefault(name, one.rule)
            probes[name] += sum(held.probes or 1 for held in one.held if held.use is RawUse.EQUALITY)
    draft.raw_columns += [
        RawColumn(name, rule.probes_per_hour, rule.rule, max(probes[name], 1)) for name, rule in rules.items()
    ]
