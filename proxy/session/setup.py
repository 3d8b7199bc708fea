"""What goes ahead of a borrower's first message, so that a server link is as if it had always been this client's.

Only what differs is changed: nothing at all where the link's last borrower had the same settings. The answers are
swallowed. It must not know why settings differ.
"""

from __future__ import annotations

from proxy.session.track import Settings
from proxy.wire import messages as m
from proxy.wire.codec import decode_backend, encode
from proxy.wire.frames import FrameCutter

_READY, _ERROR, _PARAMETER = ord("Z"), ord("E"), ord("S")
FORGET_SEQUENCES = "DISCARD SEQUENCES"
FORGET_ALL = encode(m.Query(b"DISCARD ALL"))


class SetupFailed(Exception):
    """The server didn't take it; the text is the server's SQLSTATE."""


def changes(before: Settings, wanted: Settings) -> list[str]:
    """SQL that leads from the one to the other."""
    if before == wanted:
        return []
    had, has = dict(before), dict(wanted)
    resets = [f"RESET {_quoted(name)}" for name in had if name not in has]
    return resets + [text for name, text in wanted if had.get(name) != text]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def setup_bytes(statements: list[str]) -> bytes:
    """One Query: all of it holds, or none."""
    # A client's text may end in a comment.
    return encode(m.Query("\n;".join(statements).encode()))


class Setup:
    """Reads the answers to `count` Queries of ours. `reported` takes up what the server says of its settings."""

    def __init__(self, reported: dict[bytes, bytes], count: int) -> None:
        self._reported = reported
        self._count = count
        self._cutter = FrameCutter()
        self.is_done = False

    def receive(self, chunk: bytes) -> bytes:
        """The rest of the chunk, which is the answer to somebody else. Raises SetupFailed, ProtocolViolation."""
        cutter = self._cutter
        cutter.feed(chunk)
        while (frame := cutter.next_frame()) is not None:
            type_byte, start, end = frame
            body = cutter.buffer[start + 5 : end]
            if type_byte == _READY:
                self._count -= 1
                if self._count:
                    continue
                self.is_done = True
                return bytes(cutter.buffer[end : end + cutter.unread_bytes])
            if type_byte == _PARAMETER:
                note_report(self._reported, body)
            elif type_byte == _ERROR:
                message = decode_backend(_ERROR, body)
                assert isinstance(message, m.ErrorResponse)
                raise SetupFailed(message.fields.get("C", b"").decode("ascii", "replace"))
        return b""


def note_report(reported: dict[bytes, bytes], body: bytes | memoryview) -> None:
    """The body of a ParameterStatus."""
    message = decode_backend(_PARAMETER, body)
    assert isinstance(message, m.ParameterStatus)
    reported[message.name] = message.value
