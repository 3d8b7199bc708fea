"""The limit of cost: the client waits while the planner is asked, and goes on or is refused."""

from __future__ import annotations

from decimal import Decimal

import pytest

from audit.cost import price_list
from audit.record import Stage, Verdict
from policies.decision import Decision, Effect, Plan
from policies.limits import Limit
from proxy.session.ports import CostQuery, Estimate, EstimateCost
from proxy.wire import messages as m
from tests.playbooks.stage import (
    DONE,
    IN_BLOCK,
    POISON,
    READY,
    Play,
    StageServices,
    allow,
    column,
    error,
    extended,
    limits,
    sqlstates,
)

SQL = "select dear"
HEAD = m.RowDescription((column("x"),))
ANSWER = HEAD, DONE, READY
CHEAP, DEAR = Estimate(1_000_000.0), Estimate(3_000_001.0)


def services_of(**decisions: object) -> StageServices:
    made = {SQL: allow(SQL, limits=limits(cost=3.0)), **decisions}
    return StageServices(made, price_list=price_list(per_million_plan_units=1, currency="USD"))  # type: ignore[arg-type]


def asked(play: Play) -> list[CostQuery]:
    return [command.query for command in play.told() if isinstance(command, EstimateCost)]


def answer(play: Play, estimate: Estimate) -> CostQuery:
    """Answers the one question that was asked."""
    (query,) = asked(play)
    play.session.cost_estimated(query, estimate)
    play.collect()
    return query


def test_the_client_waits_for_the_estimate_and_goes_on() -> None:
    services = services_of()
    play = Play(services).open()
    play.client(m.Query(SQL.encode()), m.Query(b"select 1"))
    assert play.server_hears() == []
    query = answer(play, CHEAP)
    assert (query.database, query.text, query.index, query.types) == ("shop", SQL, 0, ())
    assert query.catalog_version == 1
    assert play.server_hears() == [m.Query(SQL.encode()), m.Query(b"select 1")]
    play.server(*ANSWER, *ANSWER)
    intents = [record for record in services.records if record.stage is Stage.INTENT]
    assert [record.plan_units for record in intents] == [1_000_000, None]
    outcomes = [record for record in services.records if record.stage is Stage.OUTCOME]
    assert [record.cost for record in outcomes] == [Decimal(1), Decimal(0)]


def test_what_is_too_dear_is_refused_without_the_estimate() -> None:
    services = services_of()
    play = Play(services).open()
    play.client(m.Query(SQL.encode()))
    answer(play, DEAR)
    assert play.server_hears() == [m.Query(POISON)]
    play.server(error("42601"), READY)
    assert sqlstates(play.client_hears()) == ["53400"]
    assert b"3000001" not in play.client_bytes
    assert b"3 USD" in play.client_bytes
    record = services.records[-1]
    assert (record.decision, record.plan_units) == (Verdict.DENY, 3_000_001)
    assert services.reached == [Limit.COST]


def test_a_cost_of_exactly_the_limit_passes() -> None:
    play = Play(services_of()).open()
    play.client(m.Query(SQL.encode()))
    answer(play, Estimate(3_000_000.0))
    assert play.server_hears() == [m.Query(SQL.encode())]


@pytest.mark.parametrize("units", [1e300, 2.0**63])
def test_any_estimate_is_a_number(units: float) -> None:
    services = services_of()
    play = Play(services).open()
    play.client(m.Query(SQL.encode()))
    answer(play, Estimate(units))
    assert services.records[-1].plan_units == (1 << 63) - 1
    assert services.reached == [Limit.COST]


def test_what_can_not_be_estimated_is_refused_with_the_reason() -> None:
    play = Play(services_of()).open()
    play.client(m.Query(SQL.encode()))
    answer(play, Estimate(None, "the planner refuses it (42P01)", "Temporary tables"))
    play.server(error("42601"), READY)
    assert b"could not be estimated: the planner refuses it (42P01)" in play.client_bytes
    assert sqlstates(play.client_hears()) == ["53400"]


def test_what_is_known_is_not_asked_again() -> None:
    services = services_of()
    services.estimates[SQL] = CHEAP
    play = Play(services).open()
    play.client(m.Query(SQL.encode()))
    assert asked(play) == []
    assert play.server_hears() == [m.Query(SQL.encode())]


def test_statements_that_have_no_such_limit_are_not_asked_about() -> None:
    play = Play(services_of()).open()
    play.client(m.Query(b"begin"))
    assert asked(play) == []


def test_execute_waits_and_parse_does_not() -> None:
    play = Play(services_of()).open()
    play.client(m.Parse(b"", SQL.encode(), (23, 0)), m.Bind(b"", b""), m.Execute(b""), m.Sync())
    assert [type(x) for x in play.server_hears()] == [m.Parse, m.Bind]
    play.server(m.ParseComplete(), m.BindComplete())
    query = answer(play, CHEAP)
    assert query.types == (23, 0)
    assert play.server_hears() == [m.Execute(b""), m.Sync()]


def test_a_dear_execute_in_a_pipeline_is_refused_in_its_place() -> None:
    play = Play(services_of()).open()
    play.client(*extended("select 1"), *extended(SQL), *extended("select 2"), m.Sync())
    answer(play, DEAR)
    play.server(m.ParseComplete(), m.BindComplete(), HEAD, DONE, m.ParseComplete(), m.BindComplete(), HEAD)
    play.server(error("42601"), READY)
    heard = play.client_hears()
    assert sqlstates(heard) == ["53400"]
    assert heard[-1] == READY
    assert sum(isinstance(x, m.CommandComplete) for x in heard) == 1


def test_each_statement_of_a_text_is_asked_about() -> None:
    text = "select dear; commit; select dear"
    plan = Plan("select", SQL, limits=limits(cost=3.0))
    services = services_of(**{text: lambda sql: Decision(sql, (plan, Plan("commit", "commit"), plan))})
    play = Play(services).open()
    play.client(m.Query(text.encode()))
    assert answer(play, CHEAP).index == 0
    assert play.server_hears() == []
    assert answer(play, CHEAP).index == 2
    assert play.server_hears() == [m.Query(text.encode())]


def by_name(command: str, effect: Effect) -> object:
    return allow(command, command=command, effect=effect, limits=limits(cost=3.0))


def test_what_runs_by_name_is_what_is_asked_about() -> None:
    services = services_of(
        prepare=by_name("prepare", Effect(prepares="s")), execute=by_name("execute", Effect(executes="s"))
    )
    play = Play(services).open()
    play.client(m.Query(b"prepare"))
    assert asked(play) == []
    play.server(m.CommandComplete(b"PREPARE"), READY)
    play.client(m.Query(b"execute"))
    assert answer(play, CHEAP).text == "prepare"
    play.server(*ANSWER)
    play.client(m.Bind(b"", b"s"), m.Execute(b""), m.Sync())
    assert answer(play, CHEAP).text == "prepare"


def test_a_cursor_is_asked_about_when_it_opens() -> None:
    services = services_of(
        declare=by_name("declare", Effect(opens_cursor="c")), fetch=by_name("fetch", Effect(reads_cursor="c"))
    )
    play = Play(services).open()
    play.client(m.Query(b"begin"), m.Query(b"declare"))
    assert answer(play, CHEAP).text == "declare"
    play.server(m.CommandComplete(b"BEGIN"), IN_BLOCK, m.CommandComplete(b"DECLARE CURSOR"), IN_BLOCK)
    play.client(m.Query(b"fetch"))
    assert asked(play) == []


def test_a_portal_that_fetch_runs_is_asked_about() -> None:
    services = services_of(fetch=by_name("fetch", Effect(reads_cursor="p")))
    play = Play(services).open()
    play.client(m.Query(b"begin"))
    play.server(m.CommandComplete(b"BEGIN"), IN_BLOCK)
    play.client(m.Parse(b"", SQL.encode()), m.Bind(b"p", b""), m.Sync())
    play.server(m.ParseComplete(), m.BindComplete(), IN_BLOCK)
    play.client(m.Query(b"fetch"))
    assert answer(play, DEAR).text == SQL
    assert play.server_hears()[-1] == m.Query(POISON)


def test_a_client_that_leaves_meanwhile_is_forgotten() -> None:
    services = services_of()
    play = Play(services).open()
    play.client(m.Query(SQL.encode()))
    (query,) = asked(play)
    play.session.client_lost()
    play.session.cost_estimated(query, CHEAP)
    play.collect()
    assert play.server_hears() == []
    assert [record for record in services.records if record.stage is Stage.INTENT] == []


def test_an_answer_to_another_question_changes_nothing() -> None:
    play = Play(services_of()).open()
    play.client(m.Query(SQL.encode()))
    play.session.cost_estimated(CostQuery("shop", 9, (), "other", 0), CHEAP)
    play.collect()
    assert play.server_hears() == []
    answer(play, CHEAP)
    assert play.server_hears() == [m.Query(SQL.encode())]
