"""Caps on rows and time, cancels, COPY, and what guarded errors and notices may say."""

from __future__ import annotations

import pytest

from audit.record import Stage
from policies.decision import Decision, Edit, Plan
from policies.model import Limits, RuleId, Source
from proxy.session.phase import Phase
from proxy.session.ports import CancelUpstream, StartTimer, StopTimer
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
    kinds,
    policy_of,
    sqlstates,
)

RULE = RuleId("capped/limits.rows", Source("p.yaml", 3, 5))
HEAD = m.RowDescription((column("x"),))
ROW = m.DataRow((b"1",))
SQL = "select many"
CANCELLED = error("57014")


def limited(**limits: object) -> StageServices:
    rules = {f"{name}_rule".replace("runtime_s", "runtime"): RULE for name in limits}
    return StageServices({SQL: allow(SQL, limits=Limits(**limits, **rules))})  # type: ignore[arg-type]


@pytest.mark.parametrize("split", [False, True])
def test_rows_stop_at_the_cap(split: bool) -> None:
    services = limited(rows=3)
    play = Play(services, cut=5 if split else 0).open()
    play.client(m.Query(SQL.encode()))
    play.server(HEAD, *[ROW] * 5)
    heard = play.client_hears()
    assert kinds(heard) == ["RowDescription", *["DataRow"] * 3, "ErrorResponse"]
    fields = heard[-1].fields  # type: ignore[union-attr]
    assert fields["C"] == b"57014"
    assert b"capped/limits.rows" in fields["M"]
    assert b"p.yaml:3:5" in fields["D"]
    assert play.told().count(CancelUpstream()) == 1
    play.server(ROW, CANCELLED, READY)
    assert play.client_hears() == [READY]
    assert services.statements(Stage.OUTCOME)[-1][1] == "57014"
    assert services.records[-1].rows == 3


def test_a_result_of_exactly_the_cap_is_no_error() -> None:
    play = Play(limited(rows=3)).open()
    play.client(m.Query(SQL.encode()))
    play.server(HEAD, ROW, ROW, ROW, DONE, READY)
    assert sqlstates(play.client_hears()) == []
    assert CancelUpstream() not in play.told()


def test_the_next_statement_waits_for_the_cancel() -> None:
    play = Play(limited(rows=1)).open()
    play.client(m.Query(SQL.encode()), m.Query(b"select 1"))
    play.server(HEAD, ROW, ROW)
    play.server_hears()
    play.client(m.Query(b"select 2"))
    assert play.server_hears() == []
    play.session.cancel_done()
    play.collect()
    assert play.server_hears() == [m.Query(b"select 2")]


def test_a_cut_statement_that_had_completed_fails_its_transaction() -> None:
    play = Play(limited(rows=1)).open()
    play.client(*extended(SQL), m.Sync())
    play.server_hears()
    play.server(m.ParseComplete(), m.BindComplete(), HEAD, ROW, ROW, DONE, IN_BLOCK)
    assert kinds(play.client_hears())[-1] == "ErrorResponse"
    assert play.server_hears() == [m.Query(POISON)]
    play.server(error("42601"), m.ReadyForQuery(b"E"))
    assert play.client_hears() == [m.ReadyForQuery(b"E")]


def test_what_was_pipelined_behind_a_cut_statement_is_not_shown() -> None:
    play = Play(limited(rows=1)).open()
    play.client(*extended(SQL), *extended("select 1"), m.Sync())
    play.server(m.ParseComplete(), m.BindComplete(), HEAD, ROW, ROW, DONE)
    play.server(m.ParseComplete(), m.BindComplete(), HEAD, m.DataRow((b"later",)), DONE, READY)
    assert b"later" not in play.client_bytes
    assert kinds(play.client_hears())[-2:] == ["ErrorResponse", "ReadyForQuery"]


def test_messages_behind_a_cut_are_dropped_until_sync() -> None:
    play = Play(limited(rows=1)).open()
    play.client(*extended(SQL), m.Flush())
    play.server(m.ParseComplete(), m.BindComplete(), HEAD, ROW, ROW)
    play.session.cancel_done()
    play.server_hears()
    play.client(*extended("insert"), m.Sync())
    assert play.server_hears() == [m.Sync()]


def test_a_runtime_cap_starts_when_the_server_begins_and_cuts() -> None:
    services = limited(runtime_s=2.5)
    play = Play(services).open()
    play.client(m.Query(b"select 1"), m.Query(SQL.encode()))
    assert play.told() == []
    play.server(HEAD, ROW, DONE, READY)
    (timer,) = play.told()
    assert timer == StartTimer(1, 2.5)
    play.client_hears()
    play.session.timer_fired(1)
    play.collect()
    heard = play.client_hears()
    assert sqlstates(heard) == ["57014"]
    assert b"capped/limits.rows" in heard[0].fields["M"]  # type: ignore[union-attr]
    assert CancelUpstream() in play.told()
    play.server(CANCELLED, READY)
    assert play.client_hears() == [READY]
    assert StopTimer(1) in play.told()


def test_a_timer_that_fires_late_hits_nobody() -> None:
    play = Play(limited(runtime_s=2)).open()
    play.client(m.Query(SQL.encode()))
    play.server(HEAD, ROW, DONE, READY)
    play.client(m.Query(b"select 1"))
    play.client_hears()
    play.session.timer_fired(1)
    play.collect()
    assert play.client_hears() == []


# COPY


def test_copy_in_passes_under_the_allow_everything_policy() -> None:
    services = StageServices({"copy": allow("copy", command="copy")}, policy_of(is_everything=True))
    play = Play(services).open()
    play.client(m.CopyData(b"to nothing"), m.Query(b"copy"))
    assert play.server_hears() == [m.Query(b"copy")]
    play.server(m.CopyInResponse(0, (0,)))
    play.client(m.CopyData(b"1\n"), m.CopyDone(), m.CopyData(b"too late"))
    assert play.server_hears() == [m.CopyData(b"1\n"), m.CopyDone()]
    play.server(m.CommandComplete(b"COPY 1"), READY)
    assert services.records[-1].rows == 1


def test_data_may_come_before_the_server_asks_for_it() -> None:
    services = StageServices({"copy": allow("copy", command="copy")}, policy_of(is_everything=True))
    play = Play(services).open()
    play.client(m.Parse(b"", b"copy"), m.Bind(b"", b""), m.Execute(b""), m.Sync())
    play.client(m.CopyData(b"1\n"), m.CopyDone(), m.CopyData(b"too late"), m.Sync())
    assert play.server_hears()[-4:] == [m.Sync(), m.CopyData(b"1\n"), m.CopyDone(), m.Sync()]
    play.server(m.ParseComplete(), m.BindComplete(), m.CopyInResponse(0, (0,)), m.CommandComplete(b"COPY 1"), READY)
    assert kinds(play.client_hears())[-3:] == ["CopyInResponse", "CommandComplete", "ReadyForQuery"]
    play.client(m.Query(b"select 1"), m.CopyData(b"to nothing"))
    assert play.server_hears() == [m.Query(b"select 1")]


def test_syncs_that_the_server_ignores_inside_copy_are_not_waited_for() -> None:
    services = StageServices({"copy": allow("copy", command="copy")}, policy_of(is_everything=True))
    play = Play(services).open()
    play.client(m.Parse(b"", b"copy"), m.Bind(b"", b""), m.Execute(b""), m.Sync())
    play.server(m.ParseComplete(), m.BindComplete(), m.CopyInResponse(0, (0,)))
    play.client(m.Sync(), m.CopyDone(), m.Sync())
    play.server(m.CommandComplete(b"COPY 0"), READY)
    assert kinds(play.client_hears())[-2:] == ["CommandComplete", "ReadyForQuery"]
    play.client(m.Query(b"select 1"))
    play.server(HEAD, DONE, READY)
    assert play.session.phase is Phase.OPEN


def test_copy_out_is_counted() -> None:
    services = StageServices({"copy": allow("copy", command="copy")}, policy_of(is_everything=True))
    play = Play(services).open()
    play.client(m.Query(b"copy"))
    copied = m.CommandComplete(b"COPY 2")
    play.server(m.CopyOutResponse(0, (0,)), m.CopyData(b"1\n"), m.CopyData(b"2\n"), m.CopyDone(), copied, READY)
    assert kinds(play.client_hears()).count("CopyData") == 2
    assert services.records[-1].rows == 2


LINE = m.CopyData(b"1\n")
BINARY_END = m.CopyData(b"\xff\xff")


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize(
    ("text", "format_", "sent", "shown"),
    [
        ("copy t to stdout", 0, [LINE] * 3, 3),
        ("copy t to stdout", 0, [LINE] * 4, 3),
        ("copy t to stdout (format csv, header)", 0, [LINE] * 4, 4),
        ("copy t to stdout (format csv, header)", 0, [LINE] * 5, 4),
        ("copy t to stdout (format binary)", 1, [LINE, LINE, LINE, BINARY_END], 4),
        ("copy t to stdout (format binary)", 1, [LINE, LINE, LINE, LINE, BINARY_END], 3),
    ],
)
def test_the_cap_counts_rows_that_are_copied(
    text: str, format_: int, sent: list[m.CopyData], shown: int, split: bool
) -> None:
    limits = Limits(rows=3, rows_rule=RULE)
    services = StageServices({text: allow(text, command="copy", limits=limits)})
    play = Play(services).open()
    play.client(m.Query(text.encode()))
    play.server(m.CopyOutResponse(format_, ()))
    for part in [sent] if not split else [[one] for one in sent]:
        play.server(*part)
    heard = play.client_hears()
    assert kinds(heard).count("CopyData") == shown
    assert sqlstates(heard) == ([] if shown == len(sent) else ["57014"])


def test_a_large_piece_of_copy_data_counts_too() -> None:
    services = StageServices({"copy": allow("copy", command="copy", limits=Limits(rows=1, rows_rule=RULE))})
    play = Play(services).open()
    play.client(m.Query(b"copy"))
    play.server(m.CopyOutResponse(0, ()), LINE)
    play.server_raw(b"d" + (400_004).to_bytes(4, "big") + b"x" * 300_000)
    play.server_raw(b"x" * 100_000)
    heard = play.client_hears()
    assert kinds(heard) == ["CopyOutResponse", "CopyData", "ErrorResponse"]
    assert b"xxx" not in play.client_bytes


def test_copy_that_no_plan_allowed_ends_the_session() -> None:
    play = Play().open()
    play.client(m.Query(b"select 1"))
    play.server(m.CopyOutResponse(0, (0,)), m.CopyData(b"canary"), m.CopyDone(), DONE, READY)
    assert b"canary" not in play.client_bytes
    assert sqlstates(play.client_hears()) == ["XX000"]


# errors and notices

LEAK = {"D": "Key (ssn)=(canary)", "W": "canary", "H": "canary", "s": "canary", "t": "canary", "c": "canary"}


def guarded() -> StageServices:
    edits = (Edit(7, 10, "guarded text"),)
    plan = Plan("select", SQL, is_rewritten=True, is_guarded=True)
    return StageServices({SQL: lambda sql: Decision("select guarded text", (plan,), None, edits)})


@pytest.mark.parametrize("code", ["22P02", "23505", "P0001", "XX000", "01000", "38000"])
def test_messages_that_can_quote_data_are_replaced(code: str) -> None:
    play = Play(guarded()).open()
    play.client(m.Query(SQL.encode()))
    fields = {
        key: text.encode() for key, text in {"S": "NOTICE", "V": "NOTICE", "C": code, "M": "canary", **LEAK}.items()
    }
    play.server(m.NoticeResponse(fields), error(code, "canary", **LEAK), READY)
    assert b"canary" not in play.client_bytes
    notice, answer, _ = play.client_hears()
    assert answer.fields["C"] == code.encode()  # type: ignore[union-attr]
    assert notice.fields["C"] == code.encode()  # type: ignore[union-attr]
    assert len(answer.fields["M"]) > 3  # type: ignore[union-attr]


def test_messages_that_name_objects_stay_with_their_hint() -> None:
    play = Play(guarded()).open()
    play.client(m.Query(SQL.encode()))
    play.server(error("42883", "function f(text) does not exist", H="You might", D="canary", P="25"), READY)
    fields = play.client_hears()[0].fields  # type: ignore[union-attr]
    assert fields["M"] == b"function f(text) does not exist"
    assert fields["H"] == b"You might"
    assert "D" not in fields
    assert fields["P"] == b"16"


def test_no_hint_guesses_the_name_of_a_column() -> None:
    """A write's target stands in the statement as it is, so the guess could be a blocked column."""
    play = Play(guarded()).open()
    play.client(m.Query(SQL.encode()))
    play.server(error("42703", 'column "x" does not exist', H="Perhaps you meant y", P="8"), READY)
    fields = play.client_hears()[0].fields  # type: ignore[union-attr]
    assert fields["M"] == b'column "x" does not exist'
    assert "H" not in fields


def test_a_position_inside_an_edit_is_left_out() -> None:
    play = Play(guarded()).open()
    play.client(m.Query(SQL.encode()))
    play.server(error("42703", P="9"), READY)
    assert "P" not in play.client_hears()[0].fields  # type: ignore[union-attr]


def test_errors_of_plain_statements_pass_byte_for_byte() -> None:
    play = Play().open()
    play.client(m.Query(b"select 1"))
    answer = error("22P02", 'invalid input syntax for type integer: "abc"', D="d", s="x", P="3")
    play.server(answer, READY)
    assert play.client_hears() == [answer, READY]


def test_errors_at_commit_are_scrubbed_under_a_narrow_policy() -> None:
    # Deferred constraints quote keys, and belong to no statement.
    services = StageServices({"commit": allow("commit", command="commit")})
    play = Play(services).open()
    play.client(m.Query(b"commit"))
    play.server(error("23503", "canary", D="canary"), READY)
    play.client(*extended("select 1"), m.Sync())
    play.server(m.ParseComplete(), m.BindComplete(), HEAD, DONE, error("23503", "canary", D="canary"), READY)
    assert b"canary" not in play.client_bytes
    assert sqlstates(play.client_hears()) == ["23503", "23503"]


def test_an_exception_of_our_own_ends_the_session_and_shows_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: str) -> Decision:
        raise ZeroDivisionError("canary")

    play = Play(StageServices({SQL: broken})).open()
    play.client(m.Query(SQL.encode()))
    assert sqlstates(play.client_hears()) == ["XX000"]
    assert play.server_hears() == []
    assert b"canary" not in play.client_bytes
    assert play.session.phase is Phase.ENDED
    assert any(record.exc_info for record in caplog.records)
