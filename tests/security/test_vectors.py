"""Every way of asking, over the simple and the extended protocol, in text and in binary, as two principals."""

from __future__ import annotations

import pytest

from tests.security.asking import Asker
from tests.security.vector import Vector
from tests.security.vectors import CONVERSATIONS, TEXTS


@pytest.mark.parametrize("vector", TEXTS, ids=lambda vector: vector.name)
def test_text(asker: Asker, vector: Vector) -> None:
    asker.check(vector)


@pytest.mark.parametrize("vector", CONVERSATIONS, ids=lambda vector: vector.name)
def test_conversation(asker: Asker, vector: Vector) -> None:
    asker.check_conversation(vector)
