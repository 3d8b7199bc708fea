"""Bytes to messages: one reader per type byte and direction.

Any malformed body raises ProtocolViolation and nothing else. Strict on purpose: a message that pgwarden reads
one way and the server another is how a filter is bypassed, so leftovers and unknown letters are refused.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Final, TypeVar

from proxy.wire import messages as m
from proxy.wire.encoding import CANCEL_REQUEST_CODE, GSSENC_REQUEST_CODE, SECRET_KEY_LENGTHS, SSL_REQUEST_CODE
from proxy.wire.errors import ProtocolViolation
from proxy.wire.reader import Reader

_T = TypeVar("_T")
Body = bytes | memoryview | bytearray


class ResponseKind(Enum):
    """What an authentication answer ('p') is: the byte is shared, only the request before it tells."""

    PASSWORD = auto()
    SASL_INITIAL = auto()
    SASL = auto()
    GSS = auto()


def decode_startup(body: Body) -> m.StartupPacket:
    """The packet before the first typed message; `body` follows the length word."""
    reader = Reader(body)
    code = reader.int32()
    packet = _startup_packet(code, reader)
    reader.finish()
    return packet


def decode_frontend(type_byte: int, body: Body, response: ResponseKind = ResponseKind.PASSWORD) -> m.FrontendMessage:
    """A client's message; `response` says how to read an authentication answer ('p')."""
    if type_byte == _RESPONSE:
        return _read(_RESPONSES[response], body)
    return _read(_known(_FRONTEND, type_byte), body)


def decode_backend(type_byte: int, body: Body) -> m.BackendMessage:
    """A server's message."""
    return _read(_known(_BACKEND, type_byte), body)


def _known(readers: dict[int, _T], type_byte: int) -> _T:
    reader = readers.get(type_byte)
    if reader is None:
        raise ProtocolViolation("unknown message type")
    return reader


def _read(read: Callable[[Reader], _T], body: Body) -> _T:
    reader = Reader(body)
    message = read(reader)
    reader.finish()
    return message


def _startup_packet(code: int, reader: Reader) -> m.StartupPacket:
    match code:
        case _ if code == SSL_REQUEST_CODE:
            return m.SSLRequest()
        case _ if code == GSSENC_REQUEST_CODE:
            return m.GSSENCRequest()
        case _ if code == CANCEL_REQUEST_CODE:
            return m.CancelRequest(reader.int32(), _secret_key(reader))
        case _ if code >> 16 == 3:
            return m.StartupMessage(code, _startup_parameters(reader))
        case _:
            raise ProtocolViolation("unsupported frontend protocol", "0A000")


def _startup_parameters(reader: Reader) -> dict[bytes, bytes]:
    parameters: dict[bytes, bytes] = {}
    while name := reader.c_string():
        parameters[name] = reader.c_string()
    return parameters


def _secret_key(reader: Reader) -> bytes:
    key = reader.rest()
    if len(key) not in SECRET_KEY_LENGTHS:
        raise ProtocolViolation("secret key of a wrong length")
    return key


def _letter(reader: Reader, allowed: bytes) -> bytes:
    letter = reader.take(1)
    if letter not in allowed:
        raise ProtocolViolation("unknown letter in a one-letter field")
    return letter


def _sasl_initial(reader: Reader) -> m.SASLInitialResponse:
    return m.SASLInitialResponse(reader.c_string(), reader.value())


def _parse(reader: Reader) -> m.Parse:
    return m.Parse(reader.c_string(), reader.c_string(), reader.uint32s())


def _bind(reader: Reader) -> m.Bind:
    names = reader.c_string(), reader.c_string()
    return m.Bind(*names, reader.int16s(), reader.values(), reader.int16s())


def _describe(reader: Reader) -> m.Describe:
    return m.Describe(_letter(reader, b"SP"), reader.c_string())


def _close(reader: Reader) -> m.Close:
    return m.Close(_letter(reader, b"SP"), reader.c_string())


def _function_call(reader: Reader) -> m.FunctionCall:
    return m.FunctionCall(reader.uint32(), reader.int16s(), reader.values(), reader.int16())


def _authentication(reader: Reader) -> m.BackendMessage:
    read = _known(_AUTHENTICATION, reader.int32())
    return read(reader)


def _md5(reader: Reader) -> m.AuthenticationMD5Password:
    return m.AuthenticationMD5Password(reader.take(4))


def _sasl(reader: Reader) -> m.AuthenticationSASL:
    mechanisms: list[bytes] = []
    while mechanism := reader.c_string():
        mechanisms.append(mechanism)
    return m.AuthenticationSASL(tuple(mechanisms))


def _negotiate(reader: Reader) -> m.NegotiateProtocolVersion:
    protocol, count = reader.int32(), reader.int32()
    if count < 0:
        raise ProtocolViolation("negative number of options")
    return m.NegotiateProtocolVersion(protocol, tuple(reader.c_string() for _ in range(count)))


def _fields(reader: Reader) -> dict[str, bytes]:
    fields: dict[str, bytes] = {}
    while letter := reader.uint8():
        if chr(letter) in fields:
            raise ProtocolViolation("a field is reported twice")
        fields[chr(letter)] = reader.c_string()
    return fields


def _notification(reader: Reader) -> m.NotificationResponse:
    return m.NotificationResponse(reader.int32(), reader.c_string(), reader.c_string())


def _row_description(reader: Reader) -> m.RowDescription:
    return m.RowDescription(tuple(_field(reader) for _ in range(reader.count16())))


def _field(reader: Reader) -> m.Field:
    name, table_oid, attnum = reader.c_string(), reader.uint32(), reader.int16()
    type_oid, type_size, type_modifier = reader.uint32(), reader.int16(), reader.int32()
    return m.Field(name, table_oid, attnum, type_oid, type_size, type_modifier, reader.int16())


_RESPONSE: Final = ord("p")

_RESPONSES: Final[dict[ResponseKind, Callable[[Reader], m.FrontendMessage]]] = {
    ResponseKind.PASSWORD: lambda reader: m.PasswordMessage(reader.c_string()),
    ResponseKind.SASL_INITIAL: _sasl_initial,
    ResponseKind.SASL: lambda reader: m.SASLResponse(reader.rest()),
    ResponseKind.GSS: lambda reader: m.GSSResponse(reader.rest()),
}

_FRONTEND: Final[dict[int, Callable[[Reader], m.FrontendMessage]]] = {
    ord("Q"): lambda reader: m.Query(reader.c_string()),
    ord("P"): _parse,
    ord("B"): _bind,
    ord("D"): _describe,
    ord("E"): lambda reader: m.Execute(reader.c_string(), reader.int32()),
    ord("C"): _close,
    ord("S"): lambda _: m.Sync(),
    ord("H"): lambda _: m.Flush(),
    ord("X"): lambda _: m.Terminate(),
    ord("F"): _function_call,
    ord("d"): lambda reader: m.CopyData(reader.rest()),
    ord("c"): lambda _: m.CopyDone(),
    ord("f"): lambda reader: m.CopyFail(reader.c_string()),
}

_AUTHENTICATION: Final[dict[int, Callable[[Reader], m.BackendMessage]]] = {
    0: lambda _: m.AuthenticationOk(),
    2: lambda _: m.AuthenticationKerberosV5(),
    3: lambda _: m.AuthenticationCleartextPassword(),
    5: _md5,
    7: lambda _: m.AuthenticationGSS(),
    8: lambda reader: m.AuthenticationGSSContinue(reader.rest()),
    9: lambda _: m.AuthenticationSSPI(),
    10: _sasl,
    11: lambda reader: m.AuthenticationSASLContinue(reader.rest()),
    12: lambda reader: m.AuthenticationSASLFinal(reader.rest()),
}

_BACKEND: Final[dict[int, Callable[[Reader], m.BackendMessage]]] = {
    ord("R"): _authentication,
    ord("K"): lambda reader: m.BackendKeyData(reader.int32(), _secret_key(reader)),
    ord("v"): _negotiate,
    ord("S"): lambda reader: m.ParameterStatus(reader.c_string(), reader.c_string()),
    ord("Z"): lambda reader: m.ReadyForQuery(_letter(reader, b"ITE")),
    ord("E"): lambda reader: m.ErrorResponse(_fields(reader)),
    ord("N"): lambda reader: m.NoticeResponse(_fields(reader)),
    ord("A"): _notification,
    ord("T"): _row_description,
    ord("D"): lambda reader: m.DataRow(reader.values()),
    ord("C"): lambda reader: m.CommandComplete(reader.c_string()),
    ord("I"): lambda _: m.EmptyQueryResponse(),
    ord("1"): lambda _: m.ParseComplete(),
    ord("2"): lambda _: m.BindComplete(),
    ord("3"): lambda _: m.CloseComplete(),
    ord("n"): lambda _: m.NoData(),
    ord("t"): lambda reader: m.ParameterDescription(reader.uint32s()),
    ord("s"): lambda _: m.PortalSuspended(),
    ord("G"): lambda reader: m.CopyInResponse(reader.int8(), reader.int16s()),
    ord("H"): lambda reader: m.CopyOutResponse(reader.int8(), reader.int16s()),
    ord("W"): lambda reader: m.CopyBothResponse(reader.int8(), reader.int16s()),
    ord("V"): lambda reader: m.FunctionCallResponse(reader.value()),
    ord("d"): lambda reader: m.CopyData(reader.rest()),
    ord("c"): lambda _: m.CopyDone(),
}
