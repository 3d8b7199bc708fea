"""Limits of rows and bytes that cut a result short, or off: the session stays usable and in step."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from audit.record import Stage, Verdict
from policies.decision import Decision, Effect, Plan
from policies.limits import Limit
from policies.model import AtCap
from proxy.session.phase import Phase
from proxy.session.ports import CancelUpstream
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
    limits,
    sqlstates,
)

SQL = "select many"
HEAD = m.RowDescription((column("x"),))
ROW = m.DataRow((b"1",))
ROW_BYTES = 12
SHORT = {"at_cap": AtCap.TRUNCATE}
MANY = m.CommandComplete(b"SELECT 9")
CANCELLED = error("57014")
BEGUN = m.CommandComplete(b"BEGIN")


def services_of(sql: str = SQL, command: str = "select", **given: object) -> StageServices:
    return StageServices({sql: allow(sql, command=command, limits=limits(**given))})


def notice_of(messages: Sequence[m.Message]) -> m.NoticeResponse:
    (notice,) = (x for x in messages if isinstance(x, m.NoticeResponse))
    return notice


def tags(messages: Sequence[m.Message]) -> list[bytes]:
    return [x.tag for x in messages if isinstance(x, m.CommandComplete)]


def is_usable(play: Play) -> bool:
    """The next statement goes through and its answer comes back."""
    play.session.cancel_done()
    play.collect()
    play.client_hears()
    play.server_hears()
    play.client(m.Query(b"select 1"))
    heard = play.server_hears()
    play.server(HEAD, ROW, DONE, READY)
    return heard == [m.Query(b"select 1")] and play.client_hears() == [HEAD, ROW, DONE, READY]


# cut short


@pytest.mark.parametrize("split", [False, True])
def test_a_lonely_select_is_cancelled_unseen(split: bool) -> None:
    services = services_of(rows=3, **SHORT)
    play = Play(services, cut=5 if split else 0).open()
    play.client(m.Query(SQL.encode()))
    play.server(HEAD, *[ROW] * 5)
    assert play.told().count(CancelUpstream()) == 1
    play.server(ROW, CANCELLED, READY)
    heard = play.client_hears()
    assert kinds(heard) == ["RowDescription", *["DataRow"] * 3, "NoticeResponse", "CommandComplete", "ReadyForQuery"]
    assert tags(heard) == [b"SELECT 3"]
    fields = notice_of(heard).fields
    assert fields["C"] == b"01000"
    assert fields["M"] == b"the result was cut off after 3 rows (rule capped/limits.rows)"
    assert b"p.yaml:3:5" in fields["D"]
    record = services.records[-1]
    assert (record.stage, record.rows, record.sqlstate) == (Stage.OUTCOME, 3, "01000")
    assert record.decision is not Verdict.DENY
    assert "capped/limits.rows" in record.rule_ids
    assert services.reached == [Limit.ROWS]
    assert is_usable(play)


def test_a_cancel_that_comes_too_late_changes_nothing() -> None:
    play = Play(services_of(rows=3, **SHORT)).open()
    play.client(m.Query(SQL.encode()))
    play.server(HEAD, *[ROW] * 9, MANY, READY)
    assert tags(play.client_hears()) == [b"SELECT 3"]
    play.client(m.Query(b"select 1"))
    assert play.server_hears()[-1] == m.Query(SQL.encode())
    assert Phase.OPEN is play.session.phase
    play.session.cancel_done()
    play.collect()
    assert play.server_hears() == [m.Query(b"select 1")]


def test_a_result_of_exactly_the_cap_is_whole() -> None:
    services = services_of(rows=3, **SHORT)
    play = Play(services).open()
    play.client(m.Query(SQL.encode()))
    play.server(HEAD, ROW, ROW, ROW, DONE, READY)
    assert play.client_hears() == [HEAD, ROW, ROW, ROW, DONE, READY]
    assert services.reached == []


def test_in_a_transaction_block_the_rest_is_read_unseen() -> None:
    play = Play(services_of(rows=2, **SHORT)).open()
    play.client(m.Query(b"begin"))
    play.server(BEGUN, IN_BLOCK)
    play.client_hears()
    play.client(m.Query(SQL.encode()))
    play.server(HEAD, *[ROW] * 4)
    play.server(*[ROW] * 5, MANY, IN_BLOCK)
    heard = play.client_hears()
    assert CancelUpstream() not in play.told()
    assert kinds(heard).count("DataRow") == 2
    assert tags(heard) == [b"SELECT 2"]
    assert heard[-1] == IN_BLOCK
    assert POISON not in play.server_hears()


def test_an_error_in_the_rest_is_the_statements() -> None:
    play = Play(services_of(rows=1, **SHORT)).open()
    play.client(m.Query(b"begin"), m.Query(SQL.encode()))
    play.server(BEGUN, IN_BLOCK, HEAD, ROW, ROW, error("22012"), m.ReadyForQuery(b"E"))
    heard = play.client_hears()
    assert sqlstates(heard) == ["22012"]
    assert "NoticeResponse" not in kinds(heard)


def test_of_a_text_with_several_statements_each_is_cut_by_itself() -> None:
    text = f"{SQL}; select 2; {SQL}"
    plan = Plan("select", SQL, limits=limits(rows=1, **SHORT))
    services = StageServices({text: lambda sql: Decision(sql, (plan, Plan("select", "select 2"), plan))})
    play = Play(services).open()
    play.client(m.Query(text.encode()))
    play.server(HEAD, ROW, ROW, MANY, HEAD, ROW, ROW, MANY, HEAD, ROW, ROW, MANY, READY)
    assert CancelUpstream() not in play.told()
    heard = play.client_hears()
    assert kinds(heard).count("DataRow") == 4
    assert tags(heard) == [b"SELECT 1", b"SELECT 9", b"SELECT 1"]
    assert is_usable(play)


def test_the_extended_protocol_cancels_only_what_stands_alone() -> None:
    play = Play(services_of(rows=1, **SHORT)).open()
    play.client(*extended(SQL), m.Sync())
    play.server(m.ParseComplete(), m.BindComplete(), HEAD, ROW, ROW)
    assert CancelUpstream() in play.told()
    play.server(CANCELLED, READY)
    heard = play.client_hears()
    assert kinds(heard)[-4:] == ["DataRow", "NoticeResponse", "CommandComplete", "ReadyForQuery"]
    assert is_usable(play)


@pytest.mark.parametrize("is_first", [True, False])
def test_what_was_pipelined_beside_it_runs(is_first: bool) -> None:
    """A cancel would undo the insert: both are one transaction."""
    play = Play(services_of(rows=1, **SHORT)).open()
    insert, select = extended("insert"), extended(SQL)
    play.client(*(insert + select if is_first else select + insert), m.Sync())
    inserted = m.ParseComplete(), m.BindComplete(), m.NoData(), m.CommandComplete(b"INSERT 0 1")
    selected = m.ParseComplete(), m.BindComplete(), HEAD, ROW, ROW, MANY
    play.server(*(inserted + selected if is_first else selected + inserted), READY)
    assert CancelUpstream() not in play.told()
    heard = play.client_hears()
    assert sorted(tags(heard)) == [b"INSERT 0 1", b"SELECT 1"]
    assert sqlstates(heard) == []
    assert is_usable(play)


def test_a_statement_that_may_write_is_read_to_its_end() -> None:
    sql = "with w as (insert into t values (1)) select many"
    play = Play(services_of(sql, rows=1, **SHORT)).open()
    play.client(m.Query(sql.encode()))
    play.server(HEAD, ROW, ROW)
    assert CancelUpstream() not in play.told()
    play.server(MANY, READY)
    assert tags(play.client_hears()) == [b"SELECT 1"]


def test_what_a_with_returns_of_a_write_is_not_cut_short() -> None:
    sql = "with w as (insert into t values (1) returning x) select many"
    play = Play(services_of(sql, rows=1, **SHORT)).open()
    play.client(m.Query(sql.encode()))
    play.server(HEAD, ROW, ROW)
    assert sqlstates(play.client_hears()) == ["57014"]


def test_executes_that_do_not_wait_for_each_other_are_one_portal() -> None:
    services = services_of(rows=5, **SHORT)
    play = Play(services).open()
    pieces = [m.Execute(b"p", 3)] * 3
    play.client(m.Parse(b"", SQL.encode()), m.Bind(b"p", b""), *pieces, m.Sync())
    play.server(m.ParseComplete(), m.BindComplete(), *[ROW] * 3, m.PortalSuspended())
    play.server(*[ROW] * 3, m.PortalSuspended(), *[ROW] * 3, m.CommandComplete(b"SELECT 3"), READY)
    heard = play.client_hears()
    assert kinds(heard).count("DataRow") == 5
    assert tags(heard) == [b"SELECT 2", b"SELECT 0"]
    assert sum(record.rows for record in services.records if record.stage is Stage.OUTCOME) == 5


@pytest.mark.parametrize("command", ["insert", "update", "delete", "merge"])
def test_the_rows_of_a_write_are_never_cut_short(command: str) -> None:
    play = Play(services_of("write", command, rows=1, **SHORT)).open()
    play.client(m.Query(b"write"))
    play.server(HEAD, ROW, ROW)
    assert sqlstates(play.client_hears()) == ["57014"]
    assert CancelUpstream() in play.told()


def test_a_write_that_only_its_tag_gives_away_fails_its_transaction() -> None:
    play = Play(services_of("execute", "execute", rows=1, **SHORT)).open()
    play.client(m.Query(b"begin"), m.Query(b"execute"))
    play.server(BEGUN, IN_BLOCK)
    play.server_hears()
    play.server(HEAD, ROW, ROW, m.CommandComplete(b"INSERT 0 2"), IN_BLOCK)
    heard = play.client_hears()
    assert sqlstates(heard) == ["57014"]
    assert tags(heard) == [b"BEGIN"]
    assert play.server_hears() == [m.Query(POISON)]


# portals and cursors


def test_a_portal_is_cut_over_all_its_executes_and_gives_nothing_more() -> None:
    services = services_of(rows=5, **SHORT)
    play = Play(services).open()
    play.client(m.Query(b"begin"))
    play.server(BEGUN, IN_BLOCK)
    play.client(m.Parse(b"", SQL.encode()), m.Bind(b"p", b""), m.Execute(b"p", 3), m.Sync())
    play.server(m.ParseComplete(), m.BindComplete(), *[ROW] * 3, m.PortalSuspended(), IN_BLOCK)
    play.client_hears()
    play.client(m.Execute(b"p", 3), m.Sync())
    play.server(*[ROW] * 3, m.PortalSuspended(), IN_BLOCK)
    heard = play.client_hears()
    assert kinds(heard) == ["DataRow", "DataRow", "NoticeResponse", "CommandComplete", "ReadyForQuery"]
    assert tags(heard) == [b"SELECT 2"]
    assert services.records[-1].rows == 5
    play.client(m.Execute(b"p", 3), m.Sync())
    play.server(*[ROW] * 3, m.CommandComplete(b"SELECT 3"), IN_BLOCK)
    heard = play.client_hears()
    assert kinds(heard) == ["NoticeResponse", "CommandComplete", "ReadyForQuery"]
    assert tags(heard) == [b"SELECT 0"]


def cursor(**given: object) -> StageServices:
    capped = limits(**given)
    return StageServices(
        {
            "declare": allow("declare", command="declare", effect=Effect(opens_cursor="c"), limits=capped),
            "fetch": allow("fetch", command="fetch", effect=Effect(reads_cursor="c"), limits=capped),
        }
    )


@pytest.mark.parametrize("given", [{"rows": 5}, {"bytes": 5 * ROW_BYTES + 1}])
def test_a_cursor_is_cut_over_all_its_fetches(given: dict[str, object]) -> None:
    play = Play(cursor(**given, **SHORT)).open()
    play.client(m.Query(b"begin"), m.Query(b"declare"))
    play.server(BEGUN, IN_BLOCK, m.CommandComplete(b"DECLARE CURSOR"), IN_BLOCK)
    fetched = HEAD, *[ROW] * 3, m.CommandComplete(b"FETCH 3"), IN_BLOCK
    seen: list[bytes] = []
    for _ in range(3):
        play.client(m.Query(b"fetch"))
        play.client_hears()
        play.server(*fetched)
        seen += tags(play.client_hears())
    assert seen[0] == b"FETCH 3"
    assert seen[2] == b"FETCH 0"
    assert play.client_bytes.count(b"\0\0\0\x011") <= 5


# COPY

LINE = m.CopyData(b"1\n")
BINARY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
BINARY_ROW = b"\0\x01\0\0\0\x01x"


@pytest.mark.parametrize("is_cancelled", [True, False])
def test_copy_ends_well_formed_in_text(is_cancelled: bool) -> None:
    services = services_of("copy t to stdout", "copy", rows=2, **SHORT)
    play = Play(services).open()
    play.client(m.Query(b"copy t to stdout"))
    play.server(m.CopyOutResponse(0, (0,)), *[LINE] * 4)
    play.server(*([CANCELLED, READY] if is_cancelled else [m.CopyDone(), m.CommandComplete(b"COPY 4"), READY]))
    heard = play.client_hears()
    assert kinds(heard) == [
        "CopyOutResponse", "CopyData", "CopyData", "CopyDone", "NoticeResponse", "CommandComplete", "ReadyForQuery",
    ]  # fmt: skip
    assert tags(heard) == [b"COPY 2"]
    assert services.records[-1].rows == 2
    assert is_usable(play)


def test_a_header_is_no_row() -> None:
    sql = "copy t to stdout (format csv, header)"
    play = Play(services_of(sql, "copy", rows=2, **SHORT)).open()
    play.client(m.Query(sql.encode()))
    play.server(m.CopyOutResponse(0, (0,)), m.CopyData(b"id\n"), *[LINE] * 4, CANCELLED, READY)
    heard = play.client_hears()
    assert kinds(heard).count("CopyData") == 3
    assert tags(heard) == [b"COPY 2"]


@pytest.mark.parametrize(("given", "rows"), [({"rows": 2}, 2), ({"bytes": 40}, 1), ({"bytes": 3}, 0)])
def test_copy_ends_well_formed_in_binary(given: dict[str, object], rows: int) -> None:
    play = Play(services_of("copy", "copy", **given, **SHORT)).open()
    play.client(m.Query(b"copy"))
    first = m.CopyData(BINARY_HEAD + BINARY_ROW)
    play.server(m.CopyOutResponse(1, (1,)), first, m.CopyData(BINARY_ROW), m.CopyData(BINARY_ROW))
    play.server(m.CopyData(b"\xff\xff"), m.CopyDone(), m.CommandComplete(b"COPY 3"), READY)
    heard = play.client_hears()
    data = b"".join(bytes(x.data) for x in heard if isinstance(x, m.CopyData))
    assert tags(heard) == [b"COPY %d" % rows]
    assert data == BINARY_HEAD + rows * BINARY_ROW + b"\xff\xff"
    assert kinds(heard)[-4:] == ["CopyDone", "NoticeResponse", "CommandComplete", "ReadyForQuery"]


# bytes


@pytest.mark.parametrize("split", [False, True])
def test_bytes_stop_before_the_row_that_is_too_much(split: bool) -> None:
    services = services_of(bytes=2 * ROW_BYTES + 3)
    play = Play(services, cut=7 if split else 0).open()
    play.client(m.Query(SQL.encode()))
    play.server(HEAD, *[ROW] * 5, CANCELLED, READY)
    heard = play.client_hears()
    assert kinds(heard) == ["RowDescription", "DataRow", "DataRow", "ErrorResponse", "ReadyForQuery"]
    assert sqlstates(heard) == ["57014"]
    assert b"27 bytes" in heard[-2].fields["M"]  # type: ignore[union-attr]
    assert services.records[-1].bytes_out == 2 * ROW_BYTES
    assert services.reached == [Limit.BYTES]
    assert is_usable(play)


def test_bytes_and_rows_count_side_by_side() -> None:
    play = Play(services_of(bytes=3 * ROW_BYTES, rows=2)).open()
    play.client(m.Query(SQL.encode()))
    play.server(HEAD, *[ROW] * 5)
    heard = play.client_hears()
    assert kinds(heard).count("DataRow") == 2
    assert b"2 rows" in heard[-1].fields["M"]  # type: ignore[union-attr]


@pytest.mark.parametrize("at_cap", list(AtCap))
def test_a_huge_row_above_the_cap_does_not_begin(at_cap: AtCap) -> None:
    play = Play(services_of(bytes=500_000, at_cap=at_cap)).open()
    play.client(m.Query(SQL.encode()))
    size = 600_000
    row = b"D" + (size + 10).to_bytes(4, "big") + b"\0\x01" + size.to_bytes(4, "big") + b"x" * size
    play.server(HEAD)
    play.server_raw(row[:300_000])
    play.server_raw(row[300_000:])
    assert b"xxx" not in play.client_bytes
    play.server(CANCELLED, READY)
    heard = play.client_hears()
    assert sqlstates(heard) == (["57014"] if at_cap is AtCap.ERROR else [])
    assert tags(heard) == ([] if at_cap is AtCap.ERROR else [b"SELECT 0"])
    assert is_usable(play)


def test_a_huge_row_below_the_cap_passes_and_counts() -> None:
    play = Play(services_of(bytes=700_000)).open()
    play.client(m.Query(SQL.encode()))
    size = 600_000
    row = b"D" + (size + 10).to_bytes(4, "big") + b"\0\x01" + size.to_bytes(4, "big") + b"x" * size
    play.server(HEAD)
    play.server_raw(row[:300_000])
    play.server_raw(row[300_000:])
    assert play.client_bytes.endswith(b"x" * 1000)
    play.server_raw(row[:300_000])
    assert sqlstates(play.client_hears()) == ["57014"]


def test_bytes_of_copy_are_capped() -> None:
    play = Play(services_of("copy", "copy", bytes=15)).open()
    play.client(m.Query(b"copy"))
    play.server(m.CopyOutResponse(0, (0,)), *[LINE] * 4)
    heard = play.client_hears()
    assert kinds(heard) == ["CopyOutResponse", "CopyData", "CopyData", "ErrorResponse"]


def test_the_time_cap_is_an_error_even_where_results_are_cut_short() -> None:
    services = services_of(rows=1, runtime_s=2.0, **SHORT)
    play = Play(services).open()
    play.client(m.Query(SQL.encode()))
    play.server(HEAD)
    play.session.timer_fired(1)
    play.collect()
    assert sqlstates(play.client_hears()) == ["57014"]
    assert services.reached == [Limit.RUNTIME]
    play.server(CANCELLED, READY)
    assert services.records[-1].rule_ids == ("capped/limits.rows",)
    assert is_usable(play)
