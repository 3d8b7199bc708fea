"""Merkle trees over the hashes of a segment's records: one root, and a short path from any record to it. Pure.

A leaf is a record's hash in the chain, SHA-256 over the hash before it and the record's bytes. A node is SHA-256 over
the byte 1 and its two children; a tree of n leaves splits behind the greatest power of two below n, as RFC 9162 has it.
Nobody can pass a node off as a record: a node's 65 bytes are fewer than any record's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

_NODE = b"\x01"


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root, 32 bytes, over at least one leaf."""
    level = list(leaves)
    while len(level) > 1:
        joined = [_node(left, right) for left, right in zip(level[::2], level[1::2], strict=False)]
        if len(level) % 2:
            joined.append(level[-1])
        level = joined
    return level[0]


def path_of(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The hashes beside the way from leaf `index` up to the root, lowest first."""
    level, path = list(leaves), []
    while len(level) > 1:
        beside = index ^ 1
        if beside < len(level):
            path.append(level[beside])
        joined = [_node(left, right) for left, right in zip(level[::2], level[1::2], strict=False)]
        if len(level) % 2:
            joined.append(level[-1])
        level, index = joined, index // 2
    return path


def root_by(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root that a path leads to from leaf `index` of `size`; None when it has not the right length."""
    if not 0 <= index < size:
        return None
    steps = iter(path)
    current, last = leaf, size - 1
    while last:
        if index % 2 or index < last:
            beside = next(steps, None)
            if beside is None:
                return None
            current = _node(beside, current) if index % 2 else _node(current, beside)
        index, last = index // 2, last // 2
    return current if next(steps, None) is None else None


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(_NODE + left + right).digest()
