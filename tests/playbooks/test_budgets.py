"""Statements under a budget: the NOTICE, the refusal, the wait for money, and what is never held up."""

from __future__ import annotations

import pytest

from audit.record import Stage
from policies.budgets import NANO, Budget, BudgetSubject, OnExceeded, Period
from policies.limits import Limit
from policies.model import RuleId, Source
from proxy.purses import CEILING, EMPTY_PURSE_WORDS, ENDS, FINE, SPENT, STATE, WARNED, Purse
from proxy.session.ports import AwaitPurse
from proxy.wire import messages as m
from tests.playbooks.stage import DONE, READY, Play, StageServices, allow, error, extended, kinds, sqlstates

SQL = "select 1"
RULE = RuleId("budgets/user ada/daily", Source("a.yaml", 7, 5))


def services_with(state: int, left: int, on_exceeded: OnExceeded = OnExceeded.STOP) -> tuple[StageServices, memoryview]:
    """`left`: nano-units that may be spent."""
    words = memoryview(bytearray(8 * EMPTY_PURSE_WORDS)).cast("q")
    words[STATE], words[CEILING], words[ENDS] = state, left, 1 << 60
    budget = Budget(
        BudgetSubject.USER,
        "ada",
        Period.DAILY,
        NANO,
        NANO // 2,
        on_exceeded,
        9.0,
        False,
        0,
        100,
        10,
        "UTC",
        "USD",
        RULE,
    )
    services = StageServices({SQL: allow(SQL), "commit": allow("commit", command="commit")})
    services.purses_of["ada"] = (Purse(budget, words, 0, 1, 1, on_exceeded is not OnExceeded.SHADOW),)
    return services, words


@pytest.mark.parametrize("has_lane", [True, False])
def test_a_client_is_warned_once_and_between_messages(has_lane: bool) -> None:
    services, _ = services_with(WARNED, 1000)
    play = Play(services, has_lane=has_lane).open()
    play.client_hears()
    heard = []
    for _ in range(3):
        play.client(m.Query(SQL.encode())).server(DONE, READY)
        heard.append(kinds(play.client_hears()))
    assert heard[0] == ["CommandComplete", "NoticeResponse", "ReadyForQuery"]
    assert heard[1:] == [["CommandComplete", "ReadyForQuery"]] * 2


def test_a_spent_budget_refuses_but_never_a_commit() -> None:
    services, _ = services_with(SPENT, 0)
    play = Play(services).open()
    play.client_hears()
    play.client(m.Query(SQL.encode())).server(error("42601"), READY)
    (refused,) = [one for one in play.client_hears() if isinstance(one, m.ErrorResponse)]
    assert refused.fields["C"] == b"53400"
    assert b"daily budget of user ada is spent" in refused.fields["M"]
    assert services.reached == [Limit.BUDGET]
    play.server_hears()
    play.client(m.Query(b"commit"))
    assert play.server_hears() == [m.Query(b"commit")]


@pytest.mark.parametrize("sent", [(m.Query(SQL.encode()),), extended(SQL)], ids=["simple", "extended"])
def test_a_statement_waits_for_money_that_is_on_its_way(sent: tuple[m.Message, ...]) -> None:
    services, words = services_with(FINE, 0)
    play = Play(services).open()
    play.server_hears()
    play.told()
    play.client(*sent)
    (wait,) = [command for command in play.told() if isinstance(command, AwaitPurse)]
    assert wait.nano == 10
    assert kinds(play.server_hears())[-1:] in ([], ["Describe"], ["Bind"])
    words[CEILING] = 1000
    play.session.purse_looked_at()
    play.collect()
    assert kinds(play.server_hears())[-1] in ("Query", "Execute")
    assert words[EMPTY_PURSE_WORDS - 2] == 10


def test_a_wait_can_be_cancelled() -> None:
    services, _ = services_with(SPENT, 0, OnExceeded.QUEUE)
    play = Play(services).open()
    play.client_hears()
    play.client(m.Query(SQL.encode()))
    assert play.session.is_waiting_for_money
    play.session.wait_cancelled()
    play.collect()
    assert not play.session.is_waiting_for_money
    play.server(error("42601"), READY)
    assert sqlstates(play.client_hears()) == ["57014"]


def test_what_was_reserved_becomes_what_it_cost() -> None:
    services, words = services_with(FINE, 1000)
    play = Play(services).open()
    play.client(m.Query(SQL.encode()))
    used = EMPTY_PURSE_WORDS - 2
    assert words[used] == 10
    play.server(DONE, READY)
    assert words[used] == 0  # the stage's prices are nothing
    assert [record.cost for record in services.records if record.stage is Stage.OUTCOME] == [0]
