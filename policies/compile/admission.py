"""Lets statements become shapes: a second text of a skeleton is decided, and then twice more with other literals in it.

The shape is kept only if, filled with those literals, it gives exactly their decisions: texts, plans, edits, positions.
One set of literals stands for none else, so that a copy of one in an edit shows; the other is of odd values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from policies.compile.cache import PlanCache
from policies.compile.exchange import Exchange, exchange_of
from policies.compile.margins import margins_of
from policies.compile.shapes import Family, Scope, Shape
from policies.compile.skeleton import BLOCK_COMMENT, INT4, INT8, LINE_COMMENT, NUMERIC, STRING, skeleton
from policies.decision import NO_EFFECT, Decision, Edit

_DIGITS: Final = b"\x05"
_MOST_SEEN: Final = 64
_ODD: Final = {
    INT4: ("0", "1", "2147483647", "7", "16384", "500"),
    INT8: ("9223372036854775807", "2147483648", "4294967296"),
    NUMERIC: ("0.0", "99999999999999999999", "0.5", "100.1"),
    STRING: ("''", "'%'", "'search_path'", "'ä€😀'", "'pg_class'", "','", "'now'", "'NaN'", "'1'", "'SELECT 1; --'"),
    _DIGITS: ("'0'", "'4294967295'", "'1259'"),
    LINE_COMMENT: ("--", "--'\"$$ /* */; x", "--é€😀 SELECT 1;"),
    BLOCK_COMMENT: ("/**/", "/*'*/", "/* \n-- ; \"ä€😀 $$ 'pg_class' SELECT 1; */"),
}
_UNLIKE: Final = {
    INT4: "1836{:06}",
    INT8: "5836211{:06}",
    NUMERIC: "7391.0583{:05}",
    STRING: "'qz {:04} \t\"xw'",
    _DIGITS: "'3183{:05}'",
    LINE_COMMENT: "-- qy {:04} xv",
    BLOCK_COMMENT: "/* qy {:04} xv */",
}

Decide = Callable[[str], Decision]


def learn(cache: PlanCache, scope: Scope, raw: bytes, decision: Decision, decide: Decide) -> bool:
    """Whether `decision` is kept as a shape now. A refusal never is, nor what leaves something in the session."""
    if decision.refusal is not None or len(decision.plans) != 1 or decision.plans[0].effect != NO_EFFECT:
        return False
    found = skeleton(raw)
    if found is None:
        return False
    family = scope.families.get(found.key)
    if family is None:
        cache.put_family(scope, found.key, Family(raw))
        return False
    exchange = _exchange_of(family, raw, found.offsets)
    if exchange is None or not _is_seen_again(family, raw, found.offsets):
        return False
    shape = admitted(raw, found.key, found.offsets, decision, exchange, decide)
    cache.put_shape(family, family.fixed_in(raw, found.offsets), shape)
    return shape is not None


def _exchange_of(family: Family, raw: bytes, offsets: list[int]) -> Exchange | None:
    """The family's, found with its second text."""
    if family.fixed is None and not family.is_barren:
        exchange = exchange_of(raw, offsets)
        if exchange is None:
            family.is_barren = True
        else:
            family.exchange = exchange
            family.fixed = tuple(one for one in range(len(offsets) // 2) if one not in exchange.free)
            first = skeleton(family.first)
            if first is not None:
                family.seen.add(hash(family.fixed_in(family.first, first.offsets)))
        family.first = b""
    found: Exchange | None = family.exchange
    return found


def _is_seen_again(family: Family, raw: bytes, offsets: list[int]) -> bool:
    """Whether these values of the fixed literals came before, and were not found to make no shape."""
    key = family.fixed_in(raw, offsets)
    if key in family.shapes:
        return False
    number = hash(key)
    if number in family.seen:
        family.seen.discard(number)
        return True
    if len(family.seen) >= _MOST_SEEN:
        family.seen.clear()
    family.seen.add(number)
    return False


def admitted(
    raw: bytes, key: bytes, offsets: list[int], decision: Decision, exchange: Exchange, decide: Decide
) -> Shape | None:
    """The shape that a decided text makes; None when it isn't one."""
    shape = make_shape(raw, offsets, decision, exchange)
    if shape is None or not _gives(shape, raw, key, decision):
        return None
    for literals in (_unlike(raw, offsets, exchange), _odd(raw, offsets, exchange)):
        other = exchanged(raw, offsets, exchange.free, list(literals))
        if not _gives(shape, other, key, decide(other.decode())):
            return None
    return shape


def _gives(shape: Shape, raw: bytes, key: bytes, decision: Decision) -> bool:
    """Whether the shape tells of a text what its own compile does."""
    found = skeleton(raw)
    if found is None or found.key != key or decision.refusal is not None:
        return False
    known = shape.known(raw, found.offsets)
    if known is None or known.complete() != decision:
        return False
    return (known.text.decode(), known.statement.decode()) == (decision.text, decision.plans[0].text)


def exchanged(raw: bytes, offsets: list[int], free: tuple[int, ...], literals: list[str]) -> bytes:
    """The text with other literals in the free places."""
    parts: list[bytes] = []
    done = 0
    for number, literal in zip(free, literals, strict=True):
        parts += (raw[done : offsets[2 * number]], literal.encode())
        done = offsets[2 * number + 1]
    return b"".join((*parts, raw[done:]))


def _unlike(raw: bytes, offsets: list[int], exchange: Exchange) -> Iterator[str]:
    """Literals that no edit of ours has in it, each another."""
    for index, mark in enumerate(_classes(raw, offsets, exchange)):
        yield _UNLIKE[mark].format(index)


def _odd(raw: bytes, offsets: list[int], exchange: Exchange) -> Iterator[str]:
    for index, mark in enumerate(_classes(raw, offsets, exchange)):
        yield _ODD[mark][index % len(_ODD[mark])]


def _classes(raw: bytes, offsets: list[int], exchange: Exchange) -> Iterator[bytes]:
    for number in exchange.free:
        found = skeleton(raw[offsets[2 * number] : offsets[2 * number + 1]])
        assert found is not None
        yield _DIGITS if number in exchange.digits else found.key


def make_shape(raw: bytes, offsets: list[int], decision: Decision, exchange: Exchange) -> Shape | None:
    """None when an edit touches a literal that is to be exchanged."""
    free = exchange.free
    bounds = [(offsets[2 * number], offsets[2 * number + 1]) for number in free]
    margins = margins_of(raw, offsets, decision.plans[0].text.encode())
    if margins is None:
        return None
    edits = [(_byte(raw, edit.start), _byte(raw, edit.end), edit) for edit in decision.edits]
    placed: list[tuple[int, Edit]] = []
    for start, end, edit in edits:
        before = sum(last <= start for _, last in bounds)
        if before < len(bounds) and end > bounds[before][0]:
            return None
        placed.append((before, edit))
    gaps = _gaps(raw, bounds, edits, placed) if edits else None
    sizes = tuple(len(raw[start:end].decode()) for start, end in bounds)
    return Shape(decision, free, exchange.digits, gaps, margins, sizes, tuple(placed))


def _gaps(
    raw: bytes, bounds: list[tuple[int, int]], edits: list[tuple[int, int, Edit]], placed: list[tuple[int, Edit]]
) -> list[bytes]:
    """The edited text's pieces between the free literals."""
    gaps: list[bytes] = []
    starts = [0, *(end for _, end in bounds)]
    ends = [*(start for start, _ in bounds), len(raw)]
    for gap, (done, last) in enumerate(zip(starts, ends, strict=True)):
        parts: list[bytes] = []
        for (start, end, edit), (before, _) in zip(edits, placed, strict=True):
            if before == gap:
                parts += (raw[done:start], edit.replacement.encode())
                done = end
        gaps.append(b"".join((*parts, raw[done:last])))
    return gaps


def _byte(raw: bytes, character: int) -> int:
    return character if raw.isascii() else len(raw.decode()[:character].encode())
