"""Policies hold on links that sessions share: ways of asking, and what tools send, over one pool for all users."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.benign.cases import TOOLS, cases_of
from tests.fix_pgwarden import Pgwarden, run_pgwarden
from tests.fix_servers import TestServer
from tests.security.asking import Asker
from tests.security.canary_shop import CanaryShop, connect, policy_text
from tests.security.raw_client import RawClient
from tests.security.vector import Vector
from tests.security.vectors import CONVERSATIONS, TEXTS

# One vector in so many: each is asked elsewhere on a link of its own, six times.
_TEXTS, _CONVERSATIONS = 60, 15


@pytest.fixture(scope="module")
def pooled_gateway(
    server: TestServer, canary_shop: CanaryShop, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pgwarden]:
    """Few links: whoever has pinned one ends with its vector."""
    pool = {"mode": "transaction", "size": 4, "wait": "20s"}
    databases = {"shop": {"upstream": canary_shop.dsn, "pool": pool}}
    folder = tmp_path_factory.mktemp("pooled-canaries")
    with run_pgwarden(folder, server, policies=policy_text(), databases=databases) as instance:
        yield instance
        assert instance.stop() == 0
        assert instance.faults() == []


@pytest.fixture
def pooled_asker(canary_shop: CanaryShop, pooled_gateway: Pgwarden) -> Iterator[Asker]:
    found = Asker(canary_shop, lambda user: connect(pooled_gateway.dsn(user)))
    yield found
    found.close()


@pytest.mark.parametrize("vector", TEXTS[::_TEXTS], ids=lambda vector: vector.name)
def test_text(pooled_asker: Asker, vector: Vector) -> None:
    pooled_asker.check(vector)


@pytest.mark.parametrize("vector", CONVERSATIONS[::_CONVERSATIONS], ids=lambda vector: vector.name)
def test_conversation(pooled_asker: Asker, vector: Vector) -> None:
    pooled_asker.check_conversation(vector)


# What these leave is meant to stay.
_PIN = [
    "dbt: stored failures",
    "dbt: incremental model with a temporary table",
    "dbt: merge of an incremental model",
    "dbt: snapshot of customers",
    "dbt: transaction block",
    "django: server-side cursor",
    "looker: persistent derived table in a temporary schema",
    "pgadmin: session set-up",
    "tableau: temporary table probe",
    "tableau: select into probe",
    "tableau: set of temporary groups",
    "tableau: cursor of the driver",
]


def test_everyday_statements_pin_nothing(pooled_gateway: Pgwarden) -> None:
    """Frameworks, editors and BI tools, as they are: temporary tables, cursors that are held, and settings by a row."""
    before = pins(pooled_gateway)
    pinned = []
    for tool in TOOLS:
        for case in cases_of(tool):
            with connect(pooled_gateway.dsn(case.user)) as client:
                for step in case.steps:
                    ask(client, step.sql, step.parameters)
            if pins(pooled_gateway) > before:
                before = pins(pooled_gateway)
                pinned.append(f"{tool}: {case.name}")
    assert pinned == _PIN


def ask(client: RawClient, sql: str, parameters: tuple[str | None, ...]) -> None:
    if parameters:
        client.extended(sql, tuple(None if value is None else value.encode() for value in parameters))
    else:
        client.simple(sql)


def pins(instance: Pgwarden) -> float:
    lines = instance.get("/metrics")[1].splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("pgwarden_pool_pins_total"))
