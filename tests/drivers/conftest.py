"""Fixtures that only the clients' tests need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.drivers.programs import TlsGate
from tests.fix_pgwarden import Pgwarden, run_pgwarden
from tests.fix_servers import TestServer
from tests.unit.net.certificates import Authority


@pytest.fixture(scope="session")
def changing(server18: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pgwarden]:
    """An instance whose policies tests may change; each begins by writing those it needs."""
    with run_pgwarden(tmp_path_factory.mktemp("changing"), server18) as instance:
        yield instance
        assert instance.stop() == 0
        assert instance.faults() == []


@pytest.fixture(scope="session")
def tls_gate(server18: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsGate]:
    folder = tmp_path_factory.mktemp("tls-gate")
    authority = Authority(folder, "authority")
    pair = authority.pair("gate")
    tls = {"mode": "require", "certificate": str(pair.certificate), "key": str(pair.key)}
    with run_pgwarden(tmp_path_factory.mktemp("tls-pgwarden"), server18, tls=tls) as instance:
        yield TlsGate(instance, authority)
        assert instance.stop() == 0
        assert instance.faults() == []
