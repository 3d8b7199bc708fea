"""Whether an answer is the copy's: the same columns, rows and SQLSTATE."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import Enum

_LENGTH = struct.Struct("!i")
_COLUMN = struct.Struct("!IhIhih")
_RECORD, _RECORD_ARRAY, _FIRST_USER_OID = 2249, 2287, 16384
_REFUSALS = ("42501", "0A000")
_UNREAD = "(rule pgwarden/parse)"  # PostgreSQL's parser, as a library, doesn't read it: refused, though as 42601
_TIMEOUT = "57014"
# Errors that a value causes: where one plan meets it, another need not.
_OF_VALUES = ("22", "21", "23", "54")


class Verdict(Enum):
    ROWS = "rows"  # the same, at least one
    EMPTY = "empty"
    ERROR = "error"  # the same SQLSTATE
    REFUSED = "refused"
    TIMEOUT = "timeout"  # on either side: nothing is compared
    UNDETERMINED = "undetermined"  # PostgreSQL leaves open whether the error comes: see docs/fuzz.md
    DIFFERENT = "different"
    LEAK = "leak"


@dataclass(slots=True)
class Reply:
    """One statement's answer, sorted. `columns` are (name, type OID, format)."""

    columns: list[tuple[bytes, int, int]] = field(default_factory=list)
    rows: list[bytes] = field(default_factory=list)
    tags: list[bytes] = field(default_factory=list)
    error: dict[str, str] = field(default_factory=dict)

    @property
    def sqlstate(self) -> str:
        return self.error.get("C", "")


def read_reply(answer: bytes) -> Reply:
    reply, at, size = Reply(), 0, len(answer)
    while at < size:
        kind, end = answer[at], at + 1 + _LENGTH.unpack_from(answer, at + 1)[0]
        match kind:
            case 68:  # D
                reply.rows.append(answer[at + 5 : end])
            case 84:  # T
                reply.columns = _columns(answer[at + 5 : end])
            case 67:  # C
                reply.tags.append(answer[at + 5 : end])
            case 69:  # E
                reply.error = reply.error or _fields(answer[at + 5 : end])
        at = end
    return reply


def _columns(body: bytes) -> list[tuple[bytes, int, int]]:
    found, at = [], 2
    for _ in range(int.from_bytes(body[:2], "big")):
        end = body.index(b"\0", at)
        _, _, type_oid, _, _, form = _COLUMN.unpack_from(body, end + 1)
        found.append((body[at:end], type_oid, form))
        at = end + 1 + _COLUMN.size
    return found


def _fields(body: bytes) -> dict[str, str]:
    return {part[:1].decode(): part[1:].decode("utf-8", "replace") for part in body.split(b"\0") if part}


def judge(ours: Reply, copy: Reply, *, is_ordered: bool = False) -> Verdict:
    """Without regard to canaries and to what the twin says."""
    state = ours.sqlstate
    if _TIMEOUT in (state, copy.sqlstate):
        return Verdict.TIMEOUT
    if (state in _REFUSALS or _UNREAD in ours.error.get("M", "")) and state != copy.sqlstate:
        return Verdict.DIFFERENT if ours.rows else Verdict.REFUSED
    if state or copy.sqlstate:
        return Verdict.ERROR if state == copy.sqlstate else Verdict.DIFFERENT
    if difference(ours, copy, is_ordered=is_ordered):
        return Verdict.DIFFERENT
    return Verdict.ROWS if ours.rows else Verdict.EMPTY


def may_be_undetermined(ours: Reply, copy: Reply) -> bool:
    """Whether an error of values on one side, or another one on the other, is all that differs."""
    states = {ours.sqlstate, copy.sqlstate}
    return len(states) == 2 and all(not state or state[:2] in _OF_VALUES for state in states)


def is_same(one: Reply, other: Reply) -> bool:
    return one.sqlstate == other.sqlstate and (bool(one.sqlstate) or not difference(one, other))


def difference(ours: Reply, copy: Reply, *, is_ordered: bool = False) -> str:
    """In what they differ, in words; empty when in nothing. Rows in any order, but with `is_ordered`."""
    if ours.sqlstate != copy.sqlstate:
        return f"{_error(ours)} here, {_error(copy)} on the copy"
    if ours.sqlstate:
        return ""
    if ours.columns != copy.columns and not _are_same_columns(ours, copy):
        return f"columns {ours.columns} here, {copy.columns} on the copy"
    if ours.tags != copy.tags:
        return f"{ours.tags} here, {copy.tags} on the copy"
    if ours.rows == copy.rows or (not is_ordered and sorted(ours.rows) == sorted(copy.rows)):
        return ""
    if is_ordered and sorted(ours.rows) == sorted(copy.rows):
        return f"the rows' order: {ours.rows[:40]} here, {copy.rows[:40]} on the copy"
    mine, theirs = sorted(ours.rows), sorted(copy.rows)
    first = next((pair for pair in zip(mine, theirs, strict=False) if pair[0] != pair[1]), ("one is longer",))
    return f"{len(mine)} rows here, {len(theirs)} on the copy; {first}"


def _error(reply: Reply) -> str:
    return f"{reply.sqlstate} {reply.error.get('M', '')}" if reply.error else f"{len(reply.rows)} rows"


def _are_same_columns(ours: Reply, copy: Reply) -> bool:
    """A guard's whole row is an anonymous record: its type need not be the table's row type."""
    return len(ours.columns) == len(copy.columns) and all(
        mine[0] == theirs[0]
        and mine[2] == theirs[2]
        and (mine[1] in (theirs[1], _RECORD) or (mine[1] == _RECORD_ARRAY and theirs[1] >= _FIRST_USER_OID))
        for mine, theirs in zip(ours.columns, copy.columns, strict=True)
    )
