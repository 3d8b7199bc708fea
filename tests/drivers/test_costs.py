"""Costs through a running pgwarden: price lists, the planner's share, roll-ups, what `pgwarden cost` says of them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from tests.fix_pgwarden import Pgwarden, run_pgwarden, until
from tests.fix_servers import TestServer

POLICIES = """
principals:
  - {user: admin, tenant: hq, team: operations, roles: [admin], auth: {scram: "@admin@"}}
  - {user: ada, tenant: acme, team: finance, roles: [analyst], auth: {scram: "@ada@"}}
policies:
  - name: administrators
    subjects: {roles: [admin]}
    statements: [all]
    tables: {allow: ["*.*"]}
    functions: {allow: ["*"]}
  - name: analysts
    subjects: {roles: [analyst]}
    statements: [select]
    tables: {allow: ["shop.*"]}
prices:
  - {name: old, until: 2020-01-01, per_second: 1000000, currency: EUR}
  - {name: new, from: 2020-01-01, per_million_plan_units: 1000, currency: EUR}
"""
DEAR = "SELECT count(*) FROM shop.customers AS a, shop.products AS b WHERE a.id > %s"


@pytest.fixture(scope="module")
def priced(server18: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pgwarden]:
    with run_pgwarden(tmp_path_factory.mktemp("costs"), server18, policies=POLICIES) as instance:
        yield instance
        assert instance.stop() == 0
        assert instance.faults() == []


def rows(instance: Pgwarden, *arguments: str) -> list[dict[str, Any]]:
    result = instance.run("cost", *arguments, "--json")
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_statements_are_priced_by_the_list_of_now_and_the_planner(priced: Pgwarden) -> None:
    def priced_outcomes() -> list[dict[str, Any]]:
        connection.execute(DEAR % 1)
        return priced.records("stage = 'outcome' AND \"user\" = 'ada' AND plan_units > 0")

    with psycopg.connect(priced.dsn("ada"), autocommit=True) as connection:
        connection.execute(DEAR % 0)
        first = until(priced_outcomes, "an outcome with the planner's estimate")[0]
        with pytest.raises(psycopg.Error):
            connection.execute("SELECT * FROM hidden.place")
    assert first["cost"] == Decimal(first["plan_units"]) / 1000
    assert first["currency"] == "EUR"

    store = "SELECT coalesce(sum(cost), 0), count(*) FROM pgwarden.records WHERE stage = 'outcome' AND \"user\" = 'ada'"
    until(lambda: rows(priced, "top", "--by", "user") and _agrees(priced, store), "roll-ups of all of it")

    (ada,) = [line for line in rows(priced, "top", "--by", "user") if line["user"] == "ada" and line["statements"]]
    (team,) = [line for line in rows(priced, "top", "--by", "team") if line["team"] == "finance" and line["statements"]]
    assert (ada["cost"], ada["statements"]) == (team["cost"], team["statements"])
    assert sum(line["denied"] for line in rows(priced, "top", "--tenant", "acme")) == 1
    tables = {line["table"]: Decimal(line["cost"]) for line in rows(priced, "top", "--by", "table", "--tenant", "acme")}
    assert tables["shop.customers"] == tables["shop.products"] > 0
    assert rows(priced, "trend", "--user", "ada")[-1]["cost"] == ada["cost"]


def _agrees(instance: Pgwarden, store: str) -> bool:
    with psycopg.connect(instance.store_dsn) as connection:
        cost, count = connection.execute(store.encode()).fetchone() or (0, 0)
    lines = [line for line in rows(instance, "top") if line["user"] == "ada" and line["statements"]]
    return [(Decimal(line["cost"]), line["statements"]) for line in lines] == [(cost, count)]


def test_people_see_tables_and_bars(priced: Pgwarden) -> None:
    shown = priced.run("cost", "top", "--by", "workload")
    assert shown.returncode == 0, shown.stderr
    assert "Costs by workload" in shown.stdout
    assert "EUR" in shown.stdout
    chart = priced.run("cost", "trend", "--since", "2h", "--per", "hour")
    assert "█" in chart.stdout
    told = priced.run("cost", "show", "user", "ada")
    assert "costliest statements" in told.stdout
    assert "SELECT count(*) FROM shop.customers AS a, shop.products AS b" in told.stdout
    assert "The roll-ups say what the records say" in priced.run("cost", "check").stdout
    assert "Nothing out of the ordinary" in priced.run("cost", "anomalies").stdout
    listed = list(csv.DictReader(io.StringIO(priced.run("cost", "top", "--by", "shape", "--csv").stdout)))
    assert listed[0]["currency"] == "EUR"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["top", "--by", "colour"], "is nothing that costs are attributed to"),
        (["top", "--since", "1h", "--until", "2h"], "ends before it begins"),
        (["trend", "--since", "soon"], "neither an age"),
        (["anomalies", "--least", "much"], "is no amount"),
    ],
)
def test_wrong_questions_are_told(priced: Pgwarden, arguments: list[str], message: str) -> None:
    result = priced.run("cost", *arguments)
    assert (result.returncode, message in result.stderr) == (2, True), result.stderr
