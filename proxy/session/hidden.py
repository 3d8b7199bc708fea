"""Columns of ours at the end of a statement's rows: what the client sees of the statement without them.

They hold the check that a written row stays within the filters. This module knows plans and messages, not whose
turn it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from policies.decision import CHECK_TOKEN, Plan, Refusal
from proxy.session.queue import MaskMismatch
from proxy.wire import messages as m
from proxy.wire.codec import encode

_CHECK_SQLSTATE: Final = b"22P02"  # the number that CHECK_TOKEN isn't
_NO_DATA: Final = encode(m.NoData())


def shown_fields(fields: tuple[m.Field, ...], plan: Plan) -> tuple[m.Field, ...]:
    """The columns without ours. Raises MaskMismatch when they can't all be there."""
    left = len(fields) - plan.hidden_columns
    if left < 0 or (plan.is_all_hidden and left > 0):
        raise MaskMismatch
    return fields[:left]


def description(fields: tuple[m.Field, ...], plan: Plan) -> bytes:
    """What answers a Describe: `fields` are those that the client may see."""
    return _NO_DATA if plan.is_all_hidden else encode(m.RowDescription(fields))


def plain_fields(fields: tuple[m.Field, ...]) -> tuple[m.Field, ...]:
    """A portal's columns as Describe of its statement tells them: their formats aren't known yet."""
    return tuple(replace(field, format=0) for field in fields)


def bind_formats(formats: tuple[int, ...], plan: Plan) -> tuple[int, ...]:
    """Bind's result formats for the server: one for all, or one for each of its columns."""
    if not plan.hidden_columns or len(formats) <= 1:
        return formats
    # Without rows the server ignores the formats, however many; ours may be in any.
    return () if plan.is_all_hidden else formats + (0,) * plan.hidden_columns


def failed_check(fields: Mapping[str, bytes], plan: Plan | None) -> Refusal | None:
    """The plan's refusal if this error says that its check failed."""
    if plan is None or plan.check is None or fields.get("C") != _CHECK_SQLSTATE:
        return None
    return plan.check if CHECK_TOKEN.encode() in fields.get("M", b"") else None
