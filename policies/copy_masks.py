"""What a COPY TO STDOUT needs masked in the stream, and how its rows are written. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from policies.masks import StreamMask


class CopyFormat(Enum):
    TEXT = "text"
    CSV = "csv"
    BINARY = "binary"


@dataclass(frozen=True, slots=True)
class CopyLayout:
    """COPY's options as far as its output shows them. Texts are ASCII; `delimiter`, `quote` and `escape` one octet.

    In binary only the format counts, in text neither `quote` nor `escape`.
    """

    format: CopyFormat = CopyFormat.TEXT
    delimiter: bytes = b"\t"
    null: bytes = b"\\N"
    quote: bytes = b'"'
    escape: bytes = b'"'
    has_header: bool = False


@dataclass(frozen=True, slots=True)
class CopyMask:
    """The column at `index` (from 0) of every row. `is_quoted`: FORCE_QUOTE names it."""

    index: int
    column: str  # "shop.customers.email"
    mask: StreamMask
    is_quoted: bool = False


@dataclass(frozen=True, slots=True)
class CopyMasks:
    """`columns` by rising index. A row of another number of columns than `column_count` may not be shown."""

    layout: CopyLayout
    column_count: int
    columns: tuple[CopyMask, ...]
