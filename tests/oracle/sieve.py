"""Finds canaries in much data quickly: one regular expression for all of them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tests.security.canaries import Canaries

Trie = dict[int, "Trie"]


class Sieve:
    """Tells at once that data holds no canary. What it lets through has to be asked of `Canaries`."""

    def __init__(self, canaries: Canaries) -> None:
        self._canaries = canaries
        self._patterns = re.compile(_expression(canaries.patterns), re.DOTALL)
        self._folded = re.compile(_expression(canaries.folded), re.DOTALL)

    def found_in(self, seen: bytes) -> set[str]:
        """The labels of all canaries in `seen`."""
        if self._patterns.search(seen) or self._folded.search(seen.lower()):
            return self._canaries.found_in(seen)
        return set()


def _expression(words: Iterable[bytes]) -> bytes:
    root: Trie = {}
    ends: set[int] = set()
    for word in sorted(words):
        node = root
        for byte in word:
            if id(node) in ends:  # a shorter word finds it, too
                break
            node = node.setdefault(byte, {})
        else:
            ends.add(id(node))
    return _written(root)


def _written(node: Trie) -> bytes:
    branches = [re.escape(bytes([byte])) + _written(below) for byte, below in node.items()]
    return branches[0] if len(branches) == 1 else b"(?:" + b"|".join(branches) + b")" if branches else b""
