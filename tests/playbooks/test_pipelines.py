"""Simple and extended queries, pipelines, refusals in the middle: who hears what, in which order."""

from __future__ import annotations

import pytest

from audit.record import Stage, Verdict
from policies.decision import Decision, Plan
from proxy.session.phase import Phase
from proxy.session.ports import CloseLinks
from proxy.wire import messages as m
from tests.playbooks.stage import (
    DONE,
    FAILED,
    IN_BLOCK,
    POISON,
    READY,
    Play,
    StageServices,
    allow,
    column,
    error,
    extended,
    kinds,
    refuse,
    sqlstates,
)

ROW = m.DataRow((b"1",))
HEAD = m.RowDescription((column("x"),))
SYNTAX = error("42601", 'syntax error at or near "refused"')
POISON_PARSE = m.Parse(b"pgwarden_refused", POISON)


def two_plans(sql: str) -> Decision:
    return Decision(sql, tuple(Plan("select", part.strip()) for part in sql.split(";")))


def test_an_allowed_text_reaches_the_server_as_it_is_and_its_rows_pass() -> None:
    play = Play().open()
    play.client(m.Query(b"select 1"))
    assert play.server_hears() == [m.Query(b"select 1")]
    play.server(HEAD, ROW, DONE, READY)
    assert play.client_hears() == [HEAD, ROW, DONE, READY]
    intent, outcome = play.services.records[-2:]
    assert (intent.stage, outcome.stage) == (Stage.INTENT, Stage.OUTCOME)
    assert intent.statement_id == outcome.statement_id != ""
    assert (intent.sql_text, intent.decision, outcome.rows) == ("select 1", Verdict.ALLOW, 1)
    assert (intent.tenant, intent.user, intent.client_address) == ("acme", "ada", "192.0.2.7")


def test_the_intent_is_written_before_the_server_hears_anything() -> None:
    services = StageServices()
    play = Play(services).open()
    services.is_journal_full = True
    play.client(m.Query(b"select 1"))
    assert play.server_hears() == [m.Query(POISON)]
    play.server(SYNTAX, READY)
    heard = play.client_hears()
    assert sqlstates(heard) == ["53100"]
    assert b"pgwarden/journal" in heard[0].fields["M"]  # type: ignore[union-attr]
    services.is_journal_full = False
    play.client(m.Query(b"select 1"))
    assert play.server_hears() == [m.Query(b"select 1")]


def test_a_full_journal_stops_prepared_statements_too() -> None:
    services = StageServices()
    play = Play(services).open()
    services.is_journal_full = True
    play.client(*extended("select 1"), m.Sync())
    assert play.server_hears()[-2:] == [POISON_PARSE, m.Sync()]
    play.server(m.ParseComplete(), m.BindComplete(), m.NoData(), SYNTAX, READY)
    assert sqlstates(play.client_hears()) == ["53100"]


def test_rewritten_text_goes_instead() -> None:
    services = StageServices(
        {"select x": lambda _: Decision("select y", (Plan("select", "select x", is_rewritten=True),))}
    )
    play = Play(services).open()
    play.client(m.Query(b"select x"))
    assert play.server_hears() == [m.Query(b"select y")]
    assert services.records[-1].decision is Verdict.REWRITE
    assert services.records[-1].sql_text == "select x"


def test_a_refused_query_never_leaves_and_the_session_goes_on() -> None:
    services = StageServices({"delete": refuse()})
    play = Play(services).open()
    play.client(m.Query(b"delete"))
    assert play.server_hears() == [m.Query(POISON)]
    play.server(SYNTAX, READY)
    heard = play.client_hears()
    assert sqlstates(heard) == ["42501"]
    fields = heard[0].fields  # type: ignore[union-attr]
    assert fields["M"] == b"not allowed (rule analysts/tables)"
    assert (fields["D"], fields["H"], fields["P"]) == (b"p.yaml:1:1", b"ask", b"1")
    assert heard[1] == READY
    assert services.records[-1].decision is Verdict.DENY
    play.client(m.Query(b"select 1"))
    play.server(HEAD, ROW, DONE, READY)
    assert play.client_hears()[-1] == READY


def test_a_refused_statement_that_the_server_ran_ends_the_session() -> None:
    play = Play(StageServices({"delete": refuse()})).open()
    play.client(m.Query(b"delete"))
    play.server(HEAD, ROW, DONE, READY)
    heard = play.client_hears()
    assert sqlstates(heard) == ["XX000"]
    assert kinds(heard) == ["ErrorResponse"]
    assert play.session.phase is Phase.ENDED


def test_several_statements_in_one_text_are_counted_apart() -> None:
    services = StageServices({"select 1; select 2": two_plans})
    play = Play(services).open()
    play.client(m.Query(b"select 1; select 2"))
    play.server(HEAD, ROW, ROW, DONE, HEAD, ROW, DONE, READY)
    outcomes = [r for r in services.records if r.stage is Stage.OUTCOME]
    assert [r.rows for r in outcomes] == [2, 1]
    assert services.statements(Stage.INTENT) == [("select 1", ""), ("select 2", "")]


def test_what_fails_before_it_is_executed_is_recorded() -> None:
    """The server folds constants and looks names up at Parse and Bind already: a guess costs a record."""
    play = Play(services := StageServices()).open()
    play.client(m.Parse(b"", b"select 1/0", ()), m.Bind(b"", b"", (), (), ()), m.Sync())
    play.server(m.ParseComplete(), error("22012"), READY)
    assert services.statements(Stage.INTENT) == [("select 1/0", "")]
    assert services.statements(Stage.OUTCOME)[-1][1] == "22012"
    play.client(m.Parse(b"", b"select guess", ()), m.Sync())
    play.server(error("42703"), READY)
    assert services.statements(Stage.INTENT)[1:] == [("select guess", "")]


def test_what_was_to_be_executed_is_recorded_once() -> None:
    play = Play(services := StageServices()).open()
    play.client(*extended("select guess"))
    play.server(error("42703"), READY)
    assert services.statements(Stage.INTENT) == [("select guess", "")]
    assert [r.sqlstate for r in services.records if r.stage is Stage.OUTCOME] == ["42703"]


def test_an_error_in_the_first_statement_closes_the_others() -> None:
    services = StageServices({"select 1; select 2": two_plans})
    play = Play(services).open()
    play.client(m.Query(b"select 1; select 2"))
    play.server(error("22012"), READY)
    assert [code for _, code in services.statements(Stage.OUTCOME)] == ["22012", "22012"]


def test_more_results_than_statements_end_the_session() -> None:
    play = Play().open()
    play.client(m.Query(b"select 1"))
    play.server(HEAD, ROW, DONE)
    play.client_hears()
    play.server(HEAD, ROW, DONE, READY)
    assert kinds(play.client_hears()) == ["ErrorResponse"]


def test_an_empty_query_is_answered() -> None:
    services = StageServices({"": lambda sql: Decision(sql, ())})
    play = Play(services).open()
    play.client(m.Query(b""))
    play.server(m.EmptyQueryResponse(), READY)
    assert play.client_hears() == [m.EmptyQueryResponse(), READY]
    assert services.statements(Stage.INTENT) == []


def test_an_extended_query_passes_message_by_message() -> None:
    play = Play().open()
    sent = (*extended("select 1"), m.Sync())
    play.client(*sent)
    assert play.server_hears() == list(sent)
    replies = (m.ParseComplete(), m.BindComplete(), HEAD, ROW, DONE, READY)
    play.server(*replies)
    assert play.client_hears() == list(replies)


def test_a_refused_parse_in_a_pipeline_is_an_error_in_its_own_place() -> None:
    services = StageServices({"delete": refuse()})
    play = Play(services).open()
    play.client(*extended("select 1"), *extended("delete"), *extended("select 3"), m.Sync())
    heard = play.server_hears()
    assert m.Parse(b"", POISON) in heard
    assert not any(isinstance(x, m.Parse) and x.query == b"delete" for x in heard)
    first = (m.ParseComplete(), m.BindComplete(), HEAD, ROW, DONE)
    play.server(*first, SYNTAX, READY)
    answers = play.client_hears()
    assert answers[:5] == list(first)
    assert sqlstates(answers) == ["42501"]
    assert answers[-1] == READY
    assert heard[-2:] == [m.Parse(b"", POISON), m.Sync()]
    assert [code for _, code in services.statements(Stage.OUTCOME)] == [""]
    assert services.statements(Stage.INTENT) == [("select 1", ""), ("delete", "42501")]


def test_what_comes_after_an_error_and_before_sync_is_dropped() -> None:
    services = StageServices({"delete": refuse()})
    play = Play(services).open()
    play.client(m.Parse(b"", b"delete"), m.Flush())
    play.server(SYNTAX)
    assert sqlstates(play.client_hears()) == ["42501"]
    play.server_hears()
    play.client(*extended("select 1"), m.Query(b"select 2"), m.Sync())
    assert play.server_hears() == [m.Sync()]
    play.server(READY)
    assert play.client_hears() == [READY]


def test_statements_behind_the_next_sync_are_answered_again() -> None:
    services = StageServices({"delete": refuse()})
    play = Play(services).open()
    play.client(*extended("delete"), m.Sync(), *extended("select 1"), m.Sync())
    play.server(SYNTAX, READY, m.ParseComplete(), m.BindComplete(), HEAD, ROW, DONE, READY)
    heard = play.client_hears()
    assert kinds(heard)[:3] == ["ErrorResponse", "ReadyForQuery", "ParseComplete"]
    assert kinds(heard)[-2:] == ["CommandComplete", "ReadyForQuery"]


def test_a_row_limit_of_the_client_suspends_one_statement_with_one_outcome() -> None:
    services = StageServices()
    play = Play(services).open()
    play.client(m.Parse(b"", b"select 1"), m.Bind(b"p", b""), m.Execute(b"p", 1), m.Flush())
    play.server(m.ParseComplete(), m.BindComplete(), ROW, m.PortalSuspended())
    assert services.statements(Stage.OUTCOME) == []
    play.client(m.Execute(b"p", 1), m.Sync())
    play.server(ROW, DONE, READY)
    assert len(services.statements(Stage.INTENT)) == 1
    outcomes = [r for r in services.records if r.stage is Stage.OUTCOME]
    assert [r.rows for r in outcomes] == [2]


@pytest.mark.parametrize("ending", ["close", "sync", "lost"])
def test_a_suspended_statement_ends_with_its_portal(ending: str) -> None:
    services = StageServices()
    play = Play(services).open()
    play.client(m.Parse(b"", b"select 1"), m.Bind(b"p", b""), m.Execute(b"p", 1), m.Flush())
    play.server(m.ParseComplete(), m.BindComplete(), ROW, m.PortalSuspended())
    if ending == "close":
        play.client(m.Close(b"P", b"p"), m.Flush())
        play.server(m.CloseComplete())
    elif ending == "sync":
        play.client(m.Sync())
        play.server(READY)
    else:
        play.session.client_lost()
    assert [code for _, code in services.statements(Stage.OUTCOME)] == ["08006" if ending == "lost" else ""]


def test_names_that_the_client_never_prepared_never_reach_the_server() -> None:
    # SQL's PREPARE and DECLARE make statements and portals that protocol messages could reach undecided.
    play = Play().open()
    play.client(m.Bind(b"", b"made_by_sql"), m.Sync())
    assert play.server_hears() == [POISON_PARSE, m.Sync()]
    play.server(SYNTAX, READY)
    assert sqlstates(play.client_hears()) == ["26000"]
    play.client(m.Execute(b"cursor"), m.Sync())
    assert play.server_hears() == [POISON_PARSE, m.Sync()]
    play.server(SYNTAX, READY)
    assert sqlstates(play.client_hears()) == ["34000"]
    for kind, code in ((b"S", "26000"), (b"P", "34000")):
        play.client(m.Describe(kind, b"unknown"), m.Sync())
        assert play.server_hears() == [POISON_PARSE, m.Sync()]
        play.server(SYNTAX, READY)
        assert sqlstates(play.client_hears()) == [code]


def test_a_parse_that_failed_leaves_the_old_statement_under_its_name() -> None:
    services = StageServices()
    play = Play(services).open()
    play.client(m.Parse(b"s", b"select 1"), m.Sync())
    play.server(m.ParseComplete(), READY)
    play.client(m.Parse(b"s", b"select 2"), m.Sync())
    play.server(error("42P05"), READY)
    play.client(m.Bind(b"", b"s"), m.Execute(b""), m.Sync())
    play.server(m.BindComplete(), ROW, DONE, READY)
    assert services.statements(Stage.INTENT) == [("select 2", ""), ("select 1", "")]


def test_a_bind_that_was_sent_before_its_parse_failed_ends_the_session() -> None:
    play = Play().open()
    play.client(m.Parse(b"s", b"select 1"), m.Sync())
    play.server(m.ParseComplete(), READY)
    play.client_hears()
    play.client(m.Parse(b"s", b"select 2"), m.Sync(), m.Bind(b"", b"s"), m.Execute(b""), m.Sync())
    play.server(error("42P05"), READY, m.BindComplete(), ROW, DONE, READY)
    assert m.DataRow((b"1",)) not in play.client_hears()
    assert play.session.phase is Phase.ENDED


def test_a_refused_unnamed_parse_leaves_no_unnamed_statement() -> None:
    services = StageServices({"delete": refuse()})
    play = Play(services).open()
    play.client(m.Parse(b"", b"select 1"), m.Sync(), m.Parse(b"", b"delete"), m.Sync())
    play.server(m.ParseComplete(), READY, SYNTAX, READY)
    play.server_hears()
    play.client(m.Bind(b"", b""), m.Sync())
    assert play.server_hears() == [POISON_PARSE, m.Sync()]


def test_fast_path_calls_are_refused() -> None:
    play = Play().open()
    play.client(m.FunctionCall(1, (), (), 0))
    assert play.server_hears() == [m.Query(POISON)]
    play.server(SYNTAX, READY)
    assert sqlstates(play.client_hears()) == ["0A000"]


def test_terminate_closes_both_links() -> None:
    play = Play().open()
    play.client(m.Terminate())
    assert play.server_hears() == [m.Terminate()]
    assert play.told() == [CloseLinks()]


def test_a_lost_server_is_told_and_recorded() -> None:
    services = StageServices()
    play = Play(services).open()
    play.client(m.Query(b"select 1"))
    play.session.upstream_lost()
    play.collect()
    assert sqlstates(play.client_hears()) == ["08006"]
    assert [code for _, code in services.statements(Stage.OUTCOME)] == ["08006"]


def test_a_fatal_error_of_the_server_is_passed_on_once() -> None:
    play = Play().open()
    play.server(error("57P01", "terminating connection", "FATAL"))
    play.session.upstream_lost()
    play.collect()
    assert sqlstates(play.client_hears()) == ["57P01"]


def test_a_transaction_fails_with_a_refusal() -> None:
    services = StageServices({"begin": allow("begin", command="begin"), "delete": refuse()})
    play = Play(services).open()
    play.client(m.Query(b"begin"))
    play.server(m.CommandComplete(b"BEGIN"), IN_BLOCK)
    play.client(m.Query(b"delete"))
    play.server(SYNTAX, FAILED)
    assert play.client_hears()[-1] == FAILED


@pytest.mark.parametrize("cut", [1, 2, 3, 7, 64])
def test_any_cuts_give_the_same_answers(cut: int) -> None:
    def run(play: Play) -> tuple[list[m.Message], bytes]:
        play.open()
        begun = len(play.client_bytes)
        play.client(*extended("select 1"), *extended("delete"), m.Sync(), m.Query(b"select 2"))
        play.server(m.ParseComplete(), m.BindComplete(), HEAD, ROW, ROW, DONE, SYNTAX, READY)
        play.server(HEAD, ROW, DONE, READY)
        return play.server_hears(), play.client_bytes[begun:]

    whole = run(Play(StageServices({"delete": refuse()})))
    assert run(Play(StageServices({"delete": refuse()}), cut=cut)) == whole


@pytest.mark.parametrize(
    "data",
    [
        b"z\0\0\0\4",
        b"Q\0\0\0\3",
        b"Q\0\0\0\6ab",
        b"Q\0\0\0\7a\0b",
        b"Q\x7f\xff\xff\xff",
        b"B\0\0\0\5\0",
        b"D\0\0\0\6X\0",
        b"p\0\0\0\5\0",
    ],
)
def test_malformed_messages_are_the_clients_fault(data: bytes) -> None:
    play = Play().open()
    play.client_raw(data)
    assert sqlstates(play.client_hears()) == ["08P01"]
    assert play.server_hears() == []
    assert CloseLinks() in play.told()


@pytest.mark.parametrize("data", [b"?\0\0\0\4", b"C\0\0\0\4", b"Z\0\0\0\5I", b"T\0\0\0\3", b"1\0\0\0\4"])
def test_a_server_out_of_step_ends_the_session_and_nothing_is_shown(data: bytes) -> None:
    play = Play().open()
    play.client(m.Query(b"select 1"))
    play.server_raw(data + b"D\0\0\0\x0b\0\1\0\0\0\1x")
    heard = play.client_hears()
    if kinds(heard) != ["ErrorResponse"]:
        # ReadyForQuery alone is legal; the row after it is not.
        assert data[:1] == b"Z"
    assert sqlstates(heard) == ["XX000"]
    assert b"\0\0\0\1x" not in play.client_bytes[-12:]


def test_invalid_utf_8_is_refused() -> None:
    play = Play().open()
    play.client(m.Query(b"select '\xff'"))
    assert play.server_hears() == [m.Query(POISON)]
    play.server(SYNTAX, READY)
    assert sqlstates(play.client_hears()) == ["22021"]
