"""Columns of ours at the end of a written row: no message shows them, and a check that fails is a refusal."""

from __future__ import annotations

import pytest

from audit.record import Stage, Verdict
from policies.decision import CHECK_TOKEN, Decision, Plan, Refusal
from proxy.session.phase import Phase
from proxy.wire import messages as m
from tests.playbooks.stage import POISON, READY, Play, StageServices, column, error, kinds, sqlstates

CHECK = Refusal("42501", "analysts/rows[0]", 'new row violates the row filter for table "t"')
OURS = column("case", type_oid=23)
INSERTED = m.CommandComplete(b"INSERT 0 3")
FAILED_CHECK = error("22P02", f'invalid input syntax for type integer: "{CHECK_TOKEN}16400"')
PARAMETERS = m.ParameterDescription((25,))
SYNTAX = error("42601")


def services(is_all: bool) -> StageServices:
    def decide(sql: str) -> Decision:
        plan = Plan(
            "insert", sql, is_rewritten=True, is_guarded=True, hidden_columns=1, is_all_hidden=is_all, check=CHECK
        )
        return Decision(sql + " returning ours", (plan,))

    return StageServices({"insert": decide})


def test_a_write_without_rows_shows_its_completion_alone() -> None:
    made = services(is_all=True)
    play = Play(made).open()
    play.client(m.Query(b"insert"))
    play.server(m.RowDescription((OURS,)), *[m.DataRow((None,))] * 3, INSERTED, READY)
    assert play.client_hears() == [INSERTED, READY]
    assert made.records[-1].rows == 3
    assert made.measures[-1].bytes_out == len(b"C....INSERT 0 3\0")


def test_returned_rows_lose_our_column() -> None:
    play = Play(services(is_all=False)).open()
    play.client(m.Query(b"insert"))
    play.server(m.RowDescription((column("id"), OURS)), m.DataRow((b"1", None)), m.DataRow((None, None)), READY)
    assert play.client_hears() == [
        m.RowDescription((column("id"),)),
        m.DataRow((b"1",)),
        m.DataRow((None,)),
        READY,
    ]


def test_a_write_without_rows_has_no_data_when_described() -> None:
    play = Play(services(is_all=True)).open()
    play.client(m.Parse(b"", b"insert"), m.Describe(b"S", b""), m.Bind(b"", b"", (), (b"x",), (0, 1)))
    play.client(m.Describe(b"P", b""), m.Execute(b"", 1), m.Sync())
    heard = play.server_hears()
    assert kinds(heard) == ["Parse", "Describe", "Bind", "Describe", "Execute", "Sync"]
    assert heard[2] == m.Bind(b"", b"", (), (b"x",))
    assert heard[4] == m.Execute(b"", 0)
    ours = m.RowDescription((OURS,))
    play.server(m.ParseComplete(), PARAMETERS, ours, m.BindComplete(), ours, m.DataRow((None,)), INSERTED, READY)
    told = play.client_hears()
    assert told == [m.ParseComplete(), PARAMETERS, m.NoData(), m.BindComplete(), m.NoData(), INSERTED, READY]


@pytest.mark.parametrize(("given", "sent"), [((), ()), ((1,), (1,)), ((1, 0), (1, 0, 0))])
def test_a_format_for_each_column_needs_one_more(given: tuple[int, ...], sent: tuple[int, ...]) -> None:
    play = Play(services(is_all=False)).open()
    play.client(m.Parse(b"", b"insert"), m.Bind(b"", b"", (), (), given), m.Execute(b"", 1), m.Sync())
    heard = play.server_hears()
    assert heard[1:] == [
        m.Describe(b"S", b""),
        m.Bind(b"", b"", (), (), sent),
        m.Execute(b"", 1),
        m.Sync(),
    ]
    head = m.RowDescription((column("id"), column("name"), OURS))
    row = m.DataRow((b"1", b"x", None))
    play.server(m.ParseComplete(), PARAMETERS, head, m.BindComplete(), row, m.PortalSuspended(), READY)
    told = play.client_hears()
    assert told == [m.ParseComplete(), m.BindComplete(), m.DataRow((b"1", b"x")), m.PortalSuspended(), READY]


@pytest.mark.parametrize("is_extended", [False, True])
def test_a_check_that_fails_is_the_plans_refusal(is_extended: bool) -> None:
    made = services(is_all=True)
    play = Play(made).open()
    if is_extended:
        play.client(m.Parse(b"", b"insert"), m.Bind(b"", b""), m.Execute(b""), m.Sync())
        play.server(m.ParseComplete(), m.BindComplete(), FAILED_CHECK, READY)
    else:
        play.client(m.Query(b"insert"))
        play.server(FAILED_CHECK, READY)
    told = play.client_hears()
    assert sqlstates(told) == ["42501"]
    assert told[-2].fields["M"].startswith(b"new row violates the row filter")  # type: ignore[union-attr]
    assert CHECK_TOKEN.encode() not in play.client_bytes
    outcome = made.records[-1]
    assert (outcome.stage, outcome.decision, outcome.sqlstate) == (Stage.OUTCOME, Verdict.DENY, "42501")
    assert outcome.rule_ids == ("analysts/rows[0]",)


def test_the_token_means_nothing_without_a_check() -> None:
    play = Play().open()
    play.client(m.Query(b"select 'token'::int"))
    play.server(FAILED_CHECK, READY)
    assert sqlstates(play.client_hears()) == ["22P02"]


@pytest.mark.parametrize("fields", [(), (column("id"), OURS)])
def test_other_columns_than_decided_show_nothing(fields: tuple[m.Field, ...]) -> None:
    play = Play(services(is_all=True)).open()
    play.client(m.Query(b"insert"))
    play.server(m.RowDescription(fields), INSERTED, READY)
    assert sqlstates(play.client_hears()) == ["0A000"]
    play = Play(services(is_all=True)).open()
    play.client(m.Parse(b"", b"insert"), m.Describe(b"S", b""), m.Sync())
    play.server(m.ParseComplete(), PARAMETERS, m.RowDescription(fields), READY)
    assert play.session.phase is Phase.ENDED


def test_a_write_without_rows_runs_once_for_each_portal() -> None:
    play = Play(services(is_all=True)).open()
    play.client(m.Parse(b"", b"insert"), m.Bind(b"", b""), m.Execute(b""), m.Execute(b""), m.Sync())
    assert play.server_hears()[-3:] == [m.Execute(b""), m.Parse(b"pgwarden_refused", POISON), m.Sync()]
    play.server(m.ParseComplete(), m.BindComplete(), m.DataRow((None,)), INSERTED, SYNTAX, READY)
    told = play.client_hears()
    assert kinds(told) == ["ParseComplete", "BindComplete", "CommandComplete", "ErrorResponse", "ReadyForQuery"]
    assert sqlstates(told) == ["55000"]


def test_our_column_in_parts_is_never_handed_on() -> None:
    play = Play(services(is_all=False)).open()
    play.client(m.Query(b"insert"))
    play.server(m.RowDescription((column("id"), OURS)))
    play.client_hears()
    before = len(play.client_bytes)
    play.server_raw(b"D" + (300_014).to_bytes(4, "big") + b"\0\2" + (300_000).to_bytes(4, "big") + b"x" * 280_000)
    assert len(play.client_bytes) == before
    play.server_raw(b"x" * 20_000 + b"\xff\xff\xff\xff")
    assert play.client_hears() == [m.DataRow((b"x" * 300_000,))]
