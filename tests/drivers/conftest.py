"""Fixtures that only the clients' tests need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fix_pgwarden import Pgwarden, run_pgwarden
from tests.fix_servers import TestServer


@pytest.fixture(scope="session")
def changing(server18: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pgwarden]:
    """An instance whose policies tests may change; each begins by writing those it needs."""
    with run_pgwarden(tmp_path_factory.mktemp("changing"), server18) as instance:
        yield instance
        assert instance.stop() == 0
        assert instance.faults() == []
