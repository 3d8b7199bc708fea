"""Masks: what stands in a protected column's place, in the rows on their way or in the statement itself.

A mask has two forms that give the same bytes: `stream_form` on wire values, `sql_form` as an expression at
the source. This package must not know sessions, statements or policies, only one column's type and one mask.
"""

from policies.masks.fit import check_type
from policies.masks.source import sql_form
from policies.masks.spec import MaskError, check_spec, stronger
from policies.masks.stream import StreamMask, is_streamable, stream_form

__all__ = [
    "MaskError",
    "StreamMask",
    "check_spec",
    "check_type",
    "is_streamable",
    "sql_form",
    "stream_form",
    "stronger",
]
