"""A record's row is the same whether it was cut out of its bytes or translated field by field."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from audit_samples import START_US, intent, outcome
from hypothesis import given
from hypothesis import strategies as st

from audit.copy_rows import RowWriter
from audit.errors import CorruptJournalError
from audit.record import Record, ShadowDecision, Stage, Verdict, body_of, completed, record_of

PREV_HASH, OWN_HASH = b"p" * 32, b"o" * 32
RECORD_ID = "0123456789abcdef" * 2
DAY = START_US // 86_400_000_000

texts = st.text(max_size=40) | st.sampled_from(["", "x" * 32, "ä" * 200, "y" * 70_000])
lists = st.lists(texts, max_size=3).map(tuple) | st.just(tuple(f"shop.table{n}" for n in range(20)))
numbers = st.none() | st.integers(-3, 2**63 - 1) | st.sampled_from([0, 127, 128, 255, 256, 65535, 65536, 2**32])
costs = (
    st.none() | st.decimals(-5, 10**12, places=9) | st.integers(0, 2000).map(lambda units: Decimal(units).scaleb(-9))
)
TEXTS = "tenant team user database session client_address application workload trace_id shape sql_text policy_version"
records = st.fixed_dictionaries(
    dict.fromkeys(f"{TEXTS} currency sqlstate".split(), texts)
    | dict.fromkeys(["rule_ids", "tables", "filtered_tables", "masked_columns"], lists)
    | dict.fromkeys(["rows", "bytes_out", "duration_us"], numbers)
    | {"statement_id": texts | st.just("fedcba9876543210" * 2)}
    | {"stage": st.sampled_from(Stage), "decision": st.none() | st.sampled_from(Verdict), "cost": costs},
    optional={
        "server_error": texts,
        "shadow_decision": st.sampled_from(ShadowDecision),
        "raw_columns": lists,
        "plan_units": st.integers(0, 2**40),
        "end_user": texts,
        "lane": texts,
        "queued_us": st.integers(0, 2**40),
        "parameters": st.lists(st.none() | texts, max_size=3).map(tuple),
    },
)


def both_ways(record: Record, at: int = START_US) -> tuple[RowWriter, RowWriter]:
    body = body_of(completed(record, RECORD_ID, at))
    cut, translated = RowWriter("chain/0"), RowWriter("chain/0")
    cut.add(7, PREV_HASH + OWN_HASH + body)
    translated.add_record(7, record_of(body, PREV_HASH, OWN_HASH))
    return cut, translated


@given(records, st.sampled_from([START_US, 1, 2**52]))
def test_both_ways_give_the_same(fields: dict[str, Any], at: int) -> None:
    cut, translated = both_ways(Record(**fields), at)
    assert cut.rows == translated.rows
    assert (cut.days, cut.opened, cut.closed) == (translated.days, translated.opened, translated.closed)


def test_translations_are_kept_between_batches() -> None:
    writer = RowWriter("chain/0")
    made = []
    for number in range(1, 4):
        writer.begin()
        body = body_of(completed(intent(f"s{number}", tenant=f"t{number % 2}"), RECORD_ID, START_US))
        writer.add(number, PREV_HASH + OWN_HASH + body)
        made.append(bytes(writer.rows))
        assert writer.rows == both_rows(number, body)
    assert len(set(made)) == 3


def both_rows(number: int, body: bytes) -> bytearray:
    writer = RowWriter("chain/0")
    writer.add_record(number, record_of(body, PREV_HASH, OWN_HASH))
    return writer.rows


def test_statements_under_way_are_known() -> None:
    writer = RowWriter("chain/0")
    sent = [intent("a"), outcome("a"), intent("b"), outcome("earlier"), intent("c", decision=Verdict.DENY)]
    for number, record in enumerate(sent, 1):
        writer.add(number, PREV_HASH + OWN_HASH + body_of(completed(record, RECORD_ID, START_US)))
    assert writer.opened == {b"b": START_US}
    assert writer.closed == [b"earlier"]
    assert writer.count == len(sent)
    assert writer.days == {DAY}


@given(st.data())
def test_edited_bytes_are_a_record_or_said_to_be_none(data: st.DataObject) -> None:
    """Who can write to the journal can put anything behind a true hash: no bytes may stop the shipper."""
    record = data.draw(st.sampled_from([intent(RECORD_ID), outcome(RECORD_ID), intent("s1"), outcome("s1")]))
    body = bytearray(body_of(completed(record, RECORD_ID, START_US)))
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    cut_off = bytes(body[: data.draw(st.integers(0, len(body)))])
    for garbage in (bytes(body), cut_off, bytes(body) + b"\xc0"):
        writer = RowWriter("chain/0")
        try:
            writer.add(7, PREV_HASH + OWN_HASH + garbage)
        except CorruptJournalError:
            assert writer.rows == b""
            continue
        assert writer.rows == both_rows(7, garbage)


@pytest.mark.parametrize("record_id", ["", "short", "z" * 32])
def test_a_record_that_no_store_can_hold_is_passed_over(record_id: str) -> None:
    record = msgspec.structs.replace(intent("s1"), id=record_id, at=START_US)
    writer = RowWriter("chain/0")
    with pytest.raises(CorruptJournalError):
        writer.add(1, PREV_HASH + OWN_HASH + body_of(record))
    assert writer.rows == b""
    assert writer.count == 0
