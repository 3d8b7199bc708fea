"""Every way of asking, over the simple and the extended protocol, in text and in binary, as two principals."""

from __future__ import annotations

import pytest

from tests.security.asking import Asker
from tests.security.vector import Vector
from tests.security.vectors import VECTORS


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_vector(asker: Asker, vector: Vector) -> None:
    asker.check(vector)
