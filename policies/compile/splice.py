"""Applies edits to the client's own bytes: what isn't edited reaches the server as it was written."""

from __future__ import annotations

from collections.abc import Sequence

from policies.compile.draft import Splice
from policies.decision import Edit


class OverlapError(Exception):
    """Two edits touch the same bytes; the statement can't be rewritten."""


def ordered(splices: Sequence[Splice]) -> list[Splice]:
    """By place, insertions at one place in the order they were made. Raises OverlapError."""
    result = sorted(splices, key=lambda splice: (splice.start, splice.end))
    for before, after in zip(result, result[1:], strict=False):
        if after.start < before.end:
            raise OverlapError
    return result


def apply(text: bytes, splices: Sequence[Splice]) -> bytes:
    """The text with the ordered splices in it."""
    parts: list[bytes] = []
    done = 0
    for splice in splices:
        parts += (text[done : splice.start], splice.replacement.encode())
        done = splice.end
    parts.append(text[done:])
    return b"".join(parts)


def edits_of(text: bytes, splices: Sequence[Splice]) -> tuple[Edit, ...]:
    """The same edits in characters, for mapping positions back."""

    def characters(offset: int) -> int:
        return len(text[:offset].decode("utf-8", "replace"))

    return tuple(Edit(characters(s.start), characters(s.end), s.replacement) for s in splices)
