"""The records of one statement, made from templates: what is the same for all statements of a session under one plan
is encoded once. Knows no journal.

Byte for byte what `body_of(completed(Record(...)))` gives; what a template can't say goes that way itself.
"""

from __future__ import annotations

import struct
from typing import Any

import msgspec

from audit import octets
from audit.cost import PriceList
from audit.price_functions import price_of
from audit.record import FIELD_NAMES, Record, body_of, completed, header_of, is_storable, later_empty
from audit.tariff import COST_BYTES, tariff_of

_ENCODER = msgspec.msgpack.Encoder()
_U16 = struct.Struct(">BH")
_U32 = struct.Struct(">BI")
_U64 = struct.Struct(">BQ")
_HEADER_BYTES = 3  # of a list of so many fields as a record has
_ID_HEADER = b"\xd9\x20"  # a text of 32 bytes
_NIL = b"\xc0"
_EMPTY = b"\xa0"
_SMALL = tuple(bytes((number,)) for number in range(128))
_SHORT_HEADERS = tuple(bytes((0xA0 | length,)) for length in range(32))
_BEFORE_TEXT = FIELD_NAMES[FIELD_NAMES.index("tenant") : FIELD_NAMES.index("sql_text")]
_BEHIND_TEXT = FIELD_NAMES[FIELD_NAMES.index("decision") : FIELD_NAMES.index("prev_hash")]
_BEFORE_ROWS = FIELD_NAMES[FIELD_NAMES.index("tenant") : FIELD_NAMES.index("rows")]
_LATER = FIELD_NAMES[FIELD_NAMES.index("hash") + 1 :]
_ID_BYTES = 32
_NUMBER_BYTES = 9  # at most
_TEXT_HEADER_BYTES = 5  # at most
NOT_PUT = -1


class Lines:
    """Two templates: `intent` wants an id, a time and a text; `outcome` an id, the statement's, a time and measures.

    Both are records without those. Outcomes are priced by `prices`, and bear their currency.
    """

    def __init__(self, intent: Record, outcome: Record, prices: PriceList) -> None:
        self.intent = msgspec.structs.replace(intent, id="", statement_id="", at=0, sql_text="")
        self.outcome = msgspec.structs.replace(outcome, id="", statement_id="", at=0, currency=prices.currency)
        self.prices = prices
        self._tariff = tariff_of(prices, self.outcome.plan_units or 0)
        self._is_priced_apart = prices.function is not None
        self._is_plain = _is_plain(self.intent) and _is_plain(self.outcome)
        if self._is_plain:
            self._encode()

    def _encode(self) -> None:
        intent, outcome = completed(self.intent, "", 0), self.outcome
        self._intent_start = _header(intent)
        self._intent_stage = _ENCODER.encode(intent.stage) + _ID_HEADER
        self._before_text = _encoded(intent, _BEFORE_TEXT)
        self._behind_text = _encoded(intent, _BEHIND_TEXT) + _ending(intent)
        self._outcome_start = _header(outcome)
        self._outcome_stage = _ENCODER.encode(outcome.stage) + _ID_HEADER
        self._before_rows = _encoded(outcome, _BEFORE_ROWS)
        self._currency = _ENCODER.encode(outcome.currency)
        self._outcome_end = _ending(outcome)
        pieces = (self._intent_start, self._intent_stage, self._before_text, self._behind_text)
        self._intent_bytes = sum(map(len, pieces)) + 2 * _ID_BYTES + _NUMBER_BYTES + _TEXT_HEADER_BYTES
        others = (self._outcome_start, self._outcome_stage, self._before_rows, self._currency, self._outcome_end)
        self._outcome_bytes = sum(map(len, others)) + 2 * _ID_BYTES + 4 * _NUMBER_BYTES + COST_BYTES + 1

    def put_intent(self, into: memoryview, start: int, room: int, record_id: bytes, at: int, sql_text: bytes) -> int:
        """Puts what `intent_body` gives to `start`, where `room` bytes are free; gives the offset behind it.

        NOT_PUT, and nothing is said of the buffer, when there isn't room for sure, or templates don't do.
        """
        if not self._is_plain or self._intent_bytes + len(sql_text) > room or not _is_plain_text(sql_text):
            return NOT_PUT
        end = octets.put(into, start, self._intent_start)
        end = octets.put(into, end, record_id)
        end = octets.put(into, end, self._intent_stage)
        end = octets.put(into, end, record_id)
        end = _put_number(into, end, at)
        end = octets.put(into, end, self._before_text)
        end = _put_text_header(into, end, len(sql_text))
        end = octets.put(into, end, sql_text)
        return octets.put(into, end, self._behind_text)

    def put_outcome(
        self,
        into: memoryview,
        start: int,
        room: int,
        record_id: bytes,
        statement_id: bytes,
        at: int,
        rows: int,
        bytes_out: int,
        duration_us: int,
    ) -> int:
        """The same with `outcome_body`, of a statement without an error whose rows are known."""
        is_odd = len(statement_id) != _ID_BYTES or rows < 0 or bytes_out < 0 or duration_us < 0
        if is_odd or not self._is_plain or self._is_priced_apart or self._outcome_bytes > room:
            return NOT_PUT
        end = octets.put(into, start, self._outcome_start)
        end = octets.put(into, end, record_id)
        end = octets.put(into, end, self._outcome_stage)
        end = octets.put(into, end, statement_id)
        end = _put_number(into, end, at)
        end = octets.put(into, end, self._before_rows)
        end = _put_number(into, end, rows)
        end = _put_number(into, end, bytes_out)
        end = _put_number(into, end, duration_us)
        end = self._tariff.put_text(into, end, duration_us, bytes_out)
        end = octets.put(into, end, self._currency)
        end = octets.put(into, end, _EMPTY)
        return octets.put(into, end, self._outcome_end)

    def intent_body(self, record_id: bytes, at: int, sql_text: bytes) -> bytes:
        """The bytes of a statement's intent; its statement id is its own id (32 ASCII bytes). `at` is in us.

        `sql_text` may be any bytes: what isn't UTF-8 or holds NUL is stored as any text of that kind is.
        """
        if not self._is_plain or not _is_plain_text(sql_text):
            text = sql_text.decode("utf-8", "replace")
            record = msgspec.structs.replace(self.intent, sql_text=text)
            return body_of(completed(record, record_id.decode("ascii"), at))
        return b"".join(
            (
                self._intent_start,
                record_id,
                self._intent_stage,
                record_id,
                _number(at),
                self._before_text,
                _text_header(len(sql_text)),
                sql_text,
                self._behind_text,
            )
        )

    def outcome_body(
        self,
        record_id: bytes,
        statement_id: bytes,
        at: int,
        rows: int | None,
        bytes_out: int,
        duration_us: int,
        sqlstate: str,
    ) -> bytes:
        """The bytes of its outcome."""
        is_odd = len(statement_id) != 32 or len(sqlstate) > 31 or not sqlstate.isascii() or self._is_priced_apart
        if is_odd or not self._is_plain or bytes_out < 0 or duration_us < 0 or (rows is not None and rows < 0):
            return self._other_outcome(record_id, statement_id, at, rows, bytes_out, duration_us, sqlstate)
        return b"".join(
            (
                self._outcome_start,
                record_id,
                self._outcome_stage,
                statement_id,
                _number(at),
                self._before_rows,
                _NIL if rows is None else _number(rows),
                _number(bytes_out),
                _number(duration_us),
                self._tariff.packed_text(duration_us, bytes_out),
                self._currency,
                _EMPTY if not sqlstate else _SHORT_HEADERS[len(sqlstate)] + sqlstate.encode("ascii"),
                self._outcome_end,
            )
        )

    def _other_outcome(
        self,
        record_id: bytes,
        statement_id: bytes,
        at: int,
        rows: int | None,
        bytes_out: int,
        duration_us: int,
        sqlstate: str,
    ) -> bytes:
        record = msgspec.structs.replace(
            self.outcome,
            statement_id=statement_id.decode("ascii"),
            rows=rows,
            bytes_out=bytes_out,
            duration_us=duration_us,
            sqlstate=sqlstate,
        )
        record = msgspec.structs.replace(record, cost=price_of(self.prices, record, record.plan_units or 0))
        return body_of(completed(record, record_id.decode("ascii"), at))


def _header(record: Record) -> bytes:
    """The array's header, as `body_of` counts its fields, and that of the id."""
    return header_of(len(FIELD_NAMES) - len(later_empty(record))) + _ID_HEADER


def _ending(record: Record) -> bytes:
    """The two hashes, which aren't hashed themselves, and the later fields where they say something."""
    said = _LATER[: len(_LATER) - len(later_empty(record))]
    return _EMPTY + _EMPTY + (_encoded(record, said) if said else b"")


def _encoded(record: Record, names: tuple[str, ...]) -> bytes:
    values: list[Any] = [getattr(record, name) for name in names]
    encoded = _ENCODER.encode(values)
    return encoded[1 if len(values) < 16 else 3 :]  # without the list's header


def _is_plain(record: Record) -> bool:
    """Whether its texts are encoded as they are: no zero anywhere in its bytes says so, else it is looked at whole."""
    try:
        encoded = _ENCODER.encode(msgspec.structs.replace(record, at=1))
    except UnicodeEncodeError:
        return False
    return encoded.find(b"\0", _HEADER_BYTES) < 0 or is_storable(record)


def _is_utf8(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _is_plain_text(text: bytes) -> bool:
    """Whether it is stored as it is."""
    return b"\0" not in text and _is_utf8(text)


def _put_number(into: memoryview, at: int, value: int) -> int:
    """As `_number` gives it."""
    if value < 0x80:
        into[at] = value
        return at + 1
    size = 1 if value < 0x100 else 2 if value < 0x10000 else 4 if value < 0x100000000 else 8
    into[at] = 0xCC if size == 1 else 0xCD if size == 2 else 0xCE if size == 4 else 0xCF
    return _put_big_endian(into, at + 1, size, value)


def _put_text_header(into: memoryview, at: int, length: int) -> int:
    """As `_text_header` gives it."""
    if length < 32:
        into[at] = 0xA0 | length
        return at + 1
    size = 1 if length < 0x100 else 2 if length < 0x10000 else 4
    into[at] = 0xD9 if size == 1 else 0xDA if size == 2 else 0xDB
    return _put_big_endian(into, at + 1, size, length)


def _put_big_endian(into: memoryview, at: int, size: int, value: int) -> int:
    end = at + size
    for place in range(size):
        into[end - 1 - place] = value & 0xFF
        value >>= 8
    return end


def _number(value: int) -> bytes:
    """msgpack's shortest form of a number from 0 to 2**64 - 1."""
    if value < 0x80:
        return _SMALL[value]
    if value < 0x100:
        return b"\xcc" + value.to_bytes(1, "big")
    if value < 0x10000:
        return _U16.pack(0xCD, value)
    if value < 0x100000000:
        return _U32.pack(0xCE, value)
    return _U64.pack(0xCF, value)


def _text_header(length: int) -> bytes:
    """msgpack's header of a text of so many bytes."""
    if length < 32:
        return _SHORT_HEADERS[length]
    if length < 0x100:
        return b"\xd9" + length.to_bytes(1, "big")
    if length < 0x10000:
        return _U16.pack(0xDA, length)
    return _U32.pack(0xDB, length)
