"""Messages to bytes: one writer per message type.

What can't be put on the wire (a NUL inside a string, a number out of its field's range) is our own fault and
raises LocalProtocolError: a NUL let through would end a string early and move the text after it into the next field.
"""

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from proxy.wire import messages as m
from proxy.wire.errors import LocalProtocolError

SSL_REQUEST_CODE: Final = 1234 << 16 | 5679
GSSENC_REQUEST_CODE: Final = 1234 << 16 | 5680
CANCEL_REQUEST_CODE: Final = 1234 << 16 | 5678

MAX_FRAME_BYTES: Final = 1 << 30
_NULL: Final = b"\xff\xff\xff\xff"


def encode(message: m.Message) -> bytes:
    """The whole frame of `message`, header included. Raises LocalProtocolError if it can't be written."""
    type_byte, write = _WRITERS[type(message)]
    try:
        body = write(message)
    except (struct.error, OverflowError) as error:
        raise LocalProtocolError(f"{type(message).__name__}: a number is out of its field's range") from error
    length = len(body) + 4
    if length > MAX_FRAME_BYTES:
        raise LocalProtocolError(f"{type(message).__name__} is longer than 1 GiB")
    return type_byte + length.to_bytes(4, "big") + body


def _i16(number: int) -> bytes:
    return struct.pack("!h", number)


def _i32(number: int) -> bytes:
    return struct.pack("!i", number)


def _u32(number: int) -> bytes:
    return struct.pack("!I", number)


def _count(items: Sequence[object]) -> bytes:
    return struct.pack("!H", len(items))


def _string(text: bytes) -> bytes:
    if b"\0" in text:
        raise LocalProtocolError("a string on the wire can't hold a NUL")
    return text + b"\0"


def _strings(texts: Iterable[bytes]) -> bytes:
    return b"".join(map(_string, texts))


def _int16s(numbers: Sequence[int]) -> bytes:
    return _count(numbers) + struct.pack(f"!{len(numbers)}h", *numbers)


def _oids(oids: Sequence[int]) -> bytes:
    return _count(oids) + struct.pack(f"!{len(oids)}I", *oids)


def _value(value: bytes | None) -> bytes:
    return _NULL if value is None else _i32(len(value)) + value


def _values(values: Sequence[bytes | None]) -> bytes:
    return _count(values) + b"".join(map(_value, values))


def _exactly(data: bytes, lengths: range) -> bytes:
    if len(data) not in lengths:
        raise LocalProtocolError(f"{len(data)} bytes where {lengths.start} to {lengths.stop - 1} are allowed")
    return data


def _one_of(data: bytes, allowed: bytes) -> bytes:
    if len(data) != 1 or data not in allowed:
        raise LocalProtocolError("a one-letter field has an unknown letter")
    return data


def _nothing(_: object) -> bytes:
    return b""


def _startup(message: m.StartupMessage) -> bytes:
    pairs = b""
    for name, value in message.parameters.items():
        if not name:
            raise LocalProtocolError("a startup parameter needs a name")
        pairs += _string(name) + _string(value)
    return _i32(message.protocol) + pairs + b"\0"


def _cancel_request(message: m.CancelRequest) -> bytes:
    key = _exactly(message.secret_key, SECRET_KEY_LENGTHS)
    return _i32(CANCEL_REQUEST_CODE) + _i32(message.process_id) + key


def _backend_key_data(message: m.BackendKeyData) -> bytes:
    return _i32(message.process_id) + _exactly(message.secret_key, SECRET_KEY_LENGTHS)


def _sasl_initial(message: m.SASLInitialResponse) -> bytes:
    return _string(message.mechanism) + _value(message.data)


def _parse(message: m.Parse) -> bytes:
    return _string(message.name) + _string(message.query) + _oids(message.parameter_types)


def _bind(message: m.Bind) -> bytes:
    names = _string(message.portal) + _string(message.statement)
    parameters = _int16s(message.parameter_formats) + _values(message.parameters)
    return names + parameters + _int16s(message.result_formats)


def _named(message: m.Describe | m.Close) -> bytes:
    return _one_of(message.kind, b"SP") + _string(message.name)


def _execute(message: m.Execute) -> bytes:
    return _string(message.portal) + _i32(message.max_rows)


def _function_call(message: m.FunctionCall) -> bytes:
    arguments = _int16s(message.argument_formats) + _values(message.arguments)
    return _u32(message.function_oid) + arguments + _i16(message.result_format)


def _sasl(message: m.AuthenticationSASL) -> bytes:
    if not all(message.mechanisms):
        raise LocalProtocolError("a SASL mechanism needs a name")
    return _i32(10) + _strings(message.mechanisms) + b"\0"


def _negotiate(message: m.NegotiateProtocolVersion) -> bytes:
    options = message.unrecognized_options
    return _i32(message.protocol) + _i32(len(options)) + _strings(options)


def _report(message: m.ErrorResponse | m.NoticeResponse) -> bytes:
    return _fields(message.fields) + b"\0"


def _fields(fields: Mapping[str, bytes]) -> bytes:
    if any(len(letter) != 1 or not 0 < ord(letter) < 256 for letter in fields):
        raise LocalProtocolError("an error field's type is one byte")
    return b"".join(letter.encode("latin-1") + _string(text) for letter, text in fields.items())


def _notification(message: m.NotificationResponse) -> bytes:
    return _i32(message.process_id) + _string(message.channel) + _string(message.payload)


def _row_description(message: m.RowDescription) -> bytes:
    return _count(message.fields) + b"".join(map(_field, message.fields))


def _field(field: m.Field) -> bytes:
    origin = struct.pack("!Ih", field.table_oid, field.attnum)
    kind = struct.pack("!Ihih", field.type_oid, field.type_size, field.type_modifier, field.format)
    return _string(field.name) + origin + kind


def _copy_response(message: m.CopyInResponse | m.CopyOutResponse | m.CopyBothResponse) -> bytes:
    return struct.pack("!b", message.format) + _int16s(message.column_formats)


# PostgreSQL 18 allows a cancel key of 1 to 256 bytes (protocol 3.2); 3.0 always had 4.
SECRET_KEY_LENGTHS: Final = range(1, 257)

_Writer = Callable[[Any], bytes]

_WRITERS: Final[dict[type, tuple[bytes, _Writer]]] = {
    m.StartupMessage: (b"", _startup),
    m.SSLRequest: (b"", lambda _: _i32(SSL_REQUEST_CODE)),
    m.GSSENCRequest: (b"", lambda _: _i32(GSSENC_REQUEST_CODE)),
    m.CancelRequest: (b"", _cancel_request),
    m.PasswordMessage: (b"p", lambda message: _string(message.password)),
    m.SASLInitialResponse: (b"p", _sasl_initial),
    m.SASLResponse: (b"p", lambda message: message.data),
    m.GSSResponse: (b"p", lambda message: message.data),
    m.Query: (b"Q", lambda message: _string(message.query)),
    m.Parse: (b"P", _parse),
    m.Bind: (b"B", _bind),
    m.Describe: (b"D", _named),
    m.Execute: (b"E", _execute),
    m.Close: (b"C", _named),
    m.Sync: (b"S", _nothing),
    m.Flush: (b"H", _nothing),
    m.Terminate: (b"X", _nothing),
    m.FunctionCall: (b"F", _function_call),
    m.CopyData: (b"d", lambda message: message.data),
    m.CopyDone: (b"c", _nothing),
    m.CopyFail: (b"f", lambda message: _string(message.message)),
    m.AuthenticationOk: (b"R", lambda _: _i32(0)),
    m.AuthenticationKerberosV5: (b"R", lambda _: _i32(2)),
    m.AuthenticationCleartextPassword: (b"R", lambda _: _i32(3)),
    m.AuthenticationMD5Password: (b"R", lambda message: _i32(5) + _exactly(message.salt, range(4, 5))),
    m.AuthenticationGSS: (b"R", lambda _: _i32(7)),
    m.AuthenticationGSSContinue: (b"R", lambda message: _i32(8) + message.data),
    m.AuthenticationSSPI: (b"R", lambda _: _i32(9)),
    m.AuthenticationSASL: (b"R", _sasl),
    m.AuthenticationSASLContinue: (b"R", lambda message: _i32(11) + message.data),
    m.AuthenticationSASLFinal: (b"R", lambda message: _i32(12) + message.data),
    m.BackendKeyData: (b"K", _backend_key_data),
    m.NegotiateProtocolVersion: (b"v", _negotiate),
    m.ParameterStatus: (b"S", lambda message: _string(message.name) + _string(message.value)),
    m.ReadyForQuery: (b"Z", lambda message: _one_of(message.status, b"ITE")),
    m.ErrorResponse: (b"E", _report),
    m.NoticeResponse: (b"N", _report),
    m.NotificationResponse: (b"A", _notification),
    m.RowDescription: (b"T", _row_description),
    m.DataRow: (b"D", lambda message: _values(message.values)),
    m.CommandComplete: (b"C", lambda message: _string(message.tag)),
    m.EmptyQueryResponse: (b"I", _nothing),
    m.ParseComplete: (b"1", _nothing),
    m.BindComplete: (b"2", _nothing),
    m.CloseComplete: (b"3", _nothing),
    m.NoData: (b"n", _nothing),
    m.ParameterDescription: (b"t", lambda message: _oids(message.type_oids)),
    m.PortalSuspended: (b"s", _nothing),
    m.CopyInResponse: (b"G", _copy_response),
    m.CopyOutResponse: (b"H", _copy_response),
    m.CopyBothResponse: (b"W", _copy_response),
    m.FunctionCallResponse: (b"V", lambda message: _value(message.value)),
}
