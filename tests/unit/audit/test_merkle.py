"""Roots and paths, held against the recursive definition of RFC 9162 with our leaves."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.merkle import path_of, root_by, root_of

LEAVES = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=70)


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def defined_root(leaves: list[bytes]) -> bytes:
    """MTH(D[n]): split at the greatest power of two below n."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node(defined_root(leaves[:split]), defined_root(leaves[split:]))


def leaves_of(count: int) -> list[bytes]:
    return [hashlib.sha256(b"%d" % number).digest() for number in range(count)]


@given(LEAVES)
def test_the_root_is_the_defined_one(leaves: list[bytes]) -> None:
    assert root_of(leaves) == defined_root(leaves)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9, 31, 33, 100])
def test_every_leaf_has_a_short_path_to_the_root(count: int) -> None:
    leaves = leaves_of(count)
    root = root_of(leaves)
    for index, leaf in enumerate(leaves):
        path = path_of(leaves, index)
        assert len(path) <= (count - 1).bit_length()
        assert root_by(leaf, index, count, path) == root


@given(LEAVES, st.data())
def test_no_other_leaf_place_or_path_leads_there(leaves: list[bytes], data: st.DataObject) -> None:
    leaves = list(dict.fromkeys(leaves))  # equal leaves stand for each other
    root = root_of(leaves)
    index = data.draw(st.integers(0, len(leaves) - 1))
    path = path_of(leaves, index)
    assert root_by(bytes(32), index, len(leaves), path) != root or leaves[index] == bytes(32)
    for other in range(len(leaves)):
        if other != index:
            assert root_by(leaves[index], other, len(leaves), path) != root
    assert root_by(leaves[index], index, len(leaves), [*path, bytes(32)]) is None
    if path:
        assert root_by(leaves[index], index, len(leaves), path[:-1]) is None
        assert root_by(leaves[index], index, len(leaves), [bytes(32), *path[1:]]) != root or path[0] == bytes(32)


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_a_place_outside_the_tree_leads_nowhere(index: int, size: int) -> None:
    assert root_by(bytes(32), index, size, []) is None
