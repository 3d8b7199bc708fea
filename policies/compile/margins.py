"""Where in a text its one statement stands, told from the comments and literals around it; and which comments are said
of the statement, being before or behind all of it.

Comments are exchanged, so places are counted from them, not from the text's start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_BLANKS: Final = b" \t\r\n;"
_COMMENT: Final = b"-/"  # what one begins with, and no literal does
TEXT: Final = -1  # the text's own start or end


@dataclass(frozen=True, slots=True)
class Margins:
    """The statement begins `lead` bytes behind part `first` (TEXT: behind the text's start), and ends `trail` bytes
    before part `last` (TEXT: before the text's end). `said`: numbers of the parts that are comments around it.
    """

    first: int
    lead: int
    last: int
    trail: int
    said: tuple[int, ...]


def margins_of(raw: bytes, offsets: list[int], statement: bytes) -> Margins | None:
    """`offsets`: start and end of each literal and comment. None for a statement that isn't in the text."""
    start = raw.find(statement)
    if start < 0:
        return None
    end = start + len(statement)
    count = len(offsets) // 2
    before = [number for number in range(count) if offsets[2 * number + 1] <= start]
    behind = [number for number in range(count) if offsets[2 * number] >= end]
    first = before[-1] if before else TEXT
    last = behind[0] if behind else TEXT
    lead = start - (offsets[2 * first + 1] if before else 0)
    trail = (offsets[2 * last] if behind else len(raw)) - end
    return Margins(first, lead, last, trail, said_around(raw, offsets))


def said_around(raw: bytes, offsets: list[int]) -> tuple[int, ...]:
    """Numbers of the comments before the first word and behind the last, in the order of the text."""
    leading: list[int] = []
    trailing: list[int] = []
    done = 0
    for number in range(len(offsets) // 2):
        start, end = offsets[2 * number], offsets[2 * number + 1]
        if raw[start] not in _COMMENT or raw[done:start].strip(_BLANKS):
            break
        leading.append(number)
        done = end
    done = len(raw)
    for number in range(len(offsets) // 2 - 1, -1, -1):
        start, end = offsets[2 * number], offsets[2 * number + 1]
        if number in leading or raw[start] not in _COMMENT or raw[end:done].strip(_BLANKS):
            break
        trailing.append(number)
        done = start
    return (*leading, *reversed(trailing))
