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
from audit.tariff import COST_BYTES, nano_of, tariff_of

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
_SPEAKER = FIELD_NAMES[FIELD_NAMES.index("tenant") : FIELD_NAMES.index("workload")]
_ORIGIN = FIELD_NAMES[FIELD_NAMES.index("workload") : FIELD_NAMES.index("shape")]
_BEFORE_TEXT = FIELD_NAMES[FIELD_NAMES.index("shape") : FIELD_NAMES.index("sql_text")]
_BEHIND_TEXT = FIELD_NAMES[FIELD_NAMES.index("decision") : FIELD_NAMES.index("prev_hash")]
_BEFORE_ROWS = FIELD_NAMES[FIELD_NAMES.index("shape") : FIELD_NAMES.index("rows")]
_LATER = FIELD_NAMES[FIELD_NAMES.index("hash") + 1 :]
_ID_BYTES = 32
_NUMBER_BYTES = 9  # at most
_TEXT_HEADER_BYTES = 5  # at most
NOT_PUT = -1


class Lines:
    """Two templates: `intent` wants an id, a time and a text; `outcome` an id, the statement's, a time and measures.

    Both are records without those. Outcomes are priced by `prices`, and bear their currency. `spoken` gives templates
    that differ in what a statement's own comments say.
    """

    def __init__(self, intent: Record, outcome: Record, prices: PriceList) -> None:
        self._intent = msgspec.structs.replace(intent, id="", statement_id="", at=0, sql_text="")
        self._outcome = msgspec.structs.replace(outcome, id="", statement_id="", at=0, currency=prices.currency)
        self._said: tuple[str, str] | None = None  # what `_intent` and `_outcome` don't say yet
        self.prices = prices
        self._tariff = tariff_of(prices, self._outcome.plan_units or 0)
        self._is_priced_apart = prices.function is not None
        self._is_plain = _is_plain(self._intent) and _is_plain(self._outcome)
        if self._is_plain:
            self._encode()

    def _encode(self) -> None:
        intent, outcome = completed(self._intent, "", 0), self._outcome
        self._intent_stage = _ENCODER.encode(intent.stage) + _ID_HEADER
        self._speaker = _encoded(intent, _SPEAKER)
        self._origin = _encoded(intent, _ORIGIN)
        self._before_text = _encoded(intent, _BEFORE_TEXT)
        self._behind_text = _encoded(intent, _BEHIND_TEXT)
        self._outcome_stage = _ENCODER.encode(outcome.stage) + _ID_HEADER
        self._before_rows = _encoded(outcome, _BEFORE_ROWS)
        self._currency = _ENCODER.encode(outcome.currency)
        self._intent_bytes = self._outcome_bytes = 0
        self._encode_ends()

    def _encode_ends(self) -> None:
        """The headers, which count the later fields, those fields, and how much room all of it needs."""
        self._intent_start, self._intent_end = _header(self._intent), _ending(self._intent)
        self._outcome_start, self._outcome_end = _header(self._outcome), _ending(self._outcome)
        speaker = len(self._speaker) + len(self._origin)
        pieces = (self._intent_start, self._intent_stage, self._before_text, self._behind_text, self._intent_end)
        room = 2 * _ID_BYTES + _NUMBER_BYTES + _TEXT_HEADER_BYTES
        self._intent_bytes = speaker + sum(map(len, pieces)) + room
        others = (self._outcome_start, self._outcome_stage, self._before_rows, self._currency, self._outcome_end)
        self._outcome_bytes = speaker + sum(map(len, others)) + 2 * _ID_BYTES + 4 * _NUMBER_BYTES + COST_BYTES + 1

    @property
    def intent(self) -> Record:
        self._settle()
        return self._intent

    @property
    def outcome(self) -> Record:
        self._settle()
        return self._outcome

    @property
    def workload(self) -> str:
        """What both records say, without making any."""
        return self._intent.workload if self._said is None else self._said[0]

    def spoken(self, workload: str, trace_id: str, end_user: str) -> Lines:
        """The same templates for a statement that says this of itself. Cheap: it is made for each of them."""
        try:
            origin = _text(workload) + _text(trace_id)
            is_odd = not self._is_plain or b"\0" in origin or "\0" in end_user or not end_user.isprintable()
        except UnicodeEncodeError:
            is_odd = True
        if is_odd:
            said = {"workload": workload, "trace_id": trace_id, "end_user": end_user}
            intent = msgspec.structs.replace(self.intent, **said)
            return Lines(intent, msgspec.structs.replace(self.outcome, **said), self.prices)
        lines = Lines.__new__(Lines)
        lines._take(self)
        lines._say(workload, trace_id, end_user, origin)
        return lines

    def _take(self, other: Lines) -> None:
        """All that the other ones have."""
        self._intent, self._outcome, self._said = other.intent, other.outcome, None
        self.prices, self._tariff, self._is_plain = other.prices, other._tariff, True
        self._is_priced_apart = other._is_priced_apart
        self._speaker, self._origin = other._speaker, other._origin
        self._intent_start, self._intent_stage = other._intent_start, other._intent_stage
        self._before_text, self._behind_text = other._before_text, other._behind_text
        self._intent_end, self._outcome_end = other._intent_end, other._outcome_end
        self._outcome_start, self._outcome_stage = other._outcome_start, other._outcome_stage
        self._before_rows, self._currency = other._before_rows, other._currency
        self._intent_bytes, self._outcome_bytes = other._intent_bytes, other._outcome_bytes

    def _say(self, workload: str, trace_id: str, end_user: str, origin: bytes) -> None:
        if end_user != self._intent.end_user or end_user != self._outcome.end_user:
            self._intent = msgspec.structs.replace(self._intent, end_user=end_user)
            self._outcome = msgspec.structs.replace(self._outcome, end_user=end_user)
            self._encode_ends()
        self._said = workload, trace_id
        grown = len(origin) - len(self._origin)
        self._origin = origin
        self._intent_bytes += grown
        self._outcome_bytes += grown

    def _settle(self) -> None:
        said = self._said
        if said is not None:
            workload, trace_id = said
            self._intent = msgspec.structs.replace(self._intent, workload=workload, trace_id=trace_id)
            self._outcome = msgspec.structs.replace(self._outcome, workload=workload, trace_id=trace_id)
            self._said = None

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
        end = octets.put(into, end, self._speaker)
        end = octets.put(into, end, self._origin)
        end = octets.put(into, end, self._before_text)
        end = _put_text_header(into, end, len(sql_text))
        end = octets.put(into, end, sql_text)
        end = octets.put(into, end, self._behind_text)
        return octets.put(into, end, self._intent_end)

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
        end = octets.put(into, end, self._speaker)
        end = octets.put(into, end, self._origin)
        end = octets.put(into, end, self._before_rows)
        end = _put_number(into, end, rows)
        end = _put_number(into, end, bytes_out)
        end = _put_number(into, end, duration_us)
        end = self._tariff.put_text(into, end, duration_us, bytes_out)
        end = octets.put(into, end, self._currency)
        end = octets.put(into, end, _EMPTY)
        return octets.put(into, end, self._outcome_end)

    def nano(self, rows: int, bytes_out: int, duration_us: int, sqlstate: str = "") -> int:
        """The cost of such a statement in whole nano-units, as its outcome bears it."""
        if not self._is_priced_apart:
            return self._tariff.nano(duration_us, bytes_out)
        measured = {"rows": rows, "bytes_out": bytes_out, "duration_us": duration_us, "sqlstate": sqlstate}
        outcome = msgspec.structs.replace(self.outcome, **measured)
        return nano_of(price_of(self.prices, outcome, outcome.plan_units or 0))

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
                self._speaker,
                self._origin,
                self._before_text,
                _text_header(len(sql_text)),
                sql_text,
                self._behind_text,
                self._intent_end,
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
                self._speaker,
                self._origin,
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


def _text(value: str) -> bytes:
    """msgpack's form of a text. Raises UnicodeEncodeError."""
    encoded = value.encode("utf-8")
    return _text_header(len(encoded)) + encoded


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
