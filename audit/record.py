"""The audit record: its fields, its one canonical encoding and its hash. Knows nothing of files or stores."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec

from audit.cost import rounded_cost
from audit.errors import CorruptJournalError

NO_HASH = bytes(32)  # prev_hash of the first record of a chain
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Stage(StrEnum):
    """When the record was made: before a statement ran, after it, or beside any statement."""

    INTENT = "intent"
    OUTCOME = "outcome"
    EVENT = "event"


class Verdict(StrEnum):
    """What was decided about a statement."""

    ALLOW = "allow"
    REWRITE = "rewrite"
    DENY = "deny"
    HOLD = "hold"


class ShadowDecision(StrEnum):
    """What the policies in shadow mode would have decided; FAILED when they could not be asked."""

    ALLOW = "allow"
    REWRITE = "rewrite"
    DENY = "deny"
    FAILED = "failed"


class Record(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One line of the memory. Journals fill `id`, `prev_hash`, `hash`, and `at` where it is 0.

    `at` is microseconds since 1970 UTC, `duration_us` microseconds, `bytes_out` bytes, `cost` in `currency`.
    None means unknown or not applicable (`rows` of an intent). Table and column names are "schema.table" and
    "schema.table.column". For an event, `shape` is its name ("login", "policy_load") and `sql_text` one
    sentence about it; `decision` says allow or deny where the event is a decision (a failed login is a deny).
    An intent without a `statement_id` takes its own id, which its outcome must then repeat.

    `server_error` is what the server said and the client didn't read; `raw_columns` are masked columns whose real
    values the statement compared; `plan_units` is the planner's estimate in its own units.

    `end_user` is for whom a trusted principal spoke; `lane` names the workload lane, `queued_us` the microseconds that
    the statement waited for its turn; `parameters` are bind values as text, where they are kept at all (None: NULL).
    """

    id: str = ""
    stage: Stage
    statement_id: str = ""
    at: int = 0
    tenant: str = ""
    team: str = ""
    user: str = ""
    database: str = ""
    session: str = ""
    client_address: str = ""
    application: str = ""
    workload: str = ""
    trace_id: str = ""
    shape: str = ""
    sql_text: str = ""
    decision: Verdict | None = None
    rule_ids: tuple[str, ...] = ()
    policy_version: str = ""
    tables: tuple[str, ...] = ()
    filtered_tables: tuple[str, ...] = ()
    masked_columns: tuple[str, ...] = ()
    rows: int | None = None
    bytes_out: int | None = None
    duration_us: int | None = None
    cost: Decimal | None = None
    currency: str = ""
    sqlstate: str = ""
    prev_hash: str = ""
    hash: str = ""
    # Behind the first release's fields: see `body_of`.
    server_error: str = ""
    shadow_decision: ShadowDecision | None = None
    shadow_rule_ids: tuple[str, ...] = ()
    raw_columns: tuple[str, ...] = ()
    plan_units: int | None = None
    # Behind the second release's.
    end_user: str = ""
    lane: str = ""
    queued_us: int | None = None
    parameters: tuple[str | None, ...] = ()


FIELD_NAMES: tuple[str, ...] = Record.__struct_fields__
# What msgpack makes of the later fields while they say nothing: "", nil, [], [], nil, and then "", "", nil, [].
_SECOND_EMPTY = b"\xa0\xc0\x90\x90\xc0"
_THIRD_EMPTY = b"\xa0\xa0\xc0\x90"
_LATER_EMPTY = _SECOND_EMPTY + _THIRD_EMPTY


def header_of(count: int) -> bytes:
    """msgpack's, of a record with so many fields."""
    return b"\xdc" + count.to_bytes(2, "big")


class RecordHead(msgspec.Struct, frozen=True, array_like=True):
    """The first fields of a record, for those who must look at many records quickly."""

    id: str
    stage: Stage
    statement_id: str


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Record)
_HEAD_DECODER = msgspec.msgpack.Decoder(RecordHead)


def completed(record: Record, record_id: str, at: int) -> Record:
    """The record as it will be stored: with its id, a time, a rounded cost and texts any store can hold."""
    changes: dict[str, Any] = {"id": record_id, "prev_hash": "", "hash": "", "at": record.at or at}
    if record.stage == Stage.INTENT and not record.statement_id:
        changes["statement_id"] = record_id
    if record.cost is not None:
        changes["cost"] = rounded_cost(record.cost)
    return msgspec.structs.replace(record, **changes)


def body_of(record: Record) -> bytes:
    """The canonical bytes of a record, without its hashes. Journal and store both hash exactly these.

    A record whose later fields say nothing is encoded without them, each release's by themselves: byte for byte as
    before there were any, so that what was hashed then still verifies.
    """
    if record.prev_hash or record.hash:
        record = msgspec.structs.replace(record, prev_hash="", hash="")
    try:
        body = _ENCODER.encode(record)
    except UnicodeEncodeError:  # lone surrogates: the client's text wasn't UTF-8
        body = _ENCODER.encode(_with_storable_texts(record))
    else:
        # PostgreSQL's text can't hold NUL: such a record would stop the shipper for ever.
        body = body if not _has_nul(record) else _ENCODER.encode(_with_storable_texts(record))
    left_out = len(later_empty(record))
    return body if not left_out else header_of(len(FIELD_NAMES) - left_out) + body[3:-left_out]


def later_empty(record: Record) -> bytes:
    """The bytes, one for each field, of those last fields that a record's encoding leaves out."""
    if record.end_user or record.lane or record.queued_us is not None or record.parameters:
        return b""
    is_second = bool(
        record.server_error
        or record.shadow_decision is not None
        or record.shadow_rule_ids
        or record.raw_columns
        or record.plan_units is not None
    )
    return _THIRD_EMPTY if is_second else _LATER_EMPTY


def is_storable(record: Record) -> bool:
    """Whether every text of it is one that any store can hold: then `body_of` encodes them as they are."""
    return _with_storable_texts(record) == record


def hash_of(prev_hash: bytes, body: bytes) -> bytes:
    """SHA-256 over the hash before and the record's canonical bytes: the link of the chain (32 bytes)."""
    return hashlib.sha256(prev_hash + body).digest()


def record_of(body: bytes, prev_hash: bytes, own_hash: bytes) -> Record:
    """The record back from its canonical bytes. Raises CorruptJournalError if they aren't a record."""
    try:
        record = _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorruptJournalError("these bytes are not a record") from error
    return msgspec.structs.replace(record, prev_hash=prev_hash.hex(), hash=own_hash.hex())


def head_of(body: bytes) -> RecordHead:
    """Id, stage and statement id alone. Raises CorruptJournalError if the bytes aren't a record."""
    try:
        return _HEAD_DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorruptJournalError("these bytes are not a record") from error


def at_datetime(record: Record) -> datetime:
    """The record's time as an aware UTC datetime, exact to the microsecond."""
    return at_moment(record.at)


def at_moment(microseconds: int) -> datetime:
    """Microseconds since 1970 UTC as an aware datetime."""
    return _EPOCH + microseconds * _MICROSECOND


def microseconds_of(moment: datetime) -> int:
    """Microseconds since 1970 UTC of an aware datetime, exactly (floats would round)."""
    return (moment - _EPOCH) // _MICROSECOND


def _has_nul(record: Record) -> bool:
    return (
        "\0" in record.sql_text
        or "\0" in record.application
        or "\0" in record.user
        or "\0" in record.database
        or "\0" in record.workload
        or "\0" in record.trace_id
        or "\0" in record.server_error
        or "\0" in record.end_user
        or any(value is not None and "\0" in value for value in record.parameters)
    )


def _with_storable_texts(record: Record) -> Record:
    return Record(**{name: _storable(value) for name, value in msgspec.structs.asdict(record).items()})


def _storable(value: Any) -> Any:
    match value:
        case StrEnum():
            return value
        case str():
            return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
        case tuple():
            return tuple(_storable(part) for part in value)
        case _:
            return value
