"""Records of a journal as rows of binary COPY, straight from their canonical bytes. Knows no connection and no files.

A record is cut where it differs from others: what many records share is translated once and kept. What isn't laid out
as a statement's records are is decoded and translated field by field. Both ways give the same bytes.
"""

from __future__ import annotations

import struct
from decimal import Decimal
from uuid import UUID

import msgspec

from audit.copy_fields import (
    COPY_END,
    COPY_START,
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
from audit.record import Record, ShadowDecision, Stage, Verdict, record_of
from audit.store_rows import COLUMNS, ChainedRecord

_BODY_AT = 64  # of what `add` is given: two hashes stand before it
_KEPT = 2048  # translations of one kind
_HEADER = b"\xdc\x00"  # a list whose length's lower byte comes next
_ID_HEADER = b"\xd9\x20"  # of 32 digits
_FIRST_COUNT = 29  # fields that the first release had; later ones are left out while they say nothing
_SECOND_COUNT = 34
_THIRD_COUNT = 38
_STATEMENT = b"\xd9\x20"  # a statement's id of 32 digits
_HASHES = b"\xa0\xa0"  # empty, as the body has them
_DENY = b"\xa4deny"
_INTENT = b"\xa6intent"
_OUTCOME = b"\xa7outcome"
_DAY_US = 86_400_000_000
_LATEST_US = 1 << 53
_NO_DIGIT = 16
_DIGITS = bytes(b"0123456789abcdef".find(byte) % 17 for byte in range(256))  # what a hexadecimal digit means
_EPOCH_US = EPOCH_US  # names of other modules have no types
_NULL = NULL
_SECOND = (text_field(""), NULL, texts_field(()), texts_field(()), NULL)
_THIRD = (text_field(""), text_field(""), NULL, texts_field(()))
_THIRD_EMPTY = b"".join(_THIRD)
_LATER_EMPTY = b"".join(_SECOND) + _THIRD_EMPTY
_NO_TEXTS = texts_field(())
_EMPTY_INT8 = int8_field(0)
_EMPTY_COST = cost_field(Decimal(0))

_SPEAKER = msgspec.msgpack.Decoder(tuple[str, str, str, str, str, str, str, str])
_DECIDED = msgspec.msgpack.Decoder(
    tuple[Verdict | None, tuple[str, ...], str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]
)
_ENDING = msgspec.msgpack.Decoder(tuple[str, str])
_SHADOWED = msgspec.msgpack.Decoder(tuple[ShadowDecision | None, tuple[str, ...], tuple[str, ...]])
_COST = msgspec.msgpack.Decoder(Decimal)


class OddBody(Exception):
    """A record that isn't laid out as most are."""


class RowWriter:
    """Collects the rows of one chain's records, and what else must be known of them to ship them.

    `rows` are whole rows of COLUMNS, `count` how many; `days` the days since 1970 of their times; `opened` the times
    (us) of statements that began and didn't end among them, by id; `closed` the ids of those that ended and had begun
    before.
    """

    def __init__(self, chain: str) -> None:
        self._chain = struct.pack(">H", len(COLUMNS)) + text_field(chain)
        # What stands before the speaker's fields, with room for the number, the ids and the time.
        self._intent = bytearray(self._chain + _head("intent"))
        self._outcome = bytearray(self._chain + _head("outcome"))
        self._int8 = bytearray(_EMPTY_INT8)
        self._cost = bytearray(_EMPTY_COST)
        self._length = bytearray(4)
        self._hashes = bytearray(2 * bytes_field(bytes(32)))
        self._speakers: dict[bytes, bytes] = {}
        self._decided: dict[bytes, bytes] = {}
        self._endings: dict[bytes, bytes] = {}
        self._shadowed: dict[bytes, bytes] = {}
        self._costs: dict[bytes, bytes] = {}
        self.begin()

    def begin(self) -> None:
        """Forgets the records; keeps the translations. What `rows` was belongs to who took it."""
        self.rows = bytearray()
        self.count = 0
        self.days: set[int] = set()
        self.opened: dict[bytes, int] = {}
        self.closed: list[bytes] = []
        self._last_day = -1

    def stream(self) -> bytearray:
        """The rows as a whole stream of binary COPY; `begin` comes next."""
        self.rows[:0] = COPY_START
        self.rows += COPY_END
        return self.rows

    def add(self, number: int, record: bytes) -> None:
        """Adds the record with this number: its previous and its own hash, and its body.

        Raises CorruptJournalError if the bytes aren't a record.
        """
        end = len(self.rows)
        try:
            self._add_plain(number, record)
        except (OddBody, IndexError, UnicodeDecodeError, msgspec.MsgspecError):
            del self.rows[end:]
            self._add_odd(number, record_of(record[_BODY_AT:], record[:32], record[32:_BODY_AT]))

    def _add_odd(self, number: int, record: Record) -> None:
        try:
            self.add_record(number, record)
        except (ValueError, ArithmeticError, struct.error) as error:
            raise CorruptJournalError("these bytes are no record that a store can hold") from error

    def add_record(self, number: int, record: Record) -> None:
        """The same, from the record itself."""
        self.rows += self._chain + int8_field(number) + _fields_of(record)
        is_run = record.stage is Stage.INTENT and record.decision is not Verdict.DENY
        self._note(record.at, record.statement_id.encode("utf-8"), is_run, record.stage is Stage.OUTCOME)

    def _add_plain(self, number: int, record: bytes) -> None:
        is_intent = _has(record, _BODY_AT + 37, _INTENT)
        statement_at = _BODY_AT + (44 if is_intent else 45)
        is_plain = is_intent or _has(record, _BODY_AT + 37, _OUTCOME)
        if not is_plain or not _has(record, _BODY_AT, _HEADER) or not _has(record, _BODY_AT + 3, _ID_HEADER):
            raise OddBody
        if not _has(record, statement_at, _STATEMENT):
            raise OddBody
        at = _number_at(record, statement_at + 35, 8)
        if record[statement_at + 34] != 0xCF or at >= _LATEST_US:
            raise OddBody
        statement = cut(record, statement_at + 2, statement_at + 34)
        rows = self.rows
        head = self._intent if is_intent else self._outcome
        self._fill_head(head, number, record, statement, at)
        rows += head
        speaker_at = statement_at + 43
        trace_at = _texts_end(record, speaker_at, 8)
        rows += self._speaker_fields(cut(record, speaker_at, trace_at))
        # Trace id and text are each statement's own.
        text_end = self._put_text_at(record, self._put_text_at(record, self._put_text_at(record, trace_at)))
        decided_end = _decided_end(record, text_end)
        decided = cut(record, text_end, decided_end)
        rows += self._decided_fields(decided)
        cost_at = self._put_number(record, self._put_number(record, self._put_number(record, decided_end)))
        currency_at = self._put_cost(record, cost_at)
        hashes_at = _texts_end(record, currency_at, 2)
        if not _has(record, hashes_at, _HASHES):
            raise OddBody
        rows += self._ending_fields(cut(record, currency_at, hashes_at))
        self._put_hashes(record)
        if self._put_later(record, hashes_at + 2, record[_BODY_AT + 2]) != len(record):
            raise OddBody
        self._note(at, statement, is_intent and not _has(decided, 0, _DENY), not is_intent)

    def _fill_head(self, head: bytearray, number: int, record: bytes, statement: bytes, at: int) -> None:
        """Number, id, statement's id and time, where `_head` has left room for them."""
        place = len(self._chain) + 4
        _put_int8(head, place, number)
        place += 12
        for index in range(16):
            high, low = _DIGITS[record[_BODY_AT + 5 + 2 * index]], _DIGITS[record[_BODY_AT + 6 + 2 * index]]
            if high >= _NO_DIGIT or low >= _NO_DIGIT:
                raise OddBody
            head[place + index] = 16 * high + low
        place = len(head) - 44
        for index in range(32):
            byte = statement[index]
            if byte >= 0x80:
                raise OddBody
            head[place + index] = byte
        _put_int8(head, place + 36, at - _EPOCH_US)

    def _put_later(self, record: bytes, at: int, count: int) -> int:
        """The later releases' fields, as far as a record of so many fields has them; gives where they end."""
        rows = self.rows
        if count == _FIRST_COUNT:
            rows += _LATER_EMPTY
            return at
        if count != _SECOND_COUNT and count != _THIRD_COUNT:
            raise OddBody
        shadowed_at = self._put_text_at(record, at)
        units_at = shadowed_at + 1 if record[shadowed_at] == 0xC0 else _text_end(record, shadowed_at)
        units_at = _list_end(record, _list_end(record, units_at))
        rows += self._shadowed_fields(cut(record, shadowed_at, units_at))
        end = self._put_number(record, units_at)
        if count == _SECOND_COUNT:
            rows += _THIRD_EMPTY
            return end
        end = self._put_number(record, self._put_text_at(record, self._put_text_at(record, end)))
        if record[end] != 0x90:
            raise OddBody  # parameters
        rows += _NO_TEXTS
        return end + 1

    def _put_text_at(self, record: bytes, at: int) -> int:
        """The field of the text at `at`; gives where it ends."""
        end = _text_end(record, at)
        self._put_text(cut(record, _text_start(record, at), end))
        return end

    def _put_text(self, value: bytes) -> None:
        if not value.isascii():
            value.decode("utf-8")
        size = len(value)
        for index in range(4):
            self._length[3 - index] = size & 0xFF
            size >>= 8
        self.rows += self._length
        self.rows += value

    def _put_number(self, record: bytes, at: int) -> int:
        """The field of the number, or nil, at `at`; gives where it ends."""
        lead = record[at]
        if lead == 0xC0:
            self.rows += _NULL
            return at + 1
        if lead < 0x80:
            value, end = lead, at + 1
        elif 0xCC <= lead <= 0xCF:
            end = at + 1 + (1 << (lead - 0xCC))
            value = _number_at(record, at + 1, end - at - 1)
        else:
            raise OddBody
        _put_int8(self._int8, 4, value)
        self.rows += self._int8
        return end

    def _put_cost(self, record: bytes, at: int) -> int:
        """The field of the cost at `at`: nil, or a text; gives where it ends."""
        if record[at] == 0xC0:
            self.rows += _NULL
            return at + 1
        whole, fraction = record[at + 1] - 0x30, 0
        is_usual = record[at] == 0xAB and 0 <= whole <= 9 and record[at + 2] == 0x2E  # "1.234567890"
        for index in range(3, 12 if is_usual else 3):
            digit = record[at + index] - 0x30
            is_usual = is_usual and 0 <= digit <= 9
            fraction = 10 * fraction + digit
        if not is_usual:
            end = _text_end(record, at)
            self.rows += self._cost_fields(cut(record, at, end))
            return end
        cost = self._cost
        cost[13] = whole
        _put_int2(cost, 14, fraction // 100_000)
        _put_int2(cost, 16, fraction // 10 % 10_000)
        _put_int2(cost, 18, fraction % 10 * 1000)
        self.rows += cost
        return at + 12

    def _put_hashes(self, record: bytes) -> None:
        """Both hashes."""
        hashes = self._hashes
        for index in range(32):
            hashes[4 + index] = record[index]
            hashes[40 + index] = record[32 + index]
        self.rows += hashes

    def _note(self, at: int, statement_id: bytes, is_run: bool, is_outcome: bool) -> None:
        self.count += 1
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
            fields = b"".join(map(text_field, _SPEAKER.decode(b"\x98" + part)))
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

    def _shadowed_fields(self, part: bytes) -> bytes:
        fields = self._shadowed.get(part)
        if fields is None:
            decision, *lists = _SHADOWED.decode(b"\x93" + part)
            fields = text_field(decision) + b"".join(map(texts_field, lists))
            _keep(self._shadowed, part, fields)
        return fields

    def _cost_fields(self, part: bytes) -> bytes:
        fields = self._costs.get(part)
        if fields is None:
            fields = cost_field(_COST.decode(part))
            _keep(self._costs, part, fields)  # the smallest are "7.50E-7", and soon known
        return fields


def row_of(chained: ChainedRecord) -> bytes:
    """One record's row."""
    writer = RowWriter(chained.chain)
    writer.add_record(chained.sequence, chained.record)
    return bytes(writer.rows)


def _head(stage: str) -> bytes:
    """Number, id, stage, statement's id and time, empty."""
    ids = bytes_field(bytes(16)) + text_field(stage) + bytes_field(bytes(32))
    return _EMPTY_INT8 + ids + _EMPTY_INT8


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
            text_field(record.end_user),
            text_field(record.lane),
            int8_field(record.queued_us),
            texts_field(record.parameters),
        )
    )


def cut(data: bytes, start: int, end: int) -> bytes:
    """data[start:end], which must lie within. Raises IndexError."""
    if not 0 <= start <= end <= len(data):
        raise IndexError
    octets = data  # compiled, a pointer: cutting is one copy then, and Python's own bounds are none
    return octets[start:end]


def _has(data: bytes, at: int, part: bytes) -> bool:
    """Whether `part` stands at `at`."""
    size, same = len(part), 0
    if at + size > len(data):
        return False
    while same < size and data[at + same] == part[same]:
        same += 1
    return same == size


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


def _number_at(body: bytes, at: int, size: int) -> int:
    """The number of so many bytes, up to 8, at `at`."""
    value = 0
    for index in range(size):
        byte = body[at + index]
        value = value << 8 | byte
    if value >> 63:
        raise OddBody  # more than a bigint holds
    return value


def _put_int8(target: bytearray, at: int, value: int) -> None:
    for index in range(8):
        target[at + 7 - index] = value & 0xFF
        value >>= 8


def _put_int2(target: bytearray, at: int, value: int) -> None:
    target[at] = value >> 8
    target[at + 1] = value & 0xFF
