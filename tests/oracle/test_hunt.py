"""Twenty thousand statements of the wide grammar in processes of their own, and all that ever differed.

`make fuzz` goes on with other seeds; what it finds lands in tests/oracle/counterexamples.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fix_pgwarden import ROOT
from tests.fix_servers import TestServer
from tests.oracle import sqlsmith
from tests.oracle.counterexamples import Counterexample, read_counterexamples, still_wrong
from tests.oracle.hunt import Hunter, Tally, in_batches
from tests.oracle.pipe import Path as Way
from tests.oracle.pipe import Statement
from tests.oracle.sieve import Sieve
from tests.oracle.stand import Stand, open_stand
from tests.oracle.verdict import Verdict
from tests.oracle.wide import statement_of

STATEMENTS = int(os.environ.get("ORACLE_HUNT", "20000"))
SEED = 4
SMITHS = 2000  # a part of them are SELECTs of tables
LEAST_ALLOWED = 0.97
LIMIT_S = 600


@pytest.fixture(scope="module")
def stand(server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    with open_stand(server, tmp_path_factory.mktemp("stand")) as found:
        yield found


@pytest.fixture
def hunter(stand: Stand) -> Iterator[Hunter]:
    found = Hunter(stand, Sieve(stand.canaries))
    yield found
    found.close()


def test_no_statement_of_many_differs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.oracle.run", str(tmp_path), f"--seed={SEED}", "--commit=this"]
    command.append(f"--statements={STATEMENTS}")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    found = (tmp_path / "findings.jsonl").read_text("utf-8")
    assert not found, f"{found[:4000]}\nmake fuzz SEED={SEED} shrinks them"
    assert done.returncode == 0, done.stderr[-4000:]
    verdicts = _sum_of_verdicts(tmp_path)
    total = sum(verdicts.values())
    assert total == STATEMENTS
    assert verdicts["rows"] > total / 2  # else the grammar only compares errors
    assert 1 - verdicts["refused"] / total >= LEAST_ALLOWED, done.stdout
    assert verdicts.get("undetermined", 0) + verdicts.get("timeout", 0) < total / 1000, done.stdout


@pytest.mark.skipif(not sqlsmith.PROGRAM.exists(), reason="Debian's package sqlsmith isn't installed")
def test_no_statement_of_sqlsmith_differs(stand: Stand, hunter: Hunter) -> None:
    statements = sqlsmith.generated(sqlsmith.prepared(stand.copy_dsn), SEED, SMITHS)
    found = [finding for batch in in_batches(statements) for finding in hunter.hunt(batch)]
    assert found == []
    assert hunter.tally.statements > SMITHS / 10
    assert hunter.tally.allowed >= LEAST_ALLOWED, hunter.tally.refusals
    assert hunter.tally.verdicts["rows"] + hunter.tally.verdicts["empty"] > hunter.tally.statements / 3


def _sum_of_verdicts(folder: Path) -> dict[str, int]:
    found: dict[str, int] = {}
    for place in folder.glob("worker-*.json"):
        for name, count in json.loads(place.read_text())["verdicts"].items():
            found[name] = found.get(name, 0) + count
    return found


@pytest.mark.parametrize("example", read_counterexamples(), ids=lambda example: example.name)
def test_what_once_differed_does_no_more(hunter: Hunter, example: Counterexample) -> None:
    assert not still_wrong(hunter, example), example.sql


def test_a_leak_and_a_difference_are_seen(stand: Stand, hunter: Hunter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the door of somebody from whom nothing is hidden."""
    opened = Stand.open
    monkeypatch.setattr(Stand, "open", lambda self, door: opened(self, "root" if door == "shop" else door))
    texts = ("SELECT ssn FROM shop.customers", "SELECT count(*) FROM shop.orders", "SELECT 1 FROM shop.regions")
    found = hunter.hunt([Statement(n, text, Way.BINARY) for n, text in enumerate(texts)])
    assert [(f.statement.number, f.verdict) for f in found] == [(0, Verdict.LEAK), (1, Verdict.DIFFERENT)]


def test_an_error_that_only_hidden_rows_cause_is_no_open_question(hunter: Hunter) -> None:
    """Were it told, it would be a difference: the copy can't fail under any plan."""
    hidden = int(hunter.stand.canaries.values["hidden order 2 id"])
    statement = Statement(0, f"SELECT 1 / (id - {hidden}) FROM shop.orders", Way.TEXT)
    assert hunter.hunt([statement]) == []
    assert hunter.tally.verdicts == {"rows": 1}


def test_a_statement_comes_again_by_its_number() -> None:
    assert statement_of(5, 17) == statement_of(5, 17)
    assert len({statement_of(5, number).sql for number in range(300)}) > 290


def test_a_tally_counts_refusals_by_reason(hunter: Hunter) -> None:
    refused = [Statement(n, f"SELECT pg_sleep({n})", Way.SIMPLE) for n in range(2)]
    hunter.hunt([*refused, Statement(3, "SELECT card_number FROM shop.payments", Way.TEXT)])
    tally: Tally = hunter.tally
    assert tally.verdicts["refused"] + tally.verdicts["error"] == 3
    assert max(tally.refusals.values()) == 2
