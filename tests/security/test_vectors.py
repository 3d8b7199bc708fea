"""Every way of asking, over the simple and the extended protocol, in text and in binary, as two principals."""

from __future__ import annotations

import pytest

from policies.compile import Compiler
from tests.fix_canaries import CanaryShop, canary_server, canary_shop
from tests.security.asking import Asker
from tests.security.compiled_link import CompiledLink
from tests.security.vector import Vector
from tests.security.vectors import VECTORS

__all__ = ["canary_server", "canary_shop"]


@pytest.fixture(scope="session")
def asker(canary_shop: CanaryShop) -> Asker:
    compiler = Compiler()
    return Asker(
        canary_shop,
        lambda user: CompiledLink(canary_shop.direct(), compiler, canary_shop.policy(user), canary_shop.catalog),
    )


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_vector(asker: Asker, vector: Vector) -> None:
    asker.check(vector)
