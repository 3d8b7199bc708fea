"""Budgets through a running pgwarden: what is spent is counted, warned of and stopped, also after kill -9."""

from __future__ import annotations

import json
import threading
import time
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from tests.fix_pgwarden import POLICIES, MakePgwarden, Pgwarden, until

PRICES = "prices: {per_second: 0.0, per_gib_out: 1000000, currency: USD}\n"  # a byte costs about a thousandth
KIBIBYTE = "SELECT repeat('x', 1024)"


def policies(*budgets: str) -> str:
    lines = "".join(f"  - {{{budget}}}\n" for budget in budgets)
    kept = [line for line in POLICIES.read_text("utf-8").splitlines(keepends=True) if not line.startswith("prices:")]
    return f"{''.join(kept)}\n{PRICES}budgets:\n{lines}"


def connect(instance: Pgwarden, user: str = "ada") -> psycopg.Connection[Any]:
    return psycopg.connect(instance.dsn(user), autocommit=True)


def spend(connection: psycopg.Connection[Any], most: int = 200) -> tuple[int, psycopg.Error | None]:
    """How many statements of about one unit run until one is refused, and how."""
    for count in range(most):
        try:
            connection.execute(KIBIBYTE)
        except psycopg.Error as error:
            return count, error
    return most, None


def spent(instance: Pgwarden, condition: str = "true") -> Decimal:
    return sum((r["cost"] for r in instance.records(f"stage = 'outcome' AND {condition}") if r["cost"]), Decimal(0))


def standing(instance: Pgwarden) -> dict[str, Any]:
    ended = instance.run("budget", "list", "--json")
    assert ended.returncode == 0, ended.stderr
    (found,) = [json.loads(line) for line in ended.stdout.splitlines()]
    return found


def test_a_spent_budget_stops_and_says_when_it_frees_up(make_pgwarden: MakePgwarden) -> None:
    instance = make_pgwarden(policies=policies("user: ada, daily: 20"), workers=2)
    with connect(instance) as connection:
        notices: list[str] = []
        connection.add_notice_handler(lambda notice: notices.append(notice.message_primary or ""))
        count, error = spend(connection)
        assert 18 <= count <= 20
        assert error is not None
        assert error.sqlstate == "53400"
        assert "the daily budget of user ada is spent: 20.00 USD" in str(error)
        assert "frees up at" in (error.diag.message_hint or "")
        assert len(notices) == 1
        assert notices[0].startswith("90 % of the daily budget of user ada are spent")
    with connect(instance, "admin") as other:
        other.execute(KIBIBYTE)
    events = until(lambda: instance.records("shape = 'budget_exceeded'"), "the event")
    assert events[0]["user"] == "ada"
    assert len(instance.records("shape = 'budget_warning'")) == 1
    assert instance.metric('pgwarden_limits_reached_total{limit="budget"}') >= 1
    denied = until(lambda: instance.records("decision = 'deny' AND sqlstate = '53400'"), "the refusal's record")
    assert denied[0]["rule_ids"] == ["budgets/user ada/daily"]


def test_what_was_spent_outlives_kill_9_and_a_restart(make_pgwarden: MakePgwarden) -> None:
    instance = make_pgwarden(policies=policies("tenant: acme, daily: 40, slice: 8"), workers=2)
    with connect(instance) as connection:
        for _ in range(10):
            connection.execute(KIBIBYTE)
        instance.kill()  # at once: the store may know nothing of the last ones
    instance.start()
    with connect(instance) as connection:
        count, error = spend(connection)
    assert error is not None
    assert error.sqlstate == "53400"
    until(lambda: not list((instance.folder / "journal").glob("*.purses"))[1:], "what was killed is settled")
    with connect(instance) as connection:
        count += spend(connection)[0]
    assert 28 <= count <= 31  # each costs a little less than a unit
    assert instance.stop() == 0
    found = standing(instance)
    assert found["budget"] == "tenant acme"
    assert found["leased"] == "0.00"
    assert abs(Decimal(found["spent"]) - spent(instance, "tenant = 'acme'")) <= 1
    assert list((instance.folder / "journal").glob("*.purses")) == []
    table = instance.run("budget", "list").stdout
    assert "tenant acme" in table
    assert "40.00 USD" in table


def test_a_queue_waits_until_there_is_more_and_can_be_cancelled(make_pgwarden: MakePgwarden) -> None:
    text = "user: ada, daily: {}, on_exceeded: queue, wait: 20s"
    instance = make_pgwarden(policies=policies(text.format(5)))
    with connect(instance) as connection:
        began = time.monotonic()
        cancelling = threading.Timer(1.0, connection.cancel)
        cancelling.start()
        count, error = spend(connection)
        cancelling.join()
        assert error is not None
        assert error.sqlstate == "57014"
        assert count < 6
        assert time.monotonic() - began < 15
        raising = threading.Timer(1.0, lambda: instance.write_policies(policies(text.format(50))))
        raising.start()
        connection.execute(KIBIBYTE)
        raising.join()


def test_in_shadow_nothing_is_refused_and_records_say_what_would_be(make_pgwarden: MakePgwarden) -> None:
    instance = make_pgwarden(policies=policies("team: finance, monthly: 3, on_exceeded: shadow"))

    def shadowed() -> list[dict[str, Any]]:
        assert spend(connection, 3) == (3, None)
        return instance.records("shadow_decision = 'deny'")

    with connect(instance) as connection:
        found = until(shadowed, "a record that says so")
    assert found[0]["shadow_rule_ids"] == ["budgets/team finance/monthly"]


@pytest.mark.parametrize(("fail", "is_open"), [("fail: closed", False), ("fail: open, cap: 6", True)])
def test_without_the_store_a_budget_is_closed_or_open_up_to_its_cap(
    make_pgwarden: MakePgwarden, fail: str, is_open: bool
) -> None:
    instance = make_pgwarden(policies=policies(f"user: ada, daily: 100, slice: 4, {fail}"))
    with connect(instance) as connection:
        connection.execute(KIBIBYTE)
        with psycopg.connect(instance.server.dsn("postgres"), autocommit=True) as server:
            server.execute(f'ALTER DATABASE "{instance.store_dsn.rpartition("/")[2]}" ALLOW_CONNECTIONS false'.encode())
            cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
            server.execute(cut.encode(), (instance.store_dsn.rpartition("/")[2],))
        count, error = spend(connection)
    assert error is not None
    assert error.sqlstate == "53400"
    assert "can't be checked" in str(error)
    assert (5 <= count <= 12) if is_open else count <= 5


def test_who_waits_for_money_leaves_the_pools_link_to_others(make_pgwarden: MakePgwarden) -> None:
    text = "user: ada, daily: 5, on_exceeded: queue, wait: 15s"
    instance = make_pgwarden(policies=policies(text), pool={"mode": "transaction", "size": 1})
    with connect(instance) as connection, connect(instance, "admin") as other:
        connection.cursor_factory = psycopg.ClientCursor  # simple queries: an Execute waits behind its Parse
        refused: list[psycopg.Error | None] = []
        waiting = threading.Thread(target=lambda: refused.append(spend(connection)[1]))
        waiting.start()
        until(lambda: instance.records("shape = 'budget_exceeded'"), "somebody waits")
        other.execute("SELECT 1")
        assert not refused
        waiting.join()
    assert refused[0] is not None
    assert refused[0].sqlstate == "53400"
