"""Records made from templates are, byte for byte, those that are made whole."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from audit_samples import START_US, intent, outcome
from hypothesis import given
from hypothesis import strategies as st

from audit.cost import PriceList, cost_of, price_list
from audit.lines import Lines
from audit.record import NO_HASH, Record, ShadowDecision, Stage, Verdict, body_of, completed, record_of
from audit.tariff import Tariff

PRICES = price_list(0.0005, 0.05, 0.01, "USD")
RECORD_ID = "0123456789abcdef" * 2
ID = RECORD_ID.encode()
STATEMENT_ID = "fedcba9876543210" * 2

# Characters that no store can hold (NUL, halves of surrogate pairs) among others.
odd_texts = st.text(st.characters(), max_size=12) | st.sampled_from(["", "\0", "a\0b", "\ud800", "x" * 31, "x" * 32])
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40) | odd_texts
lists = st.lists(texts, max_size=3).map(tuple) | st.just(tuple(f"shop.table{n}" for n in range(20)))
later = st.fixed_dictionaries(
    {},
    optional={
        "server_error": texts,
        "shadow_decision": st.sampled_from(ShadowDecision),
        "shadow_rule_ids": lists,
        "raw_columns": lists,
        "plan_units": st.integers(0, 2**40),
        "end_user": texts,
        "lane": texts,
        "queued_us": st.integers(0, 2**40),
        "parameters": st.lists(st.none() | texts, max_size=3).map(tuple),
    },
)
NAMES = "tenant team user database session client_address application workload trace_id shape policy_version"
LISTS = "rule_ids tables filtered_tables masked_columns"
shared = st.fixed_dictionaries(
    dict.fromkeys(NAMES.split(), texts) | dict.fromkeys(LISTS.split(), lists) | {"decision": st.sampled_from(Verdict)}
)
numbers = st.integers(0, 2**63 - 1) | st.sampled_from([0, 127, 128, 255, 256, 65535, 65536, 2**32 - 1, 2**32])
moments = st.just(START_US) | st.integers(1, 2**50)
# Each of msgpack's length classes, and bytes that are no UTF-8.
raw_texts = (
    texts.map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.binary(max_size=60)
    | st.builds(bytes.__mul__, st.sampled_from([b"x", "ä".encode(), b"\xff", b"\0"]), st.sampled_from([31, 32, 255]))
    | st.sampled_from([b"y" * 256, b"y" * 65535, b"y" * 65536, b"\xed\xa0\x80", "\ufeff€".encode()])
)
prices = st.builds(
    PriceList,
    *[st.decimals(0, 10**6, places=places) | st.just(Decimal(0)) for places in (6, 3, 12)],
    st.sampled_from(["", "USD", "\N{EURO SIGN}"]),
)


def made_whole(record: Record, at: int, **fields: Any) -> bytes:
    return body_of(completed(msgspec.structs.replace(record, **fields), RECORD_ID, at))


@given(shared, later, later, prices, moments, raw_texts)
def test_intents_are_as_if_made_whole(
    fields: dict[str, Any], more: dict[str, Any], other: dict[str, Any], prices: PriceList, at: int, text: bytes
) -> None:
    record = Record(stage=Stage.INTENT, **fields, **more)
    lines = Lines(record, Record(stage=Stage.OUTCOME, **fields, **other), prices)
    expected = made_whole(record, at, sql_text=text.decode("utf-8", "replace"))
    assert lines.intent_body(RECORD_ID.encode(), at, text) == expected


@given(
    shared, later, prices, moments, st.none() | numbers, numbers, st.integers(0, 2**50),
    st.sampled_from(["", "42501", "XX000"]) | texts, st.sampled_from([STATEMENT_ID, "s1", ""]),
)  # fmt: skip
def test_outcomes_are_as_if_made_whole(
    fields: dict[str, Any],
    more: dict[str, Any],
    prices: PriceList,
    at: int,
    rows: int | None,
    bytes_out: int,
    duration_us: int,
    sqlstate: str,
    statement_id: str,
) -> None:
    record = Record(stage=Stage.OUTCOME, **fields, **more)
    lines = Lines(Record(stage=Stage.INTENT, **fields), record, prices)
    expected = made_whole(
        record,
        at,
        statement_id=statement_id,
        rows=rows,
        bytes_out=bytes_out,
        duration_us=duration_us,
        cost=cost_of(prices, server_time_us=duration_us, bytes_out=bytes_out, plan_units=record.plan_units or 0),
        currency=prices.currency,
        sqlstate=sqlstate,
    )
    made = lines.outcome_body(RECORD_ID.encode(), statement_id.encode(), at, rows, bytes_out, duration_us, sqlstate)
    assert made == expected


@given(
    shared, later, later, prices, texts, texts, texts, raw_texts, numbers, st.booleans()
)  # fmt: skip
def test_what_a_statement_says_of_itself_stands_in_both_records(
    fields: dict[str, Any],
    more: dict[str, Any],
    other: dict[str, Any],
    prices: PriceList,
    workload: str,
    trace_id: str,
    end_user: str,
    text: bytes,
    rows: int,
    is_twice: bool,
) -> None:
    said = {"workload": workload, "trace_id": trace_id, "end_user": end_user}
    intent, outcome = Record(stage=Stage.INTENT, **fields, **more), Record(stage=Stage.OUTCOME, **fields, **other)
    base = Lines(intent, outcome, prices)
    lines = (base.spoken("other", "", "somebody") if is_twice else base).spoken(**said)
    expected = Lines(msgspec.structs.replace(intent, **said), msgspec.structs.replace(outcome, **said), prices)
    assert (base.workload, lines.workload) == (intent.workload, workload)
    assert (lines.intent, lines.outcome, lines.prices) == (expected.intent, expected.outcome, prices)
    for one in (lines, base.spoken(**said)):
        assert one.intent_body(ID, START_US, text) == expected.intent_body(ID, START_US, text)
        made = one.outcome_body(ID, ID, START_US, rows, 5, 7, "")
        assert made == expected.outcome_body(ID, ID, START_US, rows, 5, 7, "")
        assert put(one, text, rows) in ((None, None), put(expected, text, rows))
    assert base.intent_body(ID, START_US, text) == Lines(intent, outcome, prices).intent_body(ID, START_US, text)


def put(lines: Lines, text: bytes, rows: int) -> tuple[bytes | None, bytes | None]:
    """What it puts into a buffer; None where it leaves that to the other way."""
    room = bytearray(1 << 18)
    end = lines.put_intent(memoryview(room), 3, len(room) - 3, ID, START_US, text)
    first = bytes(room[3:end]) if end > 0 else None
    end = lines.put_outcome(memoryview(room), 3, len(room) - 3, ID, ID, START_US, rows, 5, 7)
    return first, bytes(room[3:end]) if end > 0 else None


@given(prices, st.integers(0, 2**62), st.integers(0, 2**62), st.integers(0, 10**9))
def test_a_tariff_asks_what_the_price_list_asks(
    prices: PriceList, duration_us: int, bytes_out: int, plan_units: int
) -> None:
    tariff = Tariff(prices, plan_units)
    cost = cost_of(prices, server_time_us=duration_us, bytes_out=bytes_out, plan_units=plan_units)
    assert tariff.packed_text(duration_us, bytes_out)[1:] == str(cost).encode()
    assert tariff.cost(duration_us, bytes_out) == cost


@pytest.mark.parametrize("duration_us", [*range(40), 500, 1500, 2500, 999_999])
def test_the_middle_between_two_costs_goes_to_the_even_one(duration_us: int) -> None:
    """0.0005 a second is half a unit of the last place per us."""
    halves = price_list(0.0005)
    cost = cost_of(halves, server_time_us=duration_us, bytes_out=0)
    assert Tariff(halves).packed_text(duration_us, 0)[1:] == str(cost).encode()


def test_templates_forget_what_differs_between_statements() -> None:
    lines = Lines(intent("s1", id="mine", at=7), outcome("s1", id="mine", at=7), PRICES)
    assert (lines.intent.id, lines.intent.statement_id, lines.intent.at, lines.intent.sql_text) == ("", "", 0, "")
    assert (lines.outcome.id, lines.outcome.statement_id, lines.outcome.at) == ("", "", 0)
    back = record_of(lines.intent_body(RECORD_ID.encode(), START_US, b"SELECT 1"), NO_HASH, NO_HASH)
    assert (back.id, back.statement_id, back.sql_text, back.tenant) == (RECORD_ID, RECORD_ID, "SELECT 1", "acme")


def test_a_negative_measure_is_written_as_it_is() -> None:
    lines = Lines(intent(), outcome("s1"), PRICES)
    back = record_of(lines.outcome_body(RECORD_ID.encode(), b"s1", START_US, -1, 5, -3, ""), NO_HASH, NO_HASH)
    assert (back.rows, back.bytes_out, back.duration_us) == (-1, 5, -3)
