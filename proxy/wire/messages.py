"""Every message of protocol 3.0, both directions, as plain values.

Names and fields are the manual's ("Message Formats"). Strings are bytes without their NUL, because a proxy must
hand on what it can't decode. This module holds no bytes-on-the-wire knowledge: that is `codec`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass

PROTOCOL_3_0 = 3 << 16
PROTOCOL_3_2 = 3 << 16 | 2


# Before the first typed message


@dataclass(frozen=True, slots=True)
class StartupMessage:
    protocol: int
    parameters: Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class SSLRequest:
    pass


@dataclass(frozen=True, slots=True)
class GSSENCRequest:
    pass


@dataclass(frozen=True, slots=True)
class CancelRequest:
    process_id: int
    secret_key: bytes


# Client to server


@dataclass(frozen=True, slots=True)
class PasswordMessage:
    password: bytes


@dataclass(frozen=True, slots=True)
class SASLInitialResponse:
    mechanism: bytes
    data: bytes | None


@dataclass(frozen=True, slots=True)
class SASLResponse:
    data: bytes


@dataclass(frozen=True, slots=True)
class GSSResponse:
    data: bytes


@dataclass(frozen=True, slots=True)
class Query:
    query: bytes


@dataclass(frozen=True, slots=True)
class Parse:
    name: bytes
    query: bytes
    parameter_types: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Bind:
    portal: bytes
    statement: bytes
    parameter_formats: tuple[int, ...] = ()
    parameters: tuple[bytes | None, ...] = ()
    result_formats: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Describe:
    """`kind` is b"S" for a prepared statement, b"P" for a portal."""

    kind: bytes
    name: bytes


@dataclass(frozen=True, slots=True)
class Execute:
    """`max_rows` 0 means no limit."""

    portal: bytes
    max_rows: int = 0


@dataclass(frozen=True, slots=True)
class Close:
    """`kind` is b"S" for a prepared statement, b"P" for a portal."""

    kind: bytes
    name: bytes


@dataclass(frozen=True, slots=True)
class Sync:
    pass


@dataclass(frozen=True, slots=True)
class Flush:
    pass


@dataclass(frozen=True, slots=True)
class Terminate:
    pass


@dataclass(frozen=True, slots=True)
class FunctionCall:
    function_oid: int
    argument_formats: tuple[int, ...]
    arguments: tuple[bytes | None, ...]
    result_format: int


@dataclass(frozen=True, slots=True)
class CopyFail:
    message: bytes


# Both directions


@dataclass(frozen=True, slots=True)
class CopyData:
    data: bytes


@dataclass(frozen=True, slots=True)
class CopyDone:
    pass


# Server to client: authentication


@dataclass(frozen=True, slots=True)
class AuthenticationOk:
    pass


@dataclass(frozen=True, slots=True)
class AuthenticationKerberosV5:
    pass


@dataclass(frozen=True, slots=True)
class AuthenticationCleartextPassword:
    pass


@dataclass(frozen=True, slots=True)
class AuthenticationMD5Password:
    """`salt` is 4 bytes."""

    salt: bytes


@dataclass(frozen=True, slots=True)
class AuthenticationGSS:
    pass


@dataclass(frozen=True, slots=True)
class AuthenticationGSSContinue:
    data: bytes


@dataclass(frozen=True, slots=True)
class AuthenticationSSPI:
    pass


@dataclass(frozen=True, slots=True)
class AuthenticationSASL:
    mechanisms: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class AuthenticationSASLContinue:
    data: bytes


@dataclass(frozen=True, slots=True)
class AuthenticationSASLFinal:
    data: bytes


# Server to client: session


@dataclass(frozen=True, slots=True)
class BackendKeyData:
    """`secret_key` is 4 bytes in protocol 3.0, up to 256 in 3.2."""

    process_id: int
    secret_key: bytes


@dataclass(frozen=True, slots=True)
class NegotiateProtocolVersion:
    """`protocol` is the newest version the server speaks; the options are those it didn't recognize."""

    protocol: int
    unrecognized_options: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class ParameterStatus:
    name: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class ReadyForQuery:
    """`status` is b"I" idle, b"T" in a transaction, b"E" in a failed one."""

    status: bytes


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """One-letter field type to text, in the order of the wire."""

    fields: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class NoticeResponse:
    """One-letter field type to text, in the order of the wire."""

    fields: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class NotificationResponse:
    process_id: int
    channel: bytes
    payload: bytes


# Server to client: results


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a RowDescription. `table_oid` and `attnum` are 0 when it isn't a table's column."""

    name: bytes
    table_oid: int
    attnum: int
    type_oid: int
    type_size: int
    type_modifier: int
    format: int


@dataclass(frozen=True, slots=True)
class RowDescription:
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class DataRow:
    """None is SQL NULL."""

    values: tuple[bytes | None, ...]


@dataclass(frozen=True, slots=True)
class CommandComplete:
    tag: bytes


@dataclass(frozen=True, slots=True)
class EmptyQueryResponse:
    pass


@dataclass(frozen=True, slots=True)
class ParseComplete:
    pass


@dataclass(frozen=True, slots=True)
class BindComplete:
    pass


@dataclass(frozen=True, slots=True)
class CloseComplete:
    pass


@dataclass(frozen=True, slots=True)
class NoData:
    pass


@dataclass(frozen=True, slots=True)
class ParameterDescription:
    type_oids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PortalSuspended:
    pass


@dataclass(frozen=True, slots=True)
class CopyInResponse:
    """`format` 0 is text, 1 is binary, for the whole; the columns' formats follow."""

    format: int
    column_formats: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CopyOutResponse:
    """`format` 0 is text, 1 is binary, for the whole; the columns' formats follow."""

    format: int
    column_formats: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CopyBothResponse:
    """`format` 0 is text, 1 is binary, for the whole; the columns' formats follow. Replication only."""

    format: int
    column_formats: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FunctionCallResponse:
    """None is SQL NULL."""

    value: bytes | None


StartupPacket = StartupMessage | SSLRequest | GSSENCRequest | CancelRequest

FrontendMessage = (
    PasswordMessage | SASLInitialResponse | SASLResponse | GSSResponse | Query | Parse | Bind | Describe
    | Execute | Close | Sync | Flush | Terminate | FunctionCall | CopyData | CopyDone | CopyFail
)  # fmt: skip

BackendMessage = (
    AuthenticationOk | AuthenticationKerberosV5 | AuthenticationCleartextPassword | AuthenticationMD5Password
    | AuthenticationGSS | AuthenticationGSSContinue | AuthenticationSSPI | AuthenticationSASL
    | AuthenticationSASLContinue | AuthenticationSASLFinal | BackendKeyData | NegotiateProtocolVersion
    | ParameterStatus | ReadyForQuery | ErrorResponse | NoticeResponse | NotificationResponse
    | RowDescription | DataRow | CommandComplete | EmptyQueryResponse | ParseComplete | BindComplete
    | CloseComplete | NoData | ParameterDescription | PortalSuspended | CopyInResponse | CopyOutResponse
    | CopyBothResponse | FunctionCallResponse | CopyData | CopyDone
)  # fmt: skip

Message = StartupPacket | FrontendMessage | BackendMessage
