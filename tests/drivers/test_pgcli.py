"""pgcli: the metadata it reads for completion and its way to ask, through its own executor."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.drivers.sanitized import COUNTS
from tests.fix_pgwarden import PATIENCE_S, Pgwarden

pgexecute = pytest.importorskip("pgcli.pgexecute", reason="pgcli isn't installed")
refresher = pytest.importorskip("pgcli.completion_refresher", reason="pgcli isn't installed")
PGSpecial = pytest.importorskip("pgspecial.main", reason="pgcli isn't installed").PGSpecial

EVERYBODY = ["admin", "ada", "wes"]


def executor(dsn: str) -> Any:
    url = urlsplit(dsn)
    return pgexecute.PGExecute(url.path[1:], url.username, url.password, url.hostname, url.port)


@pytest.fixture
def direct(pgwarden: Pgwarden) -> Iterator[Any]:
    made = executor(pgwarden.direct_dsn)
    yield made
    made.conn.close()


@pytest.fixture(params=EVERYBODY)
def through(request: pytest.FixtureRequest, pgwarden: Pgwarden) -> Iterator[Any]:
    made = executor(pgwarden.dsn(request.param))
    yield made
    made.conn.close()


@pytest.mark.parametrize(
    "name", ["schemata", "tables", "views", "table_columns", "view_columns", "foreignkeys", "functions", "datatypes"]
)
def test_what_completion_reads(through: Any, direct: Any, name: str) -> None:
    """As the server says, but for what is blocked, and for masked columns' defaults, which may quote data."""
    seen, expected = (sorted(map(told, getattr(asked, name)())) for asked in (through, direct))
    if through.user != "admin":
        assert not [text for text in seen if is_hidden(text)]
        expected = sorted(without_default(text) for text in expected if not is_hidden(text))
    assert seen == expected
    assert expected


def told(found: Any) -> str:
    """Functions are objects without a readable form."""
    return repr(found if isinstance(found, str | tuple) else vars(found))


def is_hidden(text: str) -> bool:
    """A blocked table, a blocked column, a function that isn't granted."""
    return any(name in text for name in ("salaries", "card_number", "safe_report"))


def without_default(text: str) -> str:
    if text.startswith(("('shop', 'customers', 'preferences'", "('shop', 'customers', 'tags'")):
        return text[: text.index("True,")] + "True, None)"
    return text


def test_completion_refreshes(through: Any) -> None:
    """Its own background thread, with a connection of its own."""
    done: queue.Queue[Any] = queue.Queue()
    refresher.CompletionRefresher().refresh(through, PGSpecial(), done.put)
    completer = done.get(timeout=PATIENCE_S)
    assert "customers" in completer.dbmetadata["tables"]["shop"]
    assert ("salaries" in completer.dbmetadata["tables"]["shop"]) == (through.user == "admin")
    assert "email" in completer.dbmetadata["tables"]["shop"]["customers"]


def test_databases_and_casing(through: Any, direct: Any) -> None:
    assert through.search_path() == direct.search_path()
    assert set(through.databases()) <= set(direct.databases())
    assert not [word for word in through.casing() if is_hidden(word.lower()) and through.user != "admin"]


def test_its_way_to_ask(through: Any) -> None:
    asked = "SELECT count(*) FROM shop.customers; SELECT email FROM shop.customers WHERE id = 1"
    (_, counted, _, _, *_), (_, emails, headers, status, *_) = list(through.run(asked))
    assert (list(counted), headers, status) == ([(COUNTS[through.user],)], ["email"], "SELECT 1")
    assert ("***" in next(iter(emails))[0]) == (through.user != "admin")
    if through.user != "admin":
        (refused,) = list(through.run("SELECT * FROM shop.salaries", on_error_resume=True, exception_formatter=str))
        assert "tables.block[0]" in str(refused)


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("\\d", "Schema"),
        ("\\d shop.customers", "email"),
        ("\\dt shop.*", "customers"),
        ("\\dv shop.*", "customer_totals"),
        ("\\df shop.*", "safe_report"),
        ("\\dn", "shop"),
        ("\\l", "shop"),
    ],
)
def test_its_special_commands(through: Any, direct: Any, command: str, word: str) -> None:
    shown = answered(through, command)
    assert word in shown or is_hidden(word)
    if through.user != "admin":
        assert not is_hidden(shown)
    elif command != "\\l":  # other tests make databases
        assert shown == answered(direct, command)


def answered(asked: Any, command: str) -> str:
    answers = asked.run(command, pgspecial=PGSpecial())
    return str([(title, list(rows or ()), headers, status) for title, rows, headers, status, *_ in answers])
