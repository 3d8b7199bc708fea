"""Puts a plan's masks to the rows of its COPY TO, once the server has said how it begins."""

from __future__ import annotations

from policies.copy_masks import CopyFormat, CopyMasks
from proxy.session.queue import MaskMismatch
from proxy.wire.copy_lines import Lines
from proxy.wire.copy_rows import BinaryRows, CopyRows, LineRows
from proxy.wire.messages import CopyOutResponse

_BINARY = 1


def place_copy_masks(masks: CopyMasks, response: CopyOutResponse) -> CopyRows:
    """Raises MaskMismatch when the rows won't look like those that were decided."""
    layout = masks.layout
    is_binary = layout.format is CopyFormat.BINARY
    if len(response.column_formats) != masks.column_count or (response.format == _BINARY) is not is_binary:
        raise MaskMismatch
    columns = [(one.index, one.mask) for one in masks.columns]
    if is_binary:
        return BinaryRows(columns, masks.column_count)
    is_csv = layout.format is CopyFormat.CSV
    quote, escape = (layout.quote, layout.escape) if is_csv else (b"", b"")
    forced = [one.is_quoted for one in masks.columns]
    lines = Lines(layout.delimiter, layout.null, quote, escape, masks.column_count, forced)
    return LineRows(lines, columns, masks.column_count, layout.has_header)
