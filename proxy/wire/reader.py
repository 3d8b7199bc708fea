"""A bounds-checked cursor over one message body.

Every read that would leave the body, and every leftover byte, is the peer's ProtocolViolation. It knows the
protocol's primitive types (Int16, Int32, String, Byteₙ) and no messages.
"""

from proxy.wire.errors import ProtocolViolation

_NULL = -1


class Reader:
    """Reads one body front to back. Values are copied out as bytes, so the caller's buffer may go."""

    __slots__ = ("_at", "_body")

    def __init__(self, body: bytes | memoryview | bytearray) -> None:
        self._body = bytes(body)
        self._at = 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        end = self._at + count
        if count < 0 or end > len(self._body):
            raise ProtocolViolation("message ends too early")
        taken = self._body[self._at : end]
        self._at = end
        return taken

    def rest(self) -> bytes:
        """All bytes that are left."""
        return self.take(len(self._body) - self._at)

    def uint8(self) -> int:
        return self.take(1)[0]

    def int8(self) -> int:
        return int.from_bytes(self.take(1), "big", signed=True)

    def int16(self) -> int:
        return int.from_bytes(self.take(2), "big", signed=True)

    def count16(self) -> int:
        """A number of items that follow. Unsigned, like the server's own reading of parameter counts."""
        return int.from_bytes(self.take(2), "big")

    def int32(self) -> int:
        return int.from_bytes(self.take(4), "big", signed=True)

    def uint32(self) -> int:
        """An OID: unsigned 32 bits."""
        return int.from_bytes(self.take(4), "big")

    def c_string(self) -> bytes:
        """A String up to its NUL, which is consumed and not returned."""
        end = self._body.find(b"\0", self._at)
        if end < 0:
            raise ProtocolViolation("string without terminator")
        text = self._body[self._at : end]
        self._at = end + 1
        return text

    def value(self) -> bytes | None:
        """An Int32 length and as many bytes; -1 is SQL NULL."""
        length = self.int32()
        if length == _NULL:
            return None
        return self.take(length)

    def int16s(self) -> tuple[int, ...]:
        """A count and as many Int16."""
        return tuple(self.int16() for _ in range(self.count16()))

    def uint32s(self) -> tuple[int, ...]:
        """A count and as many OIDs."""
        return tuple(self.uint32() for _ in range(self.count16()))

    def values(self) -> tuple[bytes | None, ...]:
        """A count and as many values."""
        return tuple(self.value() for _ in range(self.count16()))

    def finish(self) -> None:
        """Nothing may be left over: what one side ignores, the other might act on."""
        if self._at != len(self._body):
            raise ProtocolViolation("message is longer than its fields")
