"""What a principal may begin: over all sessions, by the minute, and on the real values of masked columns."""

from __future__ import annotations

import pytest

from audit.record import Stage, Verdict
from policies.decision import Decision, Effect, Plan, RawColumn
from policies.limits import Limit
from policies.model import RuleId, Source
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

SQL = "select slow"
HEAD = m.RowDescription((column("x"),))
ROW = m.DataRow((b"1",))
ANSWER = HEAD, ROW, DONE, READY


def services_of(**given: object) -> StageServices:
    return StageServices({SQL: allow(SQL, limits=limits(**given))})


def is_refused(play: Play) -> bool:
    """Whether the statement is refused with 53400 now; a refused one is answered."""
    play.client_hears()
    play.server_hears()
    play.client(m.Query(SQL.encode()))
    heard = play.server_hears()
    if heard == [m.Query(POISON)]:
        play.server(error("42601"), READY)
        assert sqlstates(play.client_hears()) == ["53400"]
        return True
    assert heard == [m.Query(SQL.encode())]
    return False


# at once


def test_sessions_of_one_principal_share_the_count() -> None:
    services = services_of(concurrent=2)
    first, second, third = (Play(services).open() for _ in range(3))
    assert not is_refused(first)
    assert not is_refused(second)
    assert is_refused(third)
    record = services.records[-1]
    assert (record.decision, record.rule_ids, record.sqlstate) == (Verdict.DENY, ("capped/limits.rows",), "53400")
    assert services.reached == [Limit.CONCURRENT]
    first.server(*ANSWER)
    assert not is_refused(third)


def test_the_refusal_tells_what_would_make_it_pass() -> None:
    services = services_of(concurrent=1)
    first, second = Play(services).open(), Play(services).open()
    first.client(m.Query(SQL.encode()))
    second.client(m.Query(SQL.encode()))
    second.server(error("42601"), READY)
    (answer, _) = second.client_hears()
    fields = answer.fields  # type: ignore[union-attr]
    assert b"capped/limits.rows" in fields["M"]
    assert b"p.yaml:3:5" in fields["D"]
    assert b"ended" in fields["H"]


def test_statements_without_the_limit_pass_and_do_not_count() -> None:
    services = services_of(concurrent=1)
    first, second = Play(services).open(), Play(services).open()
    first.client(m.Query(b"commit"))
    assert not is_refused(second)
    first.server(m.CommandComplete(b"COMMIT"), READY)
    first.server_hears()
    first.client(m.Query(b"commit"))
    assert first.server_hears() == [m.Query(b"commit")]


def test_a_pipeline_is_one_at_a_time() -> None:
    services = services_of(concurrent=1)
    play, other = Play(services).open(), Play(services).open()
    play.client(*extended(SQL), *extended(SQL), m.Sync())
    assert sum(isinstance(x, m.Execute) for x in play.server_hears()) == 2
    assert is_refused(other)
    done = m.ParseComplete(), m.BindComplete(), HEAD, ROW, DONE
    play.server(*done, *done)
    assert is_refused(other)
    play.server(READY)
    assert not is_refused(other)


@pytest.mark.parametrize("ending", ["error", "lost", "upstream", "terminate", "collapse", "violation", "fatal"])
def test_nothing_stays_counted_however_it_ends(ending: str) -> None:
    services = services_of(concurrent=1)
    play = Play(services).open()
    assert not is_refused(play)
    match ending:
        case "error":
            play.server(error("22012"), READY)
        case "lost":
            play.session.client_lost()
        case "upstream":
            play.session.upstream_lost()
        case "terminate":
            play.client(m.Terminate())
            play.server(*ANSWER)
        case "collapse":
            play.server(m.CopyOutResponse(0, (0,)))
        case "violation":
            play.client_raw(b"\x01\0\0\0\x04")
            play.server(*ANSWER)
        case "fatal":
            play.server(error("57P01", severity="FATAL"))
    assert services.loads.of("ada", "shop").running == 0


def test_a_pipeline_that_fails_in_the_middle_counts_no_more() -> None:
    services = services_of(concurrent=1)
    play = Play(services).open()
    play.client(*extended(SQL), *extended(SQL), m.Sync())
    play.server(m.ParseComplete(), m.BindComplete(), HEAD, error("22012"), READY)
    assert services.loads.of("ada", "shop").running == 0


def test_a_suspended_portal_does_not_run() -> None:
    services = services_of(concurrent=1)
    play, other = Play(services).open(), Play(services).open()
    play.client(m.Query(b"begin"))
    play.server(m.CommandComplete(b"BEGIN"), IN_BLOCK)
    play.client(m.Parse(b"", SQL.encode()), m.Bind(b"p", b""), m.Execute(b"p", 1), m.Sync())
    play.server(m.ParseComplete(), m.BindComplete(), ROW, m.PortalSuspended(), IN_BLOCK)
    assert not is_refused(other)


# by the minute


def test_statements_are_counted_by_the_minute_over_all_sessions() -> None:
    services = services_of(statements_per_minute=3)
    first, second = Play(services).open(), Play(services).open()
    for play in (first, second, first):
        assert not is_refused(play)
        play.server(*ANSWER)
    assert is_refused(second)
    assert services.reached == [Limit.STATEMENTS_PER_MINUTE]
    services.ticks += 61_000_000
    assert not is_refused(second)


def test_what_was_refused_or_not_recorded_does_not_count() -> None:
    services = services_of(statements_per_minute=1)
    play = Play(services).open()
    services.is_journal_full = True
    play.client(m.Query(SQL.encode()))
    play.server(error("42601"), READY)
    services.is_journal_full = False
    assert not is_refused(play)
    play.server(*ANSWER)
    for _ in range(3):
        assert is_refused(play)
    services.ticks += 61_000_000
    assert not is_refused(play)


def test_every_execute_of_a_prepared_statement_counts() -> None:
    services = services_of(statements_per_minute=2)
    play = Play(services).open()
    play.client(m.Parse(b"s", SQL.encode()), m.Sync())
    play.server(m.ParseComplete(), READY)
    for _ in range(2):
        play.client(m.Bind(b"", b"s"), m.Execute(b""), m.Sync())
        play.server(m.BindComplete(), ROW, DONE, READY)
    play.client_hears()
    play.client(m.Bind(b"", b"s"), m.Execute(b""), m.Sync())
    play.server(m.BindComplete(), error("42601"), READY)
    assert sqlstates(play.client_hears()) == ["53400"]


def test_each_statement_of_a_text_counts() -> None:
    text = "select 1; select 2; commit"
    plan = Plan("select", "select 1", limits=limits(statements_per_minute=3))
    services = services_of(statements_per_minute=3)
    services.decisions[text] = lambda sql: Decision(sql, (plan, plan, Plan("commit", "commit")))
    play = Play(services).open()
    play.client(m.Query(text.encode()))
    assert play.server_hears() == [m.Query(text.encode())]
    play.server(*[HEAD, ROW, DONE] * 2, m.CommandComplete(b"COMMIT"), READY)
    assert not is_refused(play)
    play.server(*ANSWER)
    assert is_refused(play)


# probes

EMAIL = RawColumn("shop.customers.email", 2, RuleId("analysts/masks[0]", Source("p.yaml", 9, 9)))
PHONE = RawColumn("shop.customers.phone", None, RuleId("analysts/masks[1]", Source("p.yaml", 10, 9)))


def probing(**changes: object) -> StageServices:
    return StageServices({SQL: allow(SQL, raw_columns=(EMAIL, PHONE), is_guarded=True, **changes)})


def test_probes_are_recorded_counted_and_capped() -> None:
    services = probing()
    play = Play(services).open()
    for _ in range(2):
        assert not is_refused(play)
        play.server(*ANSWER)
    intents = [r for r in services.records if r.stage is Stage.INTENT]
    assert [r.raw_columns for r in intents] == [("shop.customers.email", "shop.customers.phone")] * 2
    assert services.raw_uses == 4
    assert is_refused(play)
    refused = services.records[-1]
    assert refused.rule_ids == ("analysts/masks[0]",)
    assert refused.raw_columns == ("shop.customers.email", "shop.customers.phone")
    assert services.reached == [Limit.PROBES]
    services.ticks += 3_661_000_000
    assert not is_refused(play)


def test_probes_of_all_sessions_count_together() -> None:
    services = probing()
    for _ in range(2):
        play = Play(services).open()
        assert not is_refused(play)
        play.session.client_lost()
    assert is_refused(Play(services).open())


def test_execute_by_sql_probes_and_prepare_does_not() -> None:
    services = StageServices(
        {
            "prepare": allow("prepare", command="prepare", effect=Effect(prepares="s"), raw_columns=(EMAIL,)),
            "execute": allow("execute", command="execute", effect=Effect(executes="s")),
        }
    )
    play = Play(services).open()
    play.client(m.Query(b"prepare"))
    play.server(m.CommandComplete(b"PREPARE"), READY)
    for _ in range(2):
        play.client(m.Query(b"execute"))
        play.server(*ANSWER)
    play.client_hears()
    # By the protocol too: Bind of what PREPARE made.
    play.client(m.Bind(b"", b"s"), m.Execute(b""), m.Sync())
    play.server(m.BindComplete(), error("42601"), READY)
    assert sqlstates(play.client_hears()) == ["53400"]
    assert services.raw_uses == 2


def test_fetch_does_not_probe_again() -> None:
    services = StageServices(
        {
            "declare": allow("declare", command="declare", effect=Effect(opens_cursor="c"), raw_columns=(EMAIL,)),
            "fetch": allow("fetch", command="fetch", effect=Effect(reads_cursor="c")),
        }
    )
    play = Play(services).open()
    play.client(m.Query(b"begin"), m.Query(b"declare"))
    play.server(m.CommandComplete(b"BEGIN"), IN_BLOCK, m.CommandComplete(b"DECLARE CURSOR"), IN_BLOCK)
    for _ in range(3):
        play.client(m.Query(b"fetch"))
        play.server(HEAD, ROW, m.CommandComplete(b"FETCH 1"), IN_BLOCK)
    play.client(m.Execute(b"c", 1), m.Sync())
    play.server(ROW, m.PortalSuspended(), IN_BLOCK)
    assert sqlstates(play.client_hears()) == []
    assert services.raw_uses == 1
    assert [r.raw_columns for r in services.records if r.stage is Stage.INTENT][2] == ("shop.customers.email",)
