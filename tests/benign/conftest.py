"""A pgwarden of its own before the sample shop, and clients of it and of the copies."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.benign.asking import Asker
from tests.benign.copies import make_copies
from tests.fix_pgwarden import run_pgwarden
from tests.fix_servers import TestServer


@pytest.fixture(scope="session")
def asker(server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    copies = make_copies(server)
    databases = {"shop": {"upstream": server.gateway_dsn(copies.shop)}}
    with run_pgwarden(tmp_path_factory.mktemp("benign"), server, databases=databases) as instance:
        yield Asker(
            {
                "ada": instance.dsn("ada"),
                "wes": instance.dsn("wes"),
                "admin": instance.dsn("admin"),
                "sanitized": server.gateway_dsn(copies.sanitized),
                "plain": server.gateway_dsn(copies.plain),
            },
            (copies.shop, copies.sanitized, copies.plain),
        )
        assert instance.faults() == []
