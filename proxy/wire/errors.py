"""The two ways a conversation fails on the wire, and the ErrorResponse that tells the client.

h11's distinction: `ProtocolViolation` is the peer's fault, `LocalProtocolError` is ours. This module knows
SQLSTATEs and error fields; it must not know sockets, sessions or policies.
"""

from proxy.wire.sqlstates import sqlstate_meaning

__all__ = [
    "PROTOCOL_VIOLATION",
    "AuthenticationFailed",
    "LocalProtocolError",
    "ProtocolViolation",
    "WireError",
    "error_response",
    "notice_response",
    "sqlstate_meaning",
]

PROTOCOL_VIOLATION = "08P01"


class WireError(Exception):
    """Base of everything this package raises. `sqlstate` is five characters, fit for an ErrorResponse."""

    sqlstate = PROTOCOL_VIOLATION

    def __init__(self, message: str, sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if sqlstate is not None:
            self.sqlstate = sqlstate


class ProtocolViolation(WireError):
    """The peer sent what the protocol doesn't allow. The text never quotes the peer's bytes."""


class AuthenticationFailed(ProtocolViolation):
    """The peer spoke correctly and didn't prove who it is. One text for every reason: it tells nothing of users."""

    sqlstate = "28P01"


class LocalProtocolError(WireError):
    """We asked for something that can't be put on the wire, or called things in a wrong order."""

    sqlstate = "XX000"


def error_response(
    severity: str, sqlstate: str, message: str, detail: str = "", hint: str = "", position: int = 0
) -> bytes:
    """One ErrorResponse frame, ready to send. `position` counts characters from 1; 0 leaves it out."""
    return _report(b"E", severity, sqlstate, message, detail, hint, position)


def notice_response(
    severity: str, sqlstate: str, message: str, detail: str = "", hint: str = "", position: int = 0
) -> bytes:
    """One NoticeResponse frame; the fields are those of `error_response`."""
    return _report(b"N", severity, sqlstate, message, detail, hint, position)


def _report(
    type_byte: bytes, severity: str, sqlstate: str, message: str, detail: str, hint: str, position: int
) -> bytes:
    # S is the localized severity, V the same in English: drivers since 9.6 read V, older ones S.
    fields = [("S", severity), ("V", severity), ("C", sqlstate), ("M", message)]
    optional = [("D", detail), ("H", hint), ("P", str(position) if position > 0 else "")]
    fields += [(letter, text) for letter, text in optional if text]
    body = b"".join(letter.encode() + _c_string(text) for letter, text in fields) + b"\0"
    return type_byte + (len(body) + 4).to_bytes(4, "big") + body


def _c_string(text: str) -> bytes:
    # A NUL would end the field early and turn the rest of the text into fields of the sender's choosing.
    return text.encode("utf-8", "replace").replace(b"\0", b"") + b"\0"
