"""Records of a journal as rows of binary COPY, straight from their canonical bytes. Knows no connection and no files.

A record is cut where it differs from others: what many records share is translated once and kept. What isn't laid out
as a statement's records are is decoded and translated field by field. Both ways give the same bytes.
"""

from __future__ import annotations

import struct
from binascii import Error as HexError
from binascii import unhexlify
from decimal import Decimal
from uuid import UUID

import msgspec

from audit.copy_fields import (
    EPOCH_US,
    NULL,
    bytes_field,
    cost_field,
    int8_field,
    text_field,
    texts_field,
    timestamp_field,
)
from audit.errors import CorruptJournalError
from audit.record import Record, Stage, Verdict, record_of
from audit.store_rows import COLUMNS, ChainedRecord

_KEPT = 2048  # translations of one kind
_START = b"\xdc\x00\x1d\xd9\x20"  # as many fields as the first release had, and an id of 32 digits
_HASHES = b"\xa0\xa0"  # empty, as the body has them
_DENY = b"\xa4deny"
_INTENT = b"\xa6intent"
_OUTCOME = b"\xa7outcome"
_TIME = struct.Struct(">Q")
_LENGTH = struct.Struct(">i")
_INT8 = struct.Struct(">iq")
_NUMERIC = struct.Struct(">iHhHH4H")
_ID_LENGTH = _LENGTH.pack(16)
_HASH_LENGTH = _LENGTH.pack(32)
_STAGES = {bytes((0xA0 | len(stage),)) + stage.value.encode(): text_field(stage.value) for stage in Stage}
_DAY_US = 86_400_000_000
_LATEST_US = 1 << 53
# What stands before a number's own bytes in a field of 8 bytes, by how many bytes it has.
_INT8_STARTS = tuple(_LENGTH.pack(8) + bytes(8 - size) for size in range(9))
_LATER = b"".join((text_field(""), NULL, texts_field(()), texts_field(()), NULL))

_SPEAKER = msgspec.msgpack.Decoder(tuple[str, str, str, str, str, str, str, str, str, str])
_DECIDED = msgspec.msgpack.Decoder(
    tuple[Verdict | None, tuple[str, ...], str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]
)
_ENDING = msgspec.msgpack.Decoder(tuple[str, str])
_COST = msgspec.msgpack.Decoder(Decimal)


class OddBody(Exception):
    """A record that isn't laid out as most are."""


class RowWriter:
    """Collects the rows of one chain's records, and what else must be known of them to ship them.

    `rows` are whole rows of COLUMNS; `days` the days since 1970 of their times; `opened` the times (us) of statements
    that began and didn't end among them, by id; `closed` the ids of those that ended and had begun before.
    """

    def __init__(self, chain: str) -> None:
        self._chain = struct.pack(">H", len(COLUMNS)) + text_field(chain)
        self._speakers: dict[bytes, bytes] = {}
        self._decided: dict[bytes, bytes] = {}
        self._endings: dict[bytes, bytes] = {}
        self.begin()

    def begin(self) -> None:
        """Forgets the records; keeps the translations."""
        self.rows: list[bytes] = []
        self.days: set[int] = set()
        self.opened: dict[str, int] = {}
        self.closed: list[str] = []
        self._last_day = -1

    def add(self, number: int, prev_hash: bytes, own_hash: bytes, body: bytes) -> None:
        """Adds the record with this number. Raises CorruptJournalError if the bytes aren't a record."""
        try:
            self._add_plain(number, prev_hash, own_hash, body)
        except (OddBody, IndexError, HexError, UnicodeDecodeError, struct.error, msgspec.MsgspecError):
            self._add_odd(number, record_of(body, prev_hash, own_hash))

    def _add_odd(self, number: int, record: Record) -> None:
        try:
            self.add_record(number, record)
        except (ValueError, ArithmeticError, struct.error) as error:
            raise CorruptJournalError("these bytes are no record that a store can hold") from error

    def add_record(self, number: int, record: Record) -> None:
        """The same, from the record itself."""
        self.rows.append(self._chain + int8_field(number) + _fields_of(record))
        is_run = record.stage is Stage.INTENT and record.decision is not Verdict.DENY
        self._note(record.at, record.statement_id, is_run, record.stage is Stage.OUTCOME)

    def _add_plain(self, number: int, prev_hash: bytes, own_hash: bytes, body: bytes) -> None:
        if body[:5] != _START:
            raise OddBody
        stage_end = _text_end(body, 37)
        statement_end = _text_end(body, stage_end)
        at = _time_at(body, statement_end)
        speaker_at = statement_end + 9
        text_at = _texts_end(body, speaker_at, 10)
        text_end = _text_end(body, text_at)
        rows_at = _decided_end(body, text_end)
        bytes_at = _number_end(body, rows_at)
        duration_at = _number_end(body, bytes_at)
        cost_at = _number_end(body, duration_at)
        currency_at = cost_at + 1 if body[cost_at] == 0xC0 else _text_end(body, cost_at)
        hashes_at = _texts_end(body, currency_at, 2)
        if body[hashes_at:] != _HASHES:
            raise OddBody
        stage, decided = body[37:stage_end], body[text_end:rows_at]
        statement = body[_text_start(body, stage_end) : statement_end]
        row = b"".join(
            (
                self._chain,
                _INT8.pack(8, number),
                _ID_LENGTH,
                unhexlify(body[5:37]),
                _stage(stage),
                _LENGTH.pack(len(statement)),
                statement,
                _INT8.pack(8, at - EPOCH_US),
                self._speaker_fields(body[speaker_at:text_at]),
                _text(body[_text_start(body, text_at) : text_end]),
                self._decided_fields(decided),
                _number(body, rows_at, bytes_at),
                _number(body, bytes_at, duration_at),
                _number(body, duration_at, cost_at),
                _cost(body[cost_at:currency_at]),
                self._ending_fields(body[currency_at:hashes_at]),
                _HASH_LENGTH,
                prev_hash,
                _HASH_LENGTH,
                own_hash,
                _LATER,
            )
        )
        statement_id = statement.decode("ascii")
        self.rows.append(row)
        self._note(at, statement_id, stage == _INTENT and decided[:5] != _DENY, stage == _OUTCOME)

    def _note(self, at: int, statement_id: str, is_run: bool, is_outcome: bool) -> None:
        day = at // _DAY_US
        if day != self._last_day:
            self.days.add(day)
            self._last_day = day
        if is_run:
            self.opened[statement_id] = at
        elif is_outcome and self.opened.pop(statement_id, None) is None:
            self.closed.append(statement_id)

    def _speaker_fields(self, part: bytes) -> bytes:
        fields = self._speakers.get(part)
        if fields is None:
            fields = b"".join(map(text_field, _SPEAKER.decode(b"\x9a" + part)))
            _keep(self._speakers, part, fields)
        return fields

    def _decided_fields(self, part: bytes) -> bytes:
        fields = self._decided.get(part)
        if fields is None:
            decision, rules, version, *lists = _DECIDED.decode(b"\x96" + part)
            fields = text_field(decision) + texts_field(rules) + text_field(version) + b"".join(map(texts_field, lists))
            _keep(self._decided, part, fields)
        return fields

    def _ending_fields(self, part: bytes) -> bytes:
        fields = self._endings.get(part)
        if fields is None:
            fields = b"".join(map(text_field, _ENDING.decode(b"\x92" + part)))
            _keep(self._endings, part, fields)
        return fields


def row_of(chained: ChainedRecord) -> bytes:
    """One record's row."""
    writer = RowWriter(chained.chain)
    writer.add_record(chained.sequence, chained.record)
    return writer.rows[0]


def _keep(kept: dict[bytes, bytes], part: bytes, fields: bytes) -> None:
    if len(kept) >= _KEPT:
        kept.clear()
    kept[part] = fields


def _fields_of(record: Record) -> bytes:
    """All fields from the id on, in the order of COLUMNS."""
    return b"".join(
        (
            bytes_field(UUID(record.id).bytes),
            text_field(record.stage),
            text_field(record.statement_id),
            timestamp_field(record.at),
            text_field(record.tenant),
            text_field(record.team),
            text_field(record.user),
            text_field(record.database),
            text_field(record.session),
            text_field(record.client_address),
            text_field(record.application),
            text_field(record.workload),
            text_field(record.trace_id),
            text_field(record.shape),
            text_field(record.sql_text),
            text_field(record.decision),
            texts_field(record.rule_ids),
            text_field(record.policy_version),
            texts_field(record.tables),
            texts_field(record.filtered_tables),
            texts_field(record.masked_columns),
            int8_field(record.rows),
            int8_field(record.bytes_out),
            int8_field(record.duration_us),
            cost_field(record.cost),
            text_field(record.currency),
            text_field(record.sqlstate),
            bytes_field(bytes.fromhex(record.prev_hash)),
            bytes_field(bytes.fromhex(record.hash)),
            text_field(record.server_error),
            text_field(record.shadow_decision),
            texts_field(record.shadow_rule_ids),
            texts_field(record.raw_columns),
            int8_field(record.plan_units),
        )
    )


def _text_start(body: bytes, at: int) -> int:
    """Where the bytes of the text at `at` begin."""
    lead = body[at]
    if 0xA0 <= lead < 0xC0:
        return at + 1
    if 0xD9 <= lead <= 0xDB:
        return at + 1 + (1 << (lead - 0xD9))
    raise OddBody


def _text_end(body: bytes, at: int) -> int:
    """Where the text at `at` ends."""
    lead = body[at]
    if 0xA0 <= lead < 0xC0:
        return at + 1 + (lead - 0xA0)
    if lead == 0xD9:
        length = body[at + 1]
        return at + 2 + length
    start = _text_start(body, at)
    return start + int.from_bytes(body[at + 1 : start], "big")


def _texts_end(body: bytes, at: int, count: int) -> int:
    for _ in range(count):
        at = _text_end(body, at)
    return at


def _list_end(body: bytes, at: int) -> int:
    """Where the list of texts at `at` ends."""
    lead = body[at]
    if 0x90 <= lead < 0xA0:
        return _texts_end(body, at + 1, lead - 0x90)
    raise OddBody


def _decided_end(body: bytes, at: int) -> int:
    """Where decision, rule_ids, policy_version and the three lists end."""
    at = at + 1 if body[at] == 0xC0 else _text_end(body, at)
    at = _text_end(body, _list_end(body, at))
    return _list_end(body, _list_end(body, _list_end(body, at)))


def _number_end(body: bytes, at: int) -> int:
    """Where the number, or nil, at `at` ends."""
    lead = body[at]
    if lead < 0x80 or lead == 0xC0:
        return at + 1
    if 0xCC <= lead <= 0xCF:
        return at + 1 + (1 << (lead - 0xCC))
    raise OddBody


def _time_at(body: bytes, at: int) -> int:
    """The time at `at`, in microseconds since 1970: all times since then take 8 bytes."""
    if body[at] != 0xCF:
        raise OddBody
    (time_us,) = _TIME.unpack_from(body, at + 1)
    if time_us >= _LATEST_US:
        raise OddBody
    return int(time_us)


def _number(body: bytes, at: int, end: int) -> bytes:
    """The field of the number, or nil, between `at` and `end`."""
    lead = body[at]
    if lead == 0xC0:
        return NULL
    if end == at + 1:
        return _INT8_STARTS[1] + body[at:end]
    if lead == 0xCF and body[at + 1] >= 0x80:
        raise OddBody  # more than a bigint holds
    if end > len(body):
        raise OddBody
    return _INT8_STARTS[end - at - 1] + body[at + 1 : end]


def _stage(part: bytes) -> bytes:
    field = _STAGES.get(part)
    if field is None:
        raise OddBody
    return field


def _text(value: bytes) -> bytes:
    if not value.isascii():
        value.decode("utf-8")
    return _LENGTH.pack(len(value)) + value


def _cost(part: bytes) -> bytes:
    """The field of a cost as msgpack has it: nil, or a text."""
    if part[0] == 0xC0:
        return NULL
    if part[0] != 0xAB or part[2] != 0x2E or not (part[1:2] + part[3:]).isdigit():  # "1.234567890"
        return cost_field(_COST.decode(part))
    fraction = int(part[3:])
    whole = part[1] - 0x30
    return _NUMERIC.pack(16, 4, 0, 0, 9, whole, fraction // 100_000, fraction // 10 % 10_000, fraction % 10 * 1000)
