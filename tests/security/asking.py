"""Asks a vector over every path and holds what comes back against what must."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from tests.security.canary_shop import CanaryShop
from tests.security.raw_client import BINARY, Answer, RawClient, Value
from tests.security.vector import Allowed, Refused, Vector

_RECORD, _RECORD_ARRAY, _FIRST_USER_OID = 2249, 2287, 16384
_READERS = frozenset({"ada", "copy"})
_GUESS = re.compile(r"@\[([^\]]+)\]")

PATHS = ("simple", "text", "binary", "simple again", "text again", "binary again")

Opener = Callable[[str], RawClient]


@dataclass
class Asker:
    """`open_link` connects a user through the gateway. Links are kept as long as they work."""

    shop: CanaryShop
    open_link: Opener
    links: dict[str, RawClient] = field(default_factory=dict)

    def link(self, user: str) -> RawClient:
        if user not in self.links:
            self.links[user] = self.shop.copy() if user.startswith("copy") else self.open_link(user)
        return self.links[user]

    def close(self) -> None:
        for link in self.links.values():
            link.close()
        self.links.clear()

    def answers(self, user: str, sql: str) -> list[Answer]:
        """The simple protocol's answer, then the extended protocol's in text and in binary, and all of them again: a
        text that is known goes another way.

        What somebody does who may write is rolled back, so that the shop stays as it is.
        """
        link = self.link(user)
        link.seen.clear()
        try:
            simple, extended = partial(link.simple, sql), partial(link.extended, sql)
            asks = (simple, extended, partial(extended, result=BINARY))
            if user == "copy":
                return 2 * [ask() for ask in asks]  # a server goes no other way
            return [ask() if user in _READERS else _undone(link, ask) for ask in 2 * asks]
        except OSError:
            self.links.pop(user)
            raise

    def written(self, sql: str) -> str:
        """With guesses filled in."""
        return _GUESS.sub(lambda match: self.shop.canaries.values[match[1]], sql)

    def leaks(self, seen: bytes, sql: str) -> set[str]:
        """Labels of canaries in `seen` that the client didn't say itself."""
        found = self.shop.canaries.found_in(seen)
        return found - self.shop.canaries.found_in(sql.encode()) if found else found

    def check(self, vector: Vector) -> None:
        """Raises AssertionError with what leaked or differed."""
        assert isinstance(vector.ask, str)
        sql = self.written(vector.ask)
        user = vector.user
        answers = self.answers(user, sql)
        self._require_clean(user, sql)
        match vector.expected:
            case Refused() as refused:
                for answer in answers:
                    assert refused.holds(answer.sqlstate), f"{answer.error or answer.rows[:3]}"
                    assert (answer.rows, answer.copied) == ([], [])
            case Allowed.SAME | Allowed.ORDERED:
                copy = "copy" if user == "ada" else f"copy of {user}"
                self._compare(answers, self.answers(copy, sql), is_ordered=vector.expected is Allowed.ORDERED)
        self.answers("max", sql)
        self._require_clean("max", sql)

    def check_conversation(self, vector: Vector) -> None:
        """Like `check`, for vectors that speak for themselves; each on connections of its own."""
        assert not isinstance(vector.ask, str)
        for user in ("max", vector.user):
            link = self.open_link(user)
            try:
                link.seen.clear()
                answers = vector.ask(link)
                leaked = self.leaks(bytes(link.seen), "")
                assert not leaked, f"{user} saw {sorted(leaked)[:5]}"
            finally:
                link.close()
        self._judge(vector, answers)

    def _judge(self, vector: Vector, answers: list[Answer]) -> None:
        match vector.expected:
            case Refused() as refused:
                assert refused.holds(answers[-1].sqlstate), f"{answers[-1].error or answers[-1].rows[:3]}"
                assert (answers[-1].rows, answers[-1].copied) == ([], [])
            case Allowed.SAME | Allowed.ORDERED:
                assert not isinstance(vector.ask, str)
                with self.shop.copy() as copy:
                    plain = vector.ask(copy)
                for number, (mine, yours) in enumerate(zip(answers, plain, strict=True)):
                    found = difference(mine, yours, is_ordered=vector.expected is Allowed.ORDERED)
                    assert not found, f"answer {number}: {found}"
                    assert (mine.tags, mine.kinds.count(b"s")) == (yours.tags, yours.kinds.count(b"s"))

    def _require_clean(self, user: str, sql: str) -> None:
        leaked = self.leaks(bytes(self.link(user).seen), sql)
        assert not leaked, f"{user} saw {sorted(leaked)[:5]}"

    def _compare(self, answers: list[Answer], plain_answers: list[Answer], *, is_ordered: bool) -> None:
        for path, answer, plain in zip(PATHS, answers, plain_answers, strict=True):
            found = difference(answer, plain, is_ordered=is_ordered)
            assert not found, f"{path}: {found}"


def _undone(link: RawClient, ask: Callable[[], Answer]) -> Answer:
    link.simple("BEGIN")
    answer = ask()
    link.simple("ROLLBACK")
    return answer


def difference(answer: Answer, plain: Answer, *, is_ordered: bool) -> str:
    """In what an answer isn't the one of the copy; empty when it is the same."""
    if answer.sqlstate[:2] != plain.sqlstate[:2]:
        return f"SQLSTATE {answer.error or 'none'} here, {plain.error or 'none'} on the copy"
    if answer.sqlstate:
        return ""
    if answer.columns != plain.columns or not _are_same_types(answer.type_oids, plain.type_oids):
        return f"columns {answer.columns} {answer.type_oids} here, {plain.columns} {plain.type_oids} on the copy"
    if answer.copied != plain.copied and (is_ordered or sorted(answer.copied) != sorted(plain.copied)):
        return f"{len(answer.copied)} pieces copied here, {len(plain.copied)} on the copy"
    ours, theirs = answer.rows, plain.rows
    if not is_ordered:
        ours, theirs = sorted(ours, key=repr), sorted(theirs, key=repr)
    if ours == theirs:
        return ""
    return f"{len(ours)} rows here, {len(theirs)} on the copy; {_first_difference(ours, theirs)}"


def _are_same_types(ours: list[int], theirs: list[int]) -> bool:
    """A guard's whole row is an anonymous record: its columns need not be those of the table's row type."""
    return len(ours) == len(theirs) and all(
        mine in (yours, _RECORD) or (mine == _RECORD_ARRAY and yours >= _FIRST_USER_OID)
        for mine, yours in zip(ours, theirs, strict=True)
    )


def _first_difference(ours: list[tuple[Value, ...]], theirs: list[tuple[Value, ...]]) -> str:
    for mine, yours in zip(ours, theirs, strict=False):
        if mine != yours:
            return f"first: {mine!r} here, {yours!r} on the copy"
    return "one is longer"
