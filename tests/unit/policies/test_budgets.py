"""What may stand under `budgets`, whom a budget concerns, and what is said of one."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from policies.budgets import NANO, Budget, BudgetIndex, OnExceeded, Period, money, spent, warning
from policies.errors import PolicyFileError
from policies.load import load_texts

FRAME = """\
principals:
  - {user: ada, tenant: acme, team: finance}
prices: {per_second: 0.5, currency: EUR}
budgets:
"""


def loaded(*lines: str, frame: str = FRAME) -> tuple[Budget, ...]:
    text = frame + "".join(f"  - {{{line}}}\n" for line in lines)
    return load_texts({"a.yaml": text.encode()}, {}).budgets


FAULTY = [
    ("tenant: acne, daily: 5", "5:14", "no principal has the tenant 'acne'; did you mean 'acme'?"),
    ("user: bob, daily: 5", "5:12", "no principal has the user 'bob'"),
    ("tenant: acme, user: ada, daily: 5", "5:5", "for one of tenant, team, user and workload"),
    ("daily: 5", "5:5", "for one of tenant, team, user and workload"),
    ("tenant: acme", "5:5", "needs an amount"),
    ("tenant: acme, daily: 0", "5:27", "an amount of money above 0"),
    ("tenant: acme, daily: 4000000001", "5:27", "at most 4000000000"),
    ("tenant: acme, daily: much", "5:27", "not text"),
    ("tenant: acme, daily: 5, warn_at: 90", "5:39", "a share above 0 and up to 1"),
    ("tenant: acme, daily: 5, on_exceeded: stopp", "5:43", "did you mean 'stop'?"),
    ("tenant: acme, daily: 5, wait: 5s", "5:36", "belongs to 'on_exceeded: queue'"),
    ("tenant: acme, daily: 5, on_exceeded: queue, wait: 2h", "5:56", "up to 1h"),
    ("tenant: acme, daily: 5, fail: open", "5:36", "needs a 'cap'"),
    ("tenant: acme, daily: 5, cap: 1", "5:35", "belongs to 'fail: open'"),
    ("tenant: acme, daily: 5, timezone: london", "5:40", "did you mean 'Europe/London'?"),
    ("tenant: acme, weekly: 5", "5:20", "unknown key 'weekly'"),
]


@pytest.mark.parametrize(("line", "place", "words"), FAULTY, ids=[line for line, _, _ in FAULTY])
def test_what_is_wrong_is_named_with_its_place(line: str, place: str, words: str) -> None:
    with pytest.raises(PolicyFileError) as caught:
        loaded(line)
    assert any(str(p).startswith(f"a.yaml:{place}: ") and words in str(p) for p in caught.value.problems)


def test_two_budgets_for_one_subject_are_told() -> None:
    with pytest.raises(PolicyFileError, match="has two budgets"):
        loaded("tenant: acme, daily: 5", "tenant: acme, monthly: 50")


def test_without_prices_nothing_is_ever_spent() -> None:
    with pytest.raises(PolicyFileError, match="need 'prices' above 0"):
        loaded("tenant: acme, daily: 5", frame=FRAME.replace("0.5", "0"))


def test_an_entry_may_have_a_day_and_a_month() -> None:
    daily, monthly = loaded("tenant: acme, daily: 0.1, monthly: 10, warn_at: 0.8, on_exceeded: queue, wait: 5m")
    assert (daily.period, daily.limit, daily.warn) == (Period.DAILY, NANO // 10, 8 * NANO // 100)
    assert (monthly.period, monthly.limit, monthly.slice) == (Period.MONTHLY, 10 * NANO, NANO // 10)
    assert (daily.on_exceeded, daily.wait_s, daily.currency) == (OnExceeded.QUEUE, 300.0, "EUR")
    assert daily.key == "tenant acme/daily"


def test_a_statement_counts_against_all_that_concern_it() -> None:
    every = loaded(
        "tenant: acme, daily: 1", "team: finance, daily: 1", "user: ada, daily: 1", "workload: dbt, daily: 1"
    )
    index = BudgetIndex(every)
    assert index.of("acme", "finance", "ada", "dbt") == every
    assert index.of("acme", "finance", "ada", "dbt model.shop.orders") == every
    assert index.of(None, None, "eve", "psql") == ()


def test_a_budget_changes_what_the_policies_are() -> None:
    texts = [FRAME + f"  - {{tenant: acme, daily: {amount}}}\n" for amount in (1, 2)]
    prints = {load_texts({"a.yaml": text.encode()}, {}).fingerprint for text in texts}
    assert len(prints) == 2


def test_what_clients_read() -> None:
    (budget,) = loaded("tenant: acme, monthly: 12.5")
    frees_at, now = datetime(2026, 12, 1, tzinfo=UTC), datetime(2026, 11, 29, 22, 58, 30, tzinfo=UTC)
    refusal = spent(budget, frees_at, now)
    assert refusal.sqlstate == "53400"
    assert refusal.message == "the monthly budget of tenant acme is spent: 12.50 EUR"
    assert refusal.hint == "It frees up at 2026-12-01 00:00:00 UTC, in 1 d 1 h 2 min."
    assert warning(budget, frees_at).message == "90 % of the monthly budget of tenant acme are spent: it is 12.50 EUR"
    assert [money(nano) for nano in (0, 1, NANO, 1_234_567_891)] == ["0.00", "0.000000001", "1.00", "1.234567891"]
