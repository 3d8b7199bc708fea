"""What the client doesn't read of the server's errors and notices goes into the record, and what functions say is
never shown under a narrow policy."""

from __future__ import annotations

import pytest

from audit.record import Record, Stage
from policies.decision import Decision, Plan
from proxy.wire import messages as m
from tests.playbooks.stage import (
    DONE,
    FAILED,
    IN_BLOCK,
    READY,
    Play,
    StageServices,
    allow,
    column,
    error,
    extended,
    policy_of,
    sqlstates,
)

SQL = "select 1/x from t"
HEAD = m.RowDescription((column("x"),))
CONTEXT = "PL/pgSQL function shop.safe_report(integer) line 3 at RAISE"


def guarded(**changes: object) -> StageServices:
    return StageServices({SQL: allow(SQL, is_guarded=True, **changes)})


def notice(code: str, message: str, **more: str) -> m.NoticeResponse:
    return m.NoticeResponse(error(code, message, "NOTICE", **more).fields)


def outcome(services: StageServices) -> Record:
    return next(record for record in reversed(services.records) if record.stage is Stage.OUTCOME)


def test_the_original_of_an_error_is_in_the_outcome() -> None:
    services = guarded()
    play = Play(services).open()
    play.client(m.Query(SQL.encode()))
    play.server(error("22P02", 'invalid input "canary"', D="Key (canary)", W="line 1", H="perhaps"), READY)
    assert b"canary" not in play.client_bytes
    expected = 'invalid input "canary"\nDETAIL: Key (canary)\nHINT: perhaps\nCONTEXT: line 1'
    assert outcome(services).server_error == expected
    assert outcome(services).sqlstate == "22P02"


def test_notices_that_were_scrubbed_stand_before_the_error() -> None:
    services = guarded()
    play = Play(services).open()
    play.client(m.Query(SQL.encode()))
    play.server(notice("00000", "first canary"), notice("01000", "second"), error("22012", "zero canary"), READY)
    assert b"canary" not in play.client_bytes
    assert outcome(services).server_error == "first canary\nsecond\nzero canary"


def test_what_the_client_read_is_not_recorded_again() -> None:
    services = guarded()
    play = Play(services).open()
    play.client(m.Query(SQL.encode()), m.Query(b"select 1"))
    play.server(error("42883", "function f(text) does not exist", H="no match", P="8"), READY)
    play.server(error("22P02", "plain", D="detail"), READY)
    assert [r.server_error for r in services.records if r.stage is Stage.OUTCOME] == ["", ""]


def test_texts_are_cut_at_eight_kibibytes_between_characters() -> None:
    services = guarded()
    play = Play(services).open()
    play.client(m.Query(SQL.encode()))
    play.server(notice("01000", "ä" * 5000), notice("01000", "more"), error("22012", "last"), READY)
    kept = outcome(services).server_error
    assert kept == "ä" * 4096


def test_bytes_that_are_no_text_are_kept_as_well_as_can_be() -> None:
    services = guarded()
    play = Play(services).open()
    play.client(m.Query(SQL.encode()))
    play.server(m.ErrorResponse({"S": b"ERROR", "V": b"ERROR", "C": b"22021", "M": b"bad \xff\xfe"}), READY)
    assert outcome(services).server_error == "bad \ufffd\ufffd"


def test_nothing_is_kept_where_texts_are_not() -> None:
    services = guarded()
    services.keeps_texts = False
    play = Play(services).open()
    play.client(m.Query(SQL.encode()))
    play.server(error("22012", "canary"), READY)
    assert outcome(services).server_error == ""


def test_a_statement_that_fails_at_parse_leaves_the_original() -> None:
    services = guarded()
    play = Play(services).open()
    play.client(m.Parse(b"", SQL.encode()), m.Sync())
    play.server(error("22012", "division by canary"), READY)
    assert [r.stage for r in services.records[-2:]] == [Stage.INTENT, Stage.OUTCOME]
    assert outcome(services).server_error == "division by canary"
    assert b"canary" not in play.client_bytes


def test_a_statement_that_fails_at_bind_has_one_record_with_the_original() -> None:
    services = guarded()
    play = Play(services).open()
    play.client(*extended(SQL), m.Sync())
    play.server(m.ParseComplete(), notice("01000", "folded canary"), error("22012", "division by canary"), READY)
    outcomes = [r for r in services.records if r.stage is Stage.OUTCOME]
    assert [r.server_error for r in outcomes] == ["folded canary\ndivision by canary"]


def test_a_notice_at_parse_that_nobody_runs_has_a_record() -> None:
    services = guarded()
    play = Play(services).open()
    play.client(m.Parse(b"", SQL.encode()), m.Sync())
    play.server(notice("01000", "folded canary"), m.ParseComplete(), READY)
    assert (outcome(services).sqlstate, outcome(services).server_error) == ("01000", "folded canary")


def test_a_deferred_constraint_at_sync_has_a_record() -> None:
    services = StageServices()
    play = Play(services).open()
    play.client(*extended("select 1"), m.Sync())
    play.server(m.ParseComplete(), m.BindComplete(), HEAD, DONE, error("23503", "canary", D="Key (1)"), READY)
    event = services.records[-1]
    assert (event.stage, event.shape, event.sqlstate) == (Stage.EVENT, "server_report", "23503")
    assert event.server_error == "canary\nDETAIL: Key (1)"
    assert b"canary" not in play.client_bytes


@pytest.mark.parametrize(
    "code", ["42501", "57014", "55000", "40001", "53400", "54000", "25000", "0A000", "28000", "P0001"]
)
@pytest.mark.parametrize("is_guarded", [True, False])
def test_a_function_chooses_its_sqlstate_but_is_never_heard(code: str, is_guarded: bool) -> None:
    services = StageServices({SQL: allow(SQL, is_guarded=is_guarded)})
    play = Play(services).open()
    play.client(m.Query(SQL.encode()))
    more = {"H": "canary hint", "D": "canary", "W": CONTEXT, "t": "canary", "P": "3"}
    play.server(notice(code, "canary", **more), error(code, "canary", **more), READY)
    assert b"canary" not in play.client_bytes
    assert sqlstates(play.client_hears()) == [code]
    assert "canary" in outcome(services).server_error


def test_a_function_is_heard_under_the_allow_everything_policy() -> None:
    services = StageServices({SQL: allow(SQL)}, policy_of(is_everything=True))
    play = Play(services).open()
    play.client(m.Query(SQL.encode()))
    play.server(error("P0001", "heard", W=CONTEXT), READY)
    assert b"heard" in play.client_bytes


@pytest.mark.parametrize(
    ("context", "is_shown"),
    [
        ('COPY t, line 3, column x: "1a"', True),
        ("PL/pgSQL function trigger() line 3 at RAISE\nCOPY t, line 3", False),
        ("COPY t, line 3\nPL/pgSQL function trigger() line 3 at RAISE", False),
    ],
)
def test_copy_tells_of_its_lines_and_triggers_do_not(context: str, is_shown: bool) -> None:
    services = StageServices({"copy": allow("copy", command="copy")})
    play = Play(services).open()
    play.client(m.Query(b"copy"))
    play.server(m.CopyInResponse(0, (0,)), error("22P02", "said", W=context), READY)
    assert (b"said" in play.client_bytes) is is_shown


@pytest.mark.parametrize("code", ["42601", "42P01", "42704", "42883", "42602", "3F000"])
def test_casts_that_fail_at_run_time_quote_values_under_codes_of_texts(code: str) -> None:
    """to_tsquery, regclass: the same codes as at parse, but without a place in the text."""
    play = Play(guarded()).open()
    play.client(m.Query(SQL.encode()), m.Query(SQL.encode()))
    play.server(error(code, "canary"), READY)
    assert b"canary" not in play.client_bytes
    play.server(error(code, "shown", P="3"), READY)
    assert b"shown" in play.client_bytes


def test_missing_rights_are_named() -> None:
    play = Play(guarded()).open()
    play.client(m.Query(SQL.encode()))
    play.server(error("42501", "permission denied for table t"), READY)
    assert b"permission denied for table t" in play.client_bytes


def test_a_fatal_error_leaves_its_original_too() -> None:
    services = guarded()
    play = Play(services).open()
    play.client(m.Query(SQL.encode()))
    play.server(error("XX000", "canary", "FATAL"))
    assert b"canary" not in play.client_bytes
    assert (outcome(services).sqlstate, outcome(services).server_error) == ("XX000", "canary")


def test_every_statement_of_a_text_keeps_its_own() -> None:
    plans = Plan("select", "a", is_guarded=True), Plan("select", "b", is_guarded=True)
    services = StageServices({"a;b": lambda sql: Decision(sql, plans)})
    play = Play(services).open()
    play.client(m.Query(b"begin"), m.Query(b"a;b"))
    play.server(m.CommandComplete(b"BEGIN"), IN_BLOCK)
    play.server(notice("01000", "of a"), HEAD, DONE, error("22012", "of b"), FAILED)
    assert [r.server_error for r in services.records if r.stage is Stage.OUTCOME] == ["", "of a", "of b"]
