"""Token buckets that all workers of one sidecar share: three words each on the board, two of their name and one moment.

What a bucket is, `policies.rates` says. A bucket that is full is nobody's: its place may be taken by another.
"""

from __future__ import annotations

from collections.abc import Sequence

from policies.rates import SECOND_NS, Charge, Empty, next_due
from proxy.board import BUCKET_TRIES, BUCKET_WORDS, BUCKETS, Board, key_of


class SharedBuckets:
    """`policies.rates.Buckets` on a board. A board without room lets nothing begin."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._words = board.buckets
        self._keys: dict[str, tuple[int, int]] = {}
        self._known_at: dict[str, int] = {}  # where each was seen last

    def take(self, charges: Sequence[Charge], statements: int, now_ns: int) -> Empty | None:
        words = self._words
        found: list[tuple[int, int]] = []
        with self._board.buckets_locked():
            for charge in charges:
                at = self._place(charge.name, now_ns)
                due = Empty(charge, SECOND_NS) if at is None else next_due(words[at + 2], charge, statements, now_ns)
                if isinstance(due, Empty):
                    self._let_go(found)
                    return due
                assert at is not None
                found.append((at, words[at + 2]))
                words[at + 2] = due
        return None

    def give_back(self, charges: Sequence[Charge], statements: int) -> None:
        words = self._words
        with self._board.buckets_locked():
            for charge in charges:
                key = self._key(charge.name)
                at = next((place for place in _places(key) if (words[place], words[place + 1]) == key), None)
                if at is not None:
                    words[at + 2] -= statements * charge.interval_ns

    def _let_go(self, found: Sequence[tuple[int, int]]) -> None:
        """What the first buckets gave goes back, as a later one has too little."""
        for at, due_before in reversed(found):
            self._words[at + 2] = due_before

    def _place(self, name: str, now_ns: int) -> int | None:
        """The bucket's first word; it is made where there is none. Under the lock."""
        words, key, free = self._words, self._key(name), None
        known = self._known_at.get(name)
        if known is not None and (words[known], words[known + 1]) == key:
            return known
        for at in _places(key):
            if (words[at], words[at + 1]) == key:
                self._known_at[name] = at
                return at
            if free is None and words[at + 2] <= now_ns:
                free = at
            if words[at] == 0:
                break
        if free is not None:
            words[free], words[free + 1], words[free + 2] = *key, 0
        return free

    def _key(self, name: str) -> tuple[int, int]:
        found = self._keys.get(name)
        if found is None:
            if len(self._keys) >= BUCKETS:
                self._keys.clear()
                self._known_at.clear()
            found = self._keys[name] = key_of(name)
        return found


def _places(key: tuple[int, int]) -> Sequence[int]:
    return [(key[0] + step) % BUCKETS * BUCKET_WORDS for step in range(BUCKET_TRIES)]
