"""Names that SQL and the protocol share: who may run what stands under them, and as what it is recorded."""

from __future__ import annotations

import pytest

from audit.record import Stage
from policies.decision import ALL_NAMES, ColumnMask, Decision, Effect, Plan
from policies.masks import stream_form
from policies.model import Limits, MaskSpec
from proxy.session.phase import Phase
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
    kinds,
    policy_of,
    refuse,
    sqlstates,
)

SECRET = b"canary"
TABLE, ATTNUM = 16400, 2
HEAD = m.RowDescription((column("email", TABLE, ATTNUM),))
ROW = m.DataRow((SECRET,))
PLAIN = m.DataRow((b"1",))
SYNTAX = error("42601")
POISON_PARSE = m.Parse(b"pgwarden_refused", POISON)
DECLARED = m.CommandComplete(b"DECLARE CURSOR")
FETCHED = m.CommandComplete(b"FETCH 1")


def masked(sql: str) -> Decision:
    mask = stream_form(MaskSpec("redact"), 25, "text")
    assert mask is not None
    return Decision(sql, (Plan("select", sql, is_guarded=True, column_masks=(ColumnMask(TABLE, ATTNUM, 1, mask),)),))


def stage(**limits: int) -> StageServices:
    held = Limits(rows=limits.get("rows"))
    declared = {
        "tables": ("shop.customers",),
        "masked_columns": ("shop.customers.email",),
        "rule_ids": ("analysts/masks[0]",),
    }
    return StageServices(
        {
            "masked": masked,
            "declare": allow("declare", command="declare", effect=Effect(opens_cursor="c"), **declared),
            "hold": allow("hold", command="declare", effect=Effect(opens_cursor="c", is_holdable=True), **declared),
            "fetch": allow("fetch", command="fetch", effect=Effect(reads_cursor="c"), limits=held),
            "fetch p": allow("fetch p", command="fetch", effect=Effect(reads_cursor="p"), limits=held),
            "close": allow("close", command="close", effect=Effect(closes_cursor="c")),
            "prepare": allow("prepare", command="prepare", effect=Effect(prepares="s"), **declared),
            "execute": allow("execute", command="execute", effect=Effect(executes="s")),
            "deallocate": allow("deallocate", command="deallocate", effect=Effect(forgets_prepared="s")),
            "deallocate all": allow("d", command="deallocate", effect=Effect(forgets_prepared=ALL_NAMES)),
            "begin": allow("begin", command="begin"),
            "savepoint": allow("savepoint", command="savepoint", effect=Effect(savepoint="a")),
            "rollback to": allow("rollback to", command="rollback to", effect=Effect(savepoint="a")),
            "declare; fetch": lambda sql: Decision(
                sql,
                (
                    Plan("declare", "declare", effect=Effect(opens_cursor="c"), tables=("shop.customers",)),
                    Plan("fetch", "fetch", effect=Effect(reads_cursor="c")),
                ),
            ),
        }
    )


def said(play: Play, text: bytes, tag: bytes, status: m.ReadyForQuery = READY) -> None:
    play.client(m.Query(text))
    play.server(m.CommandComplete(tag), status)
    play.client_hears()
    play.server_hears()


def test_a_fetch_is_recorded_as_what_its_cursor_reads() -> None:
    services = stage()
    play = Play(services).open()
    said(play, b"begin", b"BEGIN", IN_BLOCK)
    said(play, b"declare", b"DECLARE CURSOR", IN_BLOCK)
    play.client(m.Query(b"fetch"))
    assert play.server_hears() == [m.Query(b"fetch")]
    play.server(HEAD, PLAIN, FETCHED, IN_BLOCK)
    assert play.client_hears() == [HEAD, PLAIN, FETCHED, IN_BLOCK]
    for record in services.records[-2:]:
        assert record.tables == ("shop.customers",)
        assert record.masked_columns == ("shop.customers.email",)
        assert record.rule_ids == ("analysts/masks[0]",)


def test_an_execute_is_recorded_as_what_was_prepared() -> None:
    services = stage()
    play = Play(services).open()
    said(play, b"prepare", b"PREPARE")
    play.client(m.Parse(b"", b"execute"), m.Bind(b"", b""), m.Execute(b""), m.Sync())
    play.server(m.ParseComplete(), m.BindComplete(), PLAIN, DONE, READY)
    assert PLAIN in play.client_hears()
    assert services.records[-1].masked_columns == ("shop.customers.email",)


def test_a_limit_counts_the_rows_of_all_fetches() -> None:
    play = Play(stage(rows=3)).open()
    said(play, b"begin", b"BEGIN", IN_BLOCK)
    said(play, b"declare", b"DECLARE CURSOR", IN_BLOCK)
    for _ in range(2):
        play.client(m.Query(b"fetch"))
    play.server(HEAD, PLAIN, PLAIN, FETCHED, IN_BLOCK, HEAD, PLAIN, PLAIN, FETCHED, IN_BLOCK)
    heard = play.client_hears()
    assert heard.count(PLAIN) == 3
    assert sqlstates(heard) == ["57014"]


def test_a_limit_counts_what_fetch_and_execute_take_of_one_portal() -> None:
    limits = Limits(rows=3)
    services = stage(rows=3)
    services.decisions["many"] = allow("many", limits=limits)
    play = Play(services).open()
    said(play, b"begin", b"BEGIN", IN_BLOCK)
    play.client(m.Parse(b"", b"many"), m.Bind(b"p", b""), m.Execute(b"p", 2), m.Sync(), m.Query(b"fetch p"))
    play.server(m.ParseComplete(), m.BindComplete(), PLAIN, PLAIN, m.PortalSuspended(), IN_BLOCK)
    play.server(HEAD, PLAIN, FETCHED, IN_BLOCK)
    play.client_hears()
    play.client(m.Execute(b"p"), m.Sync())
    play.server(PLAIN)
    heard = play.client_hears()
    assert (heard.count(PLAIN), sqlstates(heard)) == (0, ["57014"])


@pytest.mark.parametrize(("text", "code", "words"), [("fetch", "34000", b"cursor"), ("execute", "26000", b"prepared")])
def test_an_unknown_name_is_refused_in_the_servers_words(text: str, code: str, words: bytes) -> None:
    play = Play(stage()).open()
    play.client(m.Query(text.encode()))
    assert play.server_hears() == [m.Query(POISON)]
    play.server(SYNTAX, READY)
    heard = play.client_hears()
    assert sqlstates(heard) == [code]
    assert heard[0].fields["M"].startswith(words)  # type: ignore[union-attr]
    assert heard[0].fields["M"].endswith(b"does not exist")  # type: ignore[union-attr]


def test_declare_and_fetch_in_one_text() -> None:
    services = stage()
    play = Play(services).open()
    play.client(m.Query(b"declare; fetch"))
    play.server(DECLARED, HEAD, PLAIN, FETCHED, READY)
    assert play.client_hears() == [DECLARED, HEAD, PLAIN, FETCHED, READY]
    assert [r.tables for r in services.records if r.stage is Stage.INTENT] == [("shop.customers",)] * 2


def bound(services: StageServices) -> Play:
    """A portal p whose column is raw, in a transaction."""
    play = Play(services).open()
    said(play, b"begin", b"BEGIN", IN_BLOCK)
    play.client(m.Parse(b"s", b"masked"), m.Bind(b"p", b"s"), m.Sync())
    play.server(m.ParseComplete(), m.ParameterDescription(()), HEAD, m.BindComplete(), IN_BLOCK)
    play.client_hears()
    play.server_hears()
    return play


@pytest.mark.parametrize("text", [b"fetch p", b"execute"])
def test_sql_never_reads_what_the_stream_masks(text: bytes) -> None:
    play = bound(stage())
    play.client(m.Query(text))
    assert play.server_hears() == [m.Query(POISON)]
    play.server(SYNTAX, FAILED)
    assert sqlstates(play.client_hears()) == ["0A000"]


def test_sql_may_move_within_a_raw_portal() -> None:
    services = stage()
    services.decisions["move p"] = allow("move p", command="move", effect=Effect(reads_cursor="p"))
    play = bound(services)
    play.client(m.Query(b"move p"))
    assert play.server_hears() == [m.Query(b"move p")]
    play.server(m.CommandComplete(b"MOVE 1"), IN_BLOCK)
    assert play.client_hears() == [m.CommandComplete(b"MOVE 1"), IN_BLOCK]


def test_a_move_that_gives_rows_shows_nothing() -> None:
    services = stage()
    services.decisions["move p"] = allow("move p", command="move", effect=Effect(reads_cursor="p"))
    play = bound(services)
    play.client(m.Query(b"move p"))
    play.server(HEAD, ROW, IN_BLOCK)
    assert SECRET not in play.client_bytes
    assert play.session.phase is Phase.ENDED


def test_sql_may_read_a_plain_portal() -> None:
    services = stage()
    play = Play(services).open()
    said(play, b"begin", b"BEGIN", IN_BLOCK)
    play.client(m.Parse(b"", b"select 1"), m.Bind(b"p", b""), m.Sync(), m.Query(b"fetch p"))
    assert m.Query(b"fetch p") in play.server_hears()
    play.server(m.ParseComplete(), m.BindComplete(), IN_BLOCK, HEAD, PLAIN, FETCHED, IN_BLOCK)
    assert PLAIN in play.client_hears()


def test_a_name_that_an_error_left_to_a_raw_portal_shows_nothing() -> None:
    """All in one go: Close is skipped, so DECLARE fails; the savepoint brings the old portal back for the FETCH."""
    services = stage()
    services.decisions["declare p"] = allow("declare p", command="declare", effect=Effect(opens_cursor="p"))
    play = bound(services)
    said(play, b"savepoint", b"SAVEPOINT", IN_BLOCK)
    play.client(m.Parse(b"", b"select 1/0"), m.Bind(b"", b""), m.Execute(b""), m.Close(b"P", b"p"), m.Sync())
    play.client(m.Query(b"rollback to"), m.Query(b"declare p"), m.Query(b"rollback to"), m.Query(b"fetch p"))
    sent = play.server_hears()
    assert m.Query(b"fetch p") not in sent
    play.server(m.ParseComplete(), m.BindComplete(), error("22012"), FAILED)
    play.server(m.CommandComplete(b"ROLLBACK"), IN_BLOCK, error("42P03"), FAILED)
    play.server(m.CommandComplete(b"ROLLBACK"), IN_BLOCK)
    assert play.server_hears() == [m.Query(POISON)]
    assert SECRET not in play.client_bytes
    play.server(SYNTAX, FAILED)
    assert sqlstates(play.client_hears())[-1] == "0A000"


def test_a_prediction_that_fails_all_the_same_ends_the_session() -> None:
    # The server says DECLARE failed though nothing stood there: whatever FETCH reads then, it isn't shown.
    play = Play(stage()).open()
    said(play, b"begin", b"BEGIN", IN_BLOCK)
    play.client(m.Query(b"declare"), m.Query(b"fetch"))
    play.server(error("42P03"), FAILED, HEAD, ROW, FETCHED, FAILED)
    assert SECRET not in play.client_bytes
    assert play.session.phase is Phase.ENDED


def test_an_execute_behind_a_prepare_that_may_fail_waits_for_it() -> None:
    services = stage()
    play = Play(services).open()
    said(play, b"prepare", b"PREPARE")
    play.client(m.Query(b"prepare"), m.Query(b"execute"))
    assert play.server_hears() == [m.Query(b"prepare")]
    play.server(error("42P05"), READY)
    assert play.server_hears() == [m.Query(b"execute")]


def test_a_bind_behind_a_parse_that_may_fail_waits_for_it() -> None:
    services = stage()
    play = Play(services).open()
    play.client(m.Parse(b"s", b"select 1"), m.Sync())
    play.server(m.ParseComplete(), READY)
    play.server_hears()
    play.client(m.Parse(b"s", b"select 2"), m.Sync(), m.Bind(b"", b"s"), m.Execute(b""), m.Sync())
    assert kinds(play.server_hears()) == ["Parse", "Sync"]
    assert play.session.wants_client_data  # or nobody would notice that the client has gone
    play.client_raw(b"d" + (300_004).to_bytes(4, "big") + b"x" * 300_000)
    assert not play.session.wants_client_data
    play.server(error("42P05"), READY)
    assert kinds(play.server_hears()) == ["Bind", "Execute", "Sync"]
    assert services.statements(Stage.INTENT)[-1] == ("select 1", "")


def test_unnamed_statements_one_after_the_other_do_not_wait() -> None:
    play = Play(stage()).open()
    once = (m.Parse(b"", b"select 1"), m.Bind(b"", b""), m.Execute(b""), m.Sync())
    play.client(*once, *once, *once)
    assert play.server_hears() == [*once, *once, *once]


@pytest.mark.parametrize(("make", "read", "code"), [("declare", "fetch", "40001"), ("prepare", "execute", "0A000")])
def test_what_another_policy_decided_otherwise_is_not_read(make: str, read: str, code: str) -> None:
    services = stage()
    play = Play(services).open()
    said(play, b"begin", b"BEGIN", IN_BLOCK)
    said(play, make.encode(), b"X", IN_BLOCK)
    services.policy = policy_of("p2")
    play.client(m.Query(read.encode()))
    assert play.server_hears() == [m.Query(read.encode())]  # decided anew, it is the same
    play.server(HEAD, PLAIN, DONE, IN_BLOCK)
    play.client_hears()
    services.decisions[make] = allow(make, command=make, tables=("shop.other",))
    services.policy = policy_of("p3")
    play.client(m.Query(read.encode()))
    assert play.server_hears() == [m.Query(POISON)]
    play.server(SYNTAX, FAILED)
    assert sqlstates(play.client_hears()) == [code]


def test_a_cursor_ends_with_its_transaction_unless_it_is_held() -> None:
    services = stage()
    play = Play(services).open()
    for declare, is_there in ((b"declare", False), (b"hold", True)):
        said(play, b"begin", b"BEGIN", IN_BLOCK)
        said(play, declare, b"DECLARE CURSOR", IN_BLOCK)
        said(play, b"commit", b"COMMIT", READY)
        play.client(m.Query(b"fetch"))
        assert (play.server_hears() == [m.Query(b"fetch")]) is is_there
        play.server(*((HEAD, PLAIN, FETCHED, READY) if is_there else (SYNTAX, READY)))
    said(play, b"close", b"CLOSE CURSOR")
    play.client(m.Query(b"fetch"))
    assert play.server_hears() == [m.Query(POISON)]


@pytest.mark.parametrize("forget", [b"deallocate", b"deallocate all"])
def test_sql_forgets_the_protocols_statements(forget: bytes) -> None:
    play = Play(stage()).open()
    play.client(m.Parse(b"s", b"select 1"), m.Sync())
    play.server(m.ParseComplete(), READY)
    said(play, forget, b"DEALLOCATE")
    play.client(m.Bind(b"", b"s"), m.Sync())
    assert play.server_hears() == [POISON_PARSE, m.Sync()]
    play.server(SYNTAX, READY)
    assert sqlstates(play.client_hears()) == ["26000"]


def test_the_protocol_runs_what_sql_prepared_and_declared() -> None:
    services = stage()
    play = Play(services).open()
    said(play, b"prepare", b"PREPARE")
    play.client(m.Bind(b"", b"s"), m.Describe(b"P", b""), m.Execute(b""), m.Sync())
    assert kinds(play.server_hears()) == ["Bind", "Describe", "Execute", "Sync"]
    play.server(m.BindComplete(), HEAD, PLAIN, DONE, READY)
    assert PLAIN in play.client_hears()
    assert services.records[-1].tables == ("shop.customers",)
    said(play, b"begin", b"BEGIN", IN_BLOCK)
    said(play, b"declare", b"DECLARE CURSOR", IN_BLOCK)
    play.client(m.Describe(b"P", b"c"), m.Execute(b"c", 1), m.Execute(b"c", 1), m.Sync())
    assert kinds(play.server_hears()) == ["Describe", "Execute", "Execute", "Sync"]
    play.server(HEAD, PLAIN, m.PortalSuspended(), PLAIN, m.PortalSuspended(), IN_BLOCK)
    assert play.client_hears().count(PLAIN) == 2
    outcomes = [r for r in services.records if r.stage is Stage.OUTCOME]
    assert [(r.tables, r.rows) for r in outcomes[-2:]] == [(("shop.customers",), 1)] * 2


def test_the_server_looks_at_63_bytes_of_a_name() -> None:
    long = b"n" * 63
    play = Play(stage()).open()
    play.client(m.Parse(long + b"x", b"masked"), m.Sync())
    play.server(m.ParseComplete(), m.ParameterDescription(()), HEAD, READY)
    play.client(m.Close(b"S", long + b"y"), m.Parse(long + b"z", b"select 1"), m.Sync())
    play.server(m.CloseComplete(), m.ParseComplete(), READY)
    play.client_hears()
    play.client(m.Bind(b"", long + b"x"), m.Execute(b""), m.Sync())
    play.server(m.BindComplete(), PLAIN, DONE, READY)
    assert PLAIN in play.client_hears()  # no masks: it is the other statement


def test_under_the_open_policy_names_pass_and_are_recorded() -> None:
    services = stage()
    services.policy = policy_of("open", is_everything=True)
    play = Play(services).open()
    said(play, b"prepare", b"PREPARE")
    said(play, b"execute", b"SELECT 1")
    assert services.records[-1].tables == ("shop.customers",)
    said(play, b"deallocate", b"DEALLOCATE")
    play.client(m.Query(b"execute"), m.Query(b"fetch"), m.Bind(b"", b"s"))
    assert kinds(play.server_hears()) == ["Query", "Query", "Bind"]


def test_a_resumed_portal_of_another_policy_begins_again() -> None:
    services = stage()
    play = Play(services).open()
    said(play, b"begin", b"BEGIN", IN_BLOCK)
    play.client(m.Parse(b"", b"select 1"), m.Bind(b"", b""), m.Execute(b"", 1), m.Sync())
    play.server(m.ParseComplete(), m.BindComplete(), PLAIN, m.PortalSuspended(), IN_BLOCK)
    play.client_hears()
    services.policy = policy_of("p2")
    services.decisions["select 1"] = refuse()
    play.client(m.Execute(b"", 1), m.Sync())
    play.server(SYNTAX, FAILED)
    assert sqlstates(play.client_hears()) == ["40001"]


def test_too_many_statements_are_refused_and_may_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.session.names._LIMIT_BYTES", 10_000)
    services = stage()
    play = Play(services).open()
    for number in range(5):
        play.client(m.Parse(b"s%d" % number, b"select 1"))
    heard = play.server_hears()
    assert heard[-1] == POISON_PARSE
    assert kinds(heard) == ["Parse"] * 5
    play.client(m.Sync())
    play.server(*[m.ParseComplete()] * 4, SYNTAX, READY)
    assert sqlstates(play.client_hears()) == ["53400"]
    play.client(m.Close(b"S", b"s0"), m.Parse(b"s4", b"select 1"), m.Sync())
    assert kinds(play.server_hears()) == ["Sync", "Close", "Parse", "Sync"]


def test_the_open_policy_forgets_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.session.names._LIMIT_BYTES", 10_000)
    services = stage()
    services.policy = policy_of("open", is_everything=True)
    play = Play(services).open()
    for number in range(9):
        play.client(m.Parse(b"s%d" % number, b"select 1"))
    play.client(m.Bind(b"", b"s0"), m.Sync())
    assert kinds(play.server_hears()) == ["Parse"] * 9 + ["Bind", "Sync"]


def test_between_an_error_and_its_ready_nothing_is_expected_to_succeed() -> None:
    """The error alone has come: what waits for it must not see the failed DECLARE as done, or it waits for ever."""
    play = Play(stage()).open()
    said(play, b"hold", b"DECLARE CURSOR")
    play.client(m.Query(b"declare"), m.Query(b"fetch"))
    play.server(error("25P01"))
    play.server(READY)
    assert play.server_hears()[-1] == m.Query(b"fetch")
    assert play.session.wants_client_data


def test_a_text_whose_beginning_is_confirmed_is_not_expected_twice() -> None:
    services = stage()
    services.decisions["begin; savepoint; savepoint; 1/0"] = lambda sql: Decision(
        sql,
        (
            Plan("begin", "begin"),
            Plan("savepoint", "savepoint", effect=Effect(savepoint="a")),
            Plan("set", "set", effect=Effect(search_path=("x",))),
            Plan("select", "1/0"),
        ),
    )
    play = Play(services).open()
    play.client(m.Query(b"begin; savepoint; savepoint; 1/0"))
    play.server(m.CommandComplete(b"BEGIN"), m.CommandComplete(b"SAVEPOINT"), m.CommandComplete(b"SET"))
    play.server(error("22012"), FAILED)
    said(play, b"rollback to", b"ROLLBACK", IN_BLOCK)
    play.client(m.Query(b"select 1"))
    assert services.paths[-1] == ("shop",)
