"""Cuts the byte stream of one peer into frames, by offsets, without copying them.

It knows headers and lengths, not what is inside. Ownership: the cutter hands out offsets into `buffer`, an
immutable bytes object that is replaced, never changed, by the next `feed`; so a memoryview slice of it may stay
in a transport's queue for as long as it likes. Only a frame that straddles two chunks is joined (one copy).

    cutter.feed(chunk)
    if cutter.is_passing:                         # a frame handed on in parts goes first
        start, end = cutter.take_part()
    while run := cutter.next_run():               # (type, start, end, count): complete frames of one type
        ...
    if (head := cutter.pending()) is not None:    # (type, whole length, bytes at hand) of an incomplete frame
        start, end = cutter.pass_pending()        # hand on what there is; the rest comes by take_part()
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from proxy.wire.errors import LocalProtocolError, ProtocolViolation

MIB: Final = 1 << 20
MAX_FRAME_BYTES: Final = 1 << 30

_MIN_LENGTH: Final = 4
_MIN_STARTUP_LENGTH: Final = 8
_PIECES_IN_BLOCK: Final = 1024

STARTUP_TYPE: Final = 0
"""Type byte reported for a startup packet, which has none on the wire."""


@dataclass(frozen=True, slots=True)
class FrameLimits:
    """Caps on the length word, in bytes. `by_type` (type byte to cap) overrides `message_bytes`.

    PostgreSQL itself caps the startup packet at 10,000 bytes (MAX_STARTUP_PACKET_LENGTH) and any message at 1 GiB.
    """

    startup_bytes: int = 10_000
    message_bytes: int = 64 * MIB
    by_type: Mapping[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        caps = (self.startup_bytes, self.message_bytes, *self.by_type.values())
        if any(not 4 <= cap <= MAX_FRAME_BYTES for cap in caps):
            raise LocalProtocolError("a frame limit is between 4 bytes and 1 GiB")
        if any(not 0 <= type_byte <= 255 for type_byte in self.by_type):
            raise LocalProtocolError("a type byte is between 0 and 255")


@lru_cache(64)
def _caps_of(message_bytes: int, by_type: tuple[tuple[int, int], ...]) -> list[int]:
    """Caps by type byte, never changed: thousands of idle sessions have the same ones."""
    caps = [message_bytes] * 256
    for type_byte, cap in by_type:
        caps[type_byte] = cap
    return caps


class FrameCutter:
    """Cuts one direction of one link. Any bytes cut into frames or raise ProtocolViolation, nothing else.

    With `startup` true, frames have no type byte until `end_startup()`: startup packets are asked for one at a
    time, so the bytes after an SSLRequest stay unread (`unread_bytes`) until the caller has said what they are.
    """

    def __init__(self, limits: FrameLimits | None = None, startup: bool = False) -> None:
        self.buffer = b""
        self._at = 0
        self._size = 0
        self._carried: list[bytes] = []
        self._carried_blocks = 0
        self._carried_bytes = 0
        self._needed_bytes = 0
        self._passing_bytes = 0
        self._is_startup = startup
        self.set_limits(limits if limits is not None else FrameLimits())

    def set_limits(self, limits: FrameLimits) -> None:
        """Caps from the next header on; sessions loosen them after authentication."""
        self._caps = _caps_of(limits.message_bytes, tuple(limits.by_type.items()))
        self._startup_cap = limits.startup_bytes

    def end_startup(self) -> None:
        """The startup packet was the last of its kind: typed messages follow."""
        self._join_carried()
        self._is_startup = False

    @property
    def is_startup(self) -> bool:
        return self._is_startup

    @property
    def is_passing(self) -> bool:
        """Whether a frame is being handed on in parts and more of it is to come."""
        return self._passing_bytes > 0

    @property
    def unread_bytes(self) -> int:
        """Bytes fed that no call has handed out yet. After an SSLRequest anything but 0 is an injection."""
        return self._carried_bytes + self._size - self._at

    def feed(self, chunk: bytes | bytearray | memoryview) -> None:
        """Takes the peer's next bytes. Offsets given out before are void; views of the old buffer stay valid."""
        data = bytes(chunk)
        self._carry_rest()
        self._carry(data)
        if self._carried_bytes >= self._needed_bytes:
            self._join_carried()

    def next_frame(self) -> tuple[int, int, int] | None:
        """The next complete frame as (type byte, start, end), its header included; None until more is fed."""
        start = self._at
        end = self._frame_end()
        if end == 0 or end > self._size:
            return None
        self._at = end
        return self._type_at(start), start, end

    def next_run(self) -> tuple[int, int, int, int] | None:
        """The longest run of complete frames of one type as (type byte, start, end, count of frames).

        A malformed header ends the run before it; the next call raises.
        """
        start = self._at
        end = self._frame_end()
        if end == 0 or end > self._size:
            return None
        type_byte = self._type_at(start)
        count = 0
        while end != 0 and end <= self._size:
            self._at = end
            count += 1
            if self._is_startup or end == self._size or self._type_at(end) != type_byte:
                break
            try:
                end = self._frame_end()
            except ProtocolViolation:
                break
        return type_byte, start, self._at, count

    def take_alike(self, type_byte: int) -> int:
        """Takes the complete frames that come next, as far as they are of this type; where the last one ends.

        After next_frame(), that is where the frame ends at the least. A malformed header is left to the next call.
        """
        while not self._is_startup and self._at < self._size and self._type_at(self._at) == type_byte:
            try:
                end = self._frame_end()
            except ProtocolViolation:
                break
            if end == 0 or end > self._size:
                break
            self._at = end
        return self._at

    def types_ahead(self, most: int) -> bytes:
        """The types of the complete frames that come next, so many at most. Nothing is taken."""
        at = self._at
        found = bytearray()
        try:
            while len(found) < most and not self._is_startup and not self._passing_bytes and self._at < self._size:
                end = self._frame_end()
                if end == 0 or end > self._size:
                    break
                found.append(self.buffer[self._at])
                self._at = end
        except ProtocolViolation:
            pass  # whoever takes it is told
        finally:
            self._at = at
        return bytes(found)

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        while (frame := self.next_frame()) is not None:
            yield frame

    def pending(self) -> tuple[int, int, int] | None:
        """The incomplete frame at the end as (type byte, whole length, bytes at hand), once its header is there.

        Ask after next_run() or next_frame() said None; before that, or without such a frame, it is None.
        """
        if self._carried_bytes:
            type_byte = STARTUP_TYPE if self._is_startup else self._carried[0][0]
            return type_byte, self._needed_bytes, self._carried_bytes
        end = self._frame_end()
        if end <= self._size:
            return None
        return self._type_at(self._at), end - self._at, self._size - self._at

    def pass_pending(self) -> tuple[int, int]:
        """Hands out what there is of the incomplete frame as (start, end); the rest comes by take_part().

        Only for frames that nobody has to inspect. Raises LocalProtocolError if there is no such frame.
        """
        if self._is_startup or self.pending() is None:
            raise LocalProtocolError("there is no incomplete message to pass")
        self._join_carried()
        start = self._at
        self._passing_bytes = self._frame_end() - self._size
        self._at = self._size
        return start, self._size

    def take_part(self) -> tuple[int, int]:
        """The next part of the frame being passed as (start, end), empty if there is none."""
        start = self._at
        count = min(self._passing_bytes, self._size - start)
        self._passing_bytes -= count
        self._at = start + count
        return start, self._at

    def _carry_rest(self) -> None:
        # What isn't handed out yet waits as pieces: joined once, when complete, so that a large frame that
        # comes in many chunks isn't copied for each of them.
        if self._carried_bytes:
            return
        end = self._frame_end()
        self._needed_bytes = end - self._at
        if self._at < self._size:
            self._carry(self.buffer[self._at :])
        self._replace(b"")

    def _carry(self, data: bytes) -> None:
        if not data:
            return
        self._carried.append(data)
        self._carried_bytes += len(data)
        # A peer that sends a large frame byte by byte must not make us keep an object for each: every so many
        # pieces become one block, so a byte is copied twice at most.
        if len(self._carried) - self._carried_blocks >= _PIECES_IN_BLOCK:
            self._carried[self._carried_blocks :] = [b"".join(self._carried[self._carried_blocks :])]
            self._carried_blocks += 1

    def _join_carried(self) -> None:
        if not self._carried_bytes:
            return
        # A join of one piece is that piece itself, not a copy.
        self._replace(b"".join(self._carried))
        self._carried.clear()
        self._carried_blocks = 0
        self._carried_bytes = 0

    def _replace(self, data: bytes) -> None:
        self.buffer = data
        self._at = 0
        self._size = len(data)

    def _type_at(self, at: int) -> int:
        return STARTUP_TYPE if self._is_startup else self.buffer[at]

    def _frame_end(self) -> int:
        # Where the frame at _at ends, which may be beyond the buffer; 0 while its header isn't complete.
        if self._passing_bytes:
            if self._at < self._size:
                raise LocalProtocolError("take_part() comes first: a frame is being passed")
            return 0
        at = self._at if self._is_startup else self._at + 1
        if at + 4 > self._size:
            return 0
        data = self.buffer
        # In halves: compiled, a byte is a C int, and 255 << 24 would be negative.
        high = data[at] << 8 | data[at + 1]
        low = data[at + 2] << 8 | data[at + 3]
        length = high << 16 | low
        self._check_length(length, at)
        return at + length

    def _check_length(self, length: int, at: int) -> None:
        # Read as unsigned, a negative length is above every cap.
        if self._is_startup:
            if not _MIN_STARTUP_LENGTH <= length <= self._startup_cap:
                raise ProtocolViolation("invalid length of startup packet")
        elif length < _MIN_LENGTH:
            raise ProtocolViolation("message length is smaller than its own header")
        elif length > self._caps[self.buffer[at - 1]]:
            raise ProtocolViolation("message is longer than the configured limit")
