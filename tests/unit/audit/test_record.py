from decimal import Decimal

import pytest
from audit_samples import START_US, intent, outcome

from audit.errors import CorruptJournalError
from audit.record import (
    FIELD_NAMES,
    NO_HASH,
    Record,
    ShadowDecision,
    Stage,
    Verdict,
    at_datetime,
    body_of,
    completed,
    hash_of,
    head_of,
    microseconds_of,
    record_of,
)


def test_fields_are_those_of_the_design_in_its_order() -> None:
    names = (
        "id stage statement_id at tenant team user database session client_address application workload trace_id "
        "shape sql_text decision rule_ids policy_version tables filtered_tables masked_columns rows bytes_out "
        "duration_us cost currency sqlstate prev_hash hash server_error shadow_decision shadow_rule_ids raw_columns "
        "plan_units end_user lane queued_us parameters"
    )
    assert " ".join(FIELD_NAMES) == names


def test_a_record_comes_back_as_it_was() -> None:
    record = completed(outcome("s1", cost=Decimal("1.5")), "ab" * 16, START_US)
    own_hash = hash_of(NO_HASH, body_of(record))
    back = record_of(body_of(record), NO_HASH, own_hash)
    assert back.cost == Decimal("1.500000000")
    assert back.stage is Stage.OUTCOME
    assert back.hash == own_hash.hex()
    assert body_of(back) == body_of(record)


def test_every_field_is_hashed() -> None:
    """An edit of any field must change the canonical bytes; the two hashes themselves are the only exceptions."""
    plain = completed(intent("s1"), "ab" * 16, START_US)
    others = {
        "stage": Stage.EVENT, "decision": Verdict.DENY, "cost": Decimal("1.000000000"), "at": 1,
        "rows": 1, "bytes_out": 1, "duration_us": 1, "shadow_decision": ShadowDecision.DENY, "plan_units": 1,
        "queued_us": 1,
    }  # fmt: skip
    for name in [name for name in FIELD_NAMES if name not in ("prev_hash", "hash")]:
        value = getattr(plain, name)
        other = others.get(name, (*value, "x") if isinstance(value, tuple) else "x")
        edited = Record(**{**{field: getattr(plain, field) for field in FIELD_NAMES}, name: other})
        assert body_of(edited) != body_of(plain), name


# Written by the first release: the samples' intent and outcome, each with its hash.
FIRST_RELEASE = (
    (
        "dc001dd9206162616261626162616261626162616261626162616261626162616261626162a6696e74656e74a27331cf0006"
        "379da05d4240a461636d65a766696e616e6365a3616461a473686f70a0a0a0a0a0a0bd73656c6563742069642066726f6d20"
        "73686f702e637573746f6d657273a77265777269746591af616e616c797374732f726f77732f31a091ae73686f702e637573"
        "746f6d65727391ae73686f702e637573746f6d65727391b473686f702e637573746f6d6572732e656d61696cc0c0c0c0a0a0"
        "a0a0",
        "fb8a1a3c27fc4b23605466f162eece3e67a9ee87d6c45d9d1686c46a9f07f35f",
    ),
    (
        "dc001dd9206364636463646364636463646364636463646364636463646364636463646364a76f7574636f6d65a27331cf00"
        "06379da05d4240a461636d65a0a3616461a0a0a0a0a0a0a0a0c090a09090900378cd05dcab312e353030303030303030a355"
        "5344a0a0a0",
        "c4745265f68e553e5d6c120bcb6fd4ba7c7eb414c27928944c73207c9633bcef",
    ),
)


@pytest.mark.parametrize(("written", "own_hash"), FIRST_RELEASE)
def test_records_of_the_first_release_hash_as_they_did(written: str, own_hash: str) -> None:
    body = bytes.fromhex(written)
    record = record_of(body, NO_HASH, bytes.fromhex(own_hash))
    assert hash_of(NO_HASH, body_of(record)).hex() == own_hash
    assert body_of(record) == body
    assert (record.server_error, record.shadow_decision, record.raw_columns, record.plan_units) == ("", None, (), None)


@pytest.mark.parametrize(
    "later",
    [
        {"server_error": "what it said"},
        {"shadow_decision": ShadowDecision.FAILED},
        {"shadow_rule_ids": ("trial/tables",)},
        {"raw_columns": ("shop.customers.email",)},
        {"plan_units": 0},
        # Its bytes end as those of the empty fields do.
        {"plan_units": 0xA0C09090C0},
        {"end_user": "grace"},
        {"lane": "bulk", "plan_units": 7},
        {"queued_us": 0},
        {"queued_us": 0xA0A0C090},
        {"parameters": ("7", None, "")},
    ],
)
def test_later_fields_come_back(later: dict[str, object]) -> None:
    record = completed(intent("s1", **later), "ab" * 16, START_US)
    back = record_of(body_of(record), NO_HASH, NO_HASH)
    assert {name: getattr(back, name) for name in later} == later
    assert body_of(back) == body_of(record)
    assert len(body_of(record)) > len(body_of(completed(intent("s1"), "ab" * 16, START_US)))


def test_an_intent_without_statement_takes_its_own_id() -> None:
    assert completed(intent(), "cd" * 16, 1).statement_id == "cd" * 16
    assert completed(intent("mine"), "cd" * 16, 1).statement_id == "mine"


def test_a_given_time_stays_and_a_missing_one_is_filled() -> None:
    assert completed(intent(at=5), "cd" * 16, 9).at == 5
    assert completed(intent(), "cd" * 16, 9).at == 9


@pytest.mark.parametrize("text", ["nul \0 inside", "lone \ud800 surrogate", "both \0\udfff"])
def test_texts_that_no_store_can_hold_are_replaced(text: str) -> None:
    body = body_of(completed(intent("s1", sql_text=text, application=text), "ab" * 16, START_US))
    back = record_of(body, NO_HASH, NO_HASH)
    assert "\0" not in back.sql_text + back.application
    back.sql_text.encode("utf-8")
    assert "inside" in back.sql_text or "surrogate" in back.sql_text or "both" in back.sql_text


def test_heads_are_read_alone() -> None:
    head = head_of(body_of(completed(outcome("s9"), "ef" * 16, 1)))
    assert (head.id, head.stage, head.statement_id) == ("ef" * 16, Stage.OUTCOME, "s9")


@pytest.mark.parametrize("garbage", [b"", b"\xff", b"\x90", b"garbage", b"\x93\x01\x02\x03"])
def test_what_is_no_record_is_said_so(garbage: bytes) -> None:
    with pytest.raises(CorruptJournalError):
        head_of(garbage)
    with pytest.raises(CorruptJournalError):
        record_of(garbage, NO_HASH, NO_HASH)


def test_times_are_exact_to_the_microsecond() -> None:
    record = intent(at=START_US + 1)
    assert microseconds_of(at_datetime(record)) == START_US + 1
