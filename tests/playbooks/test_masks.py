"""Masks in the stream: where they go, and that nothing is shown when they can't be placed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies.decision import ColumnMask, Decision, Plan
from policies.masks import stream_form
from policies.model import AtCap, MaskSpec
from proxy.session.phase import Phase
from proxy.session.ports import CancelUpstream
from proxy.wire import messages as m
from proxy.wire.codec import encode
from tests.playbooks.stage import (
    DONE,
    IN_BLOCK,
    POISON,
    READY,
    Play,
    StageServices,
    column,
    error,
    kinds,
    limits,
    sqlstates,
)

SECRET = b"canary@example.com"
TABLE, ATTNUM = 16400, 4
SQL = "select id, email"
FIELDS = (column("id"), column("email", TABLE, ATTNUM))
HEAD = m.RowDescription(FIELDS)
ROW = m.DataRow((b"1", SECRET))
MASKED = m.DataRow((b"1", b"REDACTED"))


def masked_plan(count: int = 1) -> Plan:
    mask = stream_form(MaskSpec("redact"), 25, "text")
    assert mask is not None
    masks = (ColumnMask(TABLE, ATTNUM, count, mask),)
    return Plan("select", SQL, is_guarded=True, column_masks=masks, masked_columns=("shop.customers.email",))


def stage(count: int = 1) -> StageServices:
    plan = masked_plan(count)
    return StageServices({SQL: lambda sql: Decision(sql, (plan,))})


def test_a_simple_query_is_masked_by_its_row_description() -> None:
    services = stage()
    play = Play(services).open()
    play.client(m.Query(SQL.encode()))
    play.server(HEAD, ROW, ROW, m.DataRow((b"2", None)), DONE, READY)
    assert play.client_hears() == [HEAD, MASKED, MASKED, m.DataRow((b"2", None)), DONE, READY]
    assert services.measures[-1].masked_cells == 3
    assert services.records[-1].masked_columns == ("shop.customers.email",)


@pytest.mark.parametrize("formats", [(), (0,), (1,), (0, 1), (1, 0)])
def test_a_prepared_statement_is_described_unseen_and_masked_in_each_format(formats: tuple[int, ...]) -> None:
    play = Play(stage()).open()
    sent = (m.Parse(b"", SQL.encode()), m.Bind(b"", b"", (), (), formats), m.Execute(b""), m.Sync())
    play.client(*sent)
    assert play.server_hears() == [sent[0], m.Describe(b"S", b""), *sent[1:]]
    described = (m.ParameterDescription(()), HEAD)
    play.server(m.ParseComplete(), *described, m.BindComplete(), ROW, DONE, READY)
    assert play.client_hears() == [m.ParseComplete(), m.BindComplete(), MASKED, DONE, READY]


@pytest.mark.parametrize("at_cap", list(AtCap))
def test_bytes_are_counted_as_the_client_gets_them(at_cap: AtCap) -> None:
    masked_bytes = len(encode(MASKED))
    capped = limits(bytes=2 * masked_bytes + 1, at_cap=at_cap)
    services = StageServices({SQL: lambda sql: Decision(sql, (replace(masked_plan(), limits=capped),))})
    play = Play(services).open()
    play.client(m.Query(SQL.encode()))
    play.server(HEAD, *[ROW] * 4, error("57014"), READY)
    assert [x for x in play.client_hears() if isinstance(x, m.DataRow)] == [MASKED, MASKED]
    assert SECRET not in play.client_bytes
    assert services.records[-1].rows == 2


def test_a_statement_is_described_once() -> None:
    play = Play(stage()).open()
    play.client(m.Parse(b"s", SQL.encode()), m.Describe(b"S", b"s"), m.Sync())
    play.server(m.ParseComplete(), m.ParameterDescription(()), HEAD, m.ParameterDescription(()), HEAD, READY)
    assert kinds(play.client_hears()) == ["ParseComplete", "ParameterDescription", "RowDescription", "ReadyForQuery"]
    play.server_hears()
    play.client(m.Bind(b"", b"s"), m.Execute(b""), m.Sync())
    assert kinds(play.server_hears()) == ["Bind", "Execute", "Sync"]
    play.server(m.BindComplete(), ROW, DONE, READY)
    assert MASKED in play.client_hears()


@pytest.mark.parametrize(
    "fields",
    [
        (column("id"), column("email")),
        (column("id"), column("email", TABLE, 5)),
        (column("id"), column("email", TABLE + 1, ATTNUM)),
        (column("email", TABLE, ATTNUM), column("email", TABLE, ATTNUM)),
    ],
)
def test_nothing_is_shown_when_other_columns_arrive(fields: tuple[m.Field, ...]) -> None:
    head = m.RowDescription(fields)
    play = Play(stage()).open()
    play.client(m.Query(SQL.encode()))
    play.server(head, ROW, DONE, READY)
    assert SECRET not in play.client_bytes
    heard = play.client_hears()
    assert (kinds(heard), sqlstates(heard)) == (["ErrorResponse", "ReadyForQuery"], ["0A000"])

    play = Play(stage()).open()
    play.client(m.Parse(b"", SQL.encode()), m.Bind(b"", b""), m.Execute(b""), m.Sync())
    play.server(m.ParseComplete(), m.ParameterDescription(()), head, m.BindComplete(), ROW, DONE, READY)
    assert SECRET not in play.client_bytes
    heard = play.client_hears()
    assert kinds(heard) == ["ParseComplete", "BindComplete", "ErrorResponse", "ReadyForQuery"]


def test_rows_without_a_description_end_the_session() -> None:
    play = Play(stage()).open()
    play.client(m.Query(SQL.encode()))
    play.server(ROW, DONE, READY)
    assert SECRET not in play.client_bytes
    assert sqlstates(play.client_hears()) == ["XX000"]


def test_a_row_of_another_width_ends_the_session() -> None:
    play = Play(stage()).open()
    play.client(m.Query(SQL.encode()))
    play.server(HEAD, m.DataRow((b"1", b"2", SECRET)), DONE, READY)
    assert SECRET not in play.client_bytes
    assert play.session.phase is Phase.ENDED


def test_a_failure_in_a_transaction_fails_the_transaction_too() -> None:
    play = Play(stage(2)).open()
    play.client(m.Query(SQL.encode()))
    play.server_hears()
    play.server(HEAD, ROW, DONE, IN_BLOCK)
    assert play.server_hears() == [m.Query(POISON)]
    assert CancelUpstream() in play.told()
    play.server(error("42601"), m.ReadyForQuery(b"E"))
    assert kinds(play.client_hears()) == ["ErrorResponse", "ReadyForQuery"]
    assert SECRET not in play.client_bytes


def test_rows_without_masks_are_one_slice_of_what_arrived() -> None:
    play = Play().open()
    play.session.client_data(b"Q\0\0\0\x0dselect 1\0")
    play.session.take_outbox()
    row = b"D\0\0\0\x0b\0\1\0\0\0\1x"
    chunk = row * 1000
    play.session.server_data(chunk)
    (slice_,) = play.session.take_outbox().to_client
    assert isinstance(slice_, memoryview)
    assert slice_.obj is chunk
    assert len(slice_) == len(chunk)


def test_a_huge_row_passes_in_parts_and_counts_once() -> None:
    services = StageServices()
    play = Play(services).open()
    play.client(m.Query(b"select 1"))
    play.server(m.RowDescription((column("x"),)))
    before = len(play.client_bytes)
    head = b"D" + (1_000_010).to_bytes(4, "big") + b"\0\1" + (1_000_000).to_bytes(4, "big")
    play.server_raw(head + b"x" * 10)
    assert len(play.client_bytes) - before == 21
    play.server_raw(b"x" * 999_990)
    play.server(DONE, READY)
    assert kinds(play.client_hears()) == ["RowDescription", "DataRow", "CommandComplete", "ReadyForQuery"]
    assert services.measures[-1].rows == 1


def test_a_huge_row_that_must_be_masked_is_refused_by_its_header() -> None:
    play = Play(stage()).open()
    play.client(m.Query(SQL.encode()))
    play.server(HEAD)
    play.client_hears()
    size = 100 << 20
    play.session.server_data(b"D" + size.to_bytes(4, "big") + SECRET)
    play.collect()
    play.session.server_data(SECRET * 1000)
    play.collect()
    assert SECRET not in play.client_bytes
    assert sqlstates(play.client_hears()) == ["54000"]
