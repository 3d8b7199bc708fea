"""The records of one statement, made from templates: what is the same for all statements of a session under one plan
is encoded once. Knows no journal.

Byte for byte what `body_of(completed(Record(...)))` gives; what a template can't say goes that way itself.
"""

from __future__ import annotations

import struct
from typing import Any

import msgspec

from audit.cost import PriceList
from audit.record import FIELD_NAMES, Record, body_of, completed, is_long, is_storable
from audit.tariff import tariff_of

_ENCODER = msgspec.msgpack.Encoder()
_ARRAY = struct.Struct(">BH")
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


class Lines:
    """Two templates: `intent` wants an id, a time and a text; `outcome` an id, the statement's, a time and measures.

    Both are records without those. Outcomes are priced by `prices`, and bear their currency.
    """

    def __init__(self, intent: Record, outcome: Record, prices: PriceList) -> None:
        self.intent = msgspec.structs.replace(intent, id="", statement_id="", at=0, sql_text="")
        self.outcome = msgspec.structs.replace(outcome, id="", statement_id="", at=0, currency=prices.currency)
        self.prices = prices
        self._tariff = tariff_of(prices, self.outcome.plan_units or 0)
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

    def intent_body(self, record_id: bytes, at: int, sql_text: bytes) -> bytes:
        """The bytes of a statement's intent; its statement id is its own id (32 ASCII bytes). `at` is in us.

        `sql_text` may be any bytes: what isn't UTF-8 or holds NUL is stored as any text of that kind is.
        """
        if not self._is_plain or b"\0" in sql_text or not _is_utf8(sql_text):
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
        is_odd = len(statement_id) != 32 or len(sqlstate) > 31 or not sqlstate.isascii()
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
            cost=self._tariff.cost(duration_us, bytes_out),
            sqlstate=sqlstate,
        )
        return body_of(completed(record, record_id.decode("ascii"), at))


def _header(record: Record) -> bytes:
    """The array's header, as `body_of` counts its fields, and that of the id."""
    count = len(FIELD_NAMES) if is_long(record) else len(FIELD_NAMES) - len(_LATER)
    return _ARRAY.pack(0xDC, count) + _ID_HEADER


def _ending(record: Record) -> bytes:
    """The two hashes, which aren't hashed themselves, and the later fields where they say something."""
    return _EMPTY + _EMPTY + (_encoded(record, _LATER) if is_long(record) else b"")


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
