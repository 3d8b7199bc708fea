"""COPY TO with masks in the stream: placed when the server begins, and nothing is shown that isn't what was decided."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies.copy_masks import CopyFormat, CopyLayout, CopyMask, CopyMasks
from policies.decision import Decision, Plan
from policies.masks import stream_form
from policies.model import AtCap, MaskSpec
from proxy.session.phase import Phase
from proxy.wire import messages as m
from proxy.wire.codec import encode
from tests.playbooks.stage import READY, Play, StageServices, error, kinds, limits, sqlstates

SECRET = b"canary@example.com"
SQL = "copy t to stdout"
OUT = m.CopyOutResponse(0, (0, 0))
LINE = m.CopyData(b"1\t" + SECRET + b"\n")
MASKED = m.CopyData(b"1\tREDACTED\n")
NULLS = m.CopyData(b"\\N\t\\N\n")
ENDING = (m.CopyDone(), m.CommandComplete(b"COPY 2"), READY)
SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = m.CopyData(b"\xff\xff")


def plan_of(**layout: object) -> Plan:
    mask = stream_form(MaskSpec("redact"), 25, "text")
    assert mask is not None
    masks = CopyMasks(CopyLayout(**layout), 2, (CopyMask(1, "shop.customers.email", mask),))  # type: ignore[arg-type]
    header = " (format csv, header)" if layout.get("has_header") else ""
    return Plan("copy", SQL + header, is_guarded=True, copy_masks=masks, masked_columns=("shop.customers.email",))


def services_of(plan: Plan) -> StageServices:
    return StageServices({SQL: lambda sql: Decision(sql, (plan,))})


def begun(services: StageServices, response: m.Message = OUT) -> Play:
    play = Play(services).open()
    play.client(m.Query(SQL.encode()))
    play.server(response)
    return play


def binary(*values: bytes) -> bytes:
    return encode(m.DataRow(values))[5:]


def test_lines_are_masked_counted_and_recorded() -> None:
    services = services_of(plan_of())
    play = begun(services)
    play.server(LINE, NULLS, *ENDING)
    assert play.client_hears() == [OUT, MASKED, NULLS, *ENDING]
    record = services.records[-1]
    assert (record.rows, record.masked_columns) == (2, ("shop.customers.email",))
    assert services.measures[-1].masked_cells == 2
    shown = (OUT, MASKED, NULLS, *ENDING[:-1])
    assert record.bytes_out == sum(
        len(encode(one)) for one in shown if not isinstance(one, m.CopyOutResponse | m.CopyDone)
    )


def test_the_extended_protocol_needs_no_description() -> None:
    play = Play(services_of(plan_of())).open()
    sent = (m.Parse(b"", SQL.encode()), m.Bind(b"", b""), m.Execute(b""), m.Sync())
    play.client(*sent)
    assert play.server_hears() == list(sent)
    play.server(m.ParseComplete(), m.BindComplete(), OUT, LINE, *ENDING)
    assert play.client_hears() == [m.ParseComplete(), m.BindComplete(), OUT, MASKED, *ENDING]


def test_a_header_is_shown_as_it_is_and_is_no_row() -> None:
    services = services_of(plan_of(format=CopyFormat.CSV, delimiter=b",", null=b"", has_header=True))
    play = begun(services)
    head = m.CopyData(b"id,email\n")
    play.server(head)
    play.server(m.CopyData(b'1,"' + SECRET + b'"\n'), *ENDING)
    assert play.client_hears() == [OUT, head, m.CopyData(b"1,REDACTED\n"), *ENDING]
    assert services.measures[-1].masked_cells == 1


def test_binary_rows() -> None:
    play = begun(services_of(plan_of(format=CopyFormat.BINARY)), m.CopyOutResponse(1, (1, 1)))
    play.server(m.CopyData(SIGNATURE + binary(b"1", SECRET)), m.CopyData(binary(b"2", SECRET)), TRAILER, *ENDING)
    masked = [m.CopyData(SIGNATURE + binary(b"1", b"REDACTED")), m.CopyData(binary(b"2", b"REDACTED")), TRAILER]
    assert play.client_hears()[1:] == [*masked, *ENDING]


@pytest.mark.parametrize(
    "response", [m.CopyOutResponse(0, (0,)), m.CopyOutResponse(0, (0,) * 3), m.CopyOutResponse(1, (1, 1))]
)
def test_nothing_is_shown_of_other_rows_than_those_decided(response: m.CopyOutResponse) -> None:
    play = begun(services_of(plan_of()), response)
    play.server(LINE, *ENDING)
    assert SECRET not in play.client_bytes
    heard = play.client_hears()
    assert (kinds(heard), sqlstates(heard)) == (["ErrorResponse", "ReadyForQuery"], ["0A000"])


@pytest.mark.parametrize(
    "given",
    [
        [LINE, m.CopyData(SECRET + b"\n")],
        [m.CopyData(b"1\t" + SECRET)],
        [m.CopyData(b"1\n2\t" + SECRET + b"\n")],
        [m.CopyData(b"")],
        [m.CopyData(SIGNATURE + binary(b"1", SECRET))],
    ],
)
def test_data_that_do_not_add_up_end_the_session(given: list[m.Message]) -> None:
    play = begun(services_of(plan_of()))
    play.server(*given, *ENDING)
    assert SECRET not in play.client_bytes
    assert play.session.phase is Phase.ENDED


def test_data_without_their_beginning_end_the_session() -> None:
    play = Play(services_of(plan_of())).open()
    play.client(m.Query(SQL.encode()))
    play.server(LINE)
    assert SECRET not in play.client_bytes
    assert play.session.phase is Phase.ENDED


def test_each_statement_of_a_text_has_its_own_masks() -> None:
    plan, open_plan = plan_of(), Plan("copy", SQL)
    services = StageServices({SQL: lambda sql: Decision(sql, (plan, open_plan, plan))})
    play = begun(services)
    complete = m.CommandComplete(b"COPY 1")
    play.server(
        LINE, m.CopyDone(), complete, OUT, LINE, m.CopyDone(), complete, OUT, LINE, m.CopyDone(), complete, READY
    )
    data = [one for one in play.client_hears() if isinstance(one, m.CopyData)]
    assert data == [MASKED, LINE, MASKED]


@pytest.mark.parametrize("at_cap", list(AtCap))
def test_caps_count_what_the_client_gets(at_cap: AtCap) -> None:
    size = len(encode(MASKED))
    for capped in (limits(rows=2, at_cap=at_cap), limits(bytes=2 * size + 1, at_cap=at_cap)):
        services = services_of(replace(plan_of(), limits=capped))
        play = begun(services)
        play.server(*[LINE] * 4, error("57014"), READY)
        assert [one for one in play.client_hears() if isinstance(one, m.CopyData)] == [MASKED, MASKED]
        assert SECRET not in play.client_bytes
        assert services.records[-1].rows == 2


def test_a_line_too_large_to_be_masked_is_refused() -> None:
    play = begun(services_of(plan_of()))
    play.client_hears()
    play.server_raw(b"d" + (100 << 20).to_bytes(4, "big") + b"1\t" + SECRET)
    play.server_raw(SECRET * 1000)
    assert SECRET not in play.client_bytes
    assert sqlstates(play.client_hears()) == ["54000"]
