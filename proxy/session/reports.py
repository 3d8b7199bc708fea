"""What a client may read of the server's errors and notices, and how a refusal looks on the wire.

Messages of guarded plans can quote hidden values (invalid input "…", Key (x)=(…)): those lose their texts. So does
whatever a function says, as it reads with the gateway's rights: RAISE takes any SQLSTATE and any text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from policies.decision import Decision, Refusal
from proxy.wire.errors import error_response, sqlstate_meaning

# Classes whose messages name objects and states, never values.
_CLASSES_KEEPING_MESSAGE: Final = frozenset({"25", "26", "34", "3D", "40", "53", "54", "55", "57", "08", "0A", "28"})
# Of these only what was found while the statement was read, which its place in the text shows: casts to regclass or
# tsquery quote values with the same codes while it runs. And rights and duplicate names, which have no place.
_CLASSES_OF_TEXTS: Final = frozenset({"42", "3F"})
_PLACELESS: Final = frozenset(
    {"42501", "42P03", "42P04", "42P05", "42P06", "42P07", "42701", "42710", "42712", "42723"}
)
_DROPPED: Final = frozenset("DWHstcdnpqM")
# A write's target stands in the statement with all its columns: "Perhaps you meant ..." could name a blocked one.
_UNDEFINED_COLUMN: Final = "42703"
# What a record keeps of them, and in which order.
_ORIGINAL: Final = (("M", ""), ("D", "DETAIL: "), ("H", "HINT: "), ("W", "CONTEXT: "))


def refusal_bytes(refusal: Refusal, severity: str = "ERROR") -> bytes:
    """The ErrorResponse for a refusal: MESSAGE names the rule, DETAIL the place, HINT the way out."""
    message = f"{refusal.message} (rule {refusal.rule})"
    return error_response(severity, refusal.sqlstate, message, refusal.detail, refusal.hint, refusal.position)


def fatal_bytes(sqlstate: str, message: str, hint: str = "") -> bytes:
    return error_response("FATAL", sqlstate, message, "", hint)


def sqlstate_of(fields: Mapping[str, bytes]) -> str:
    return fields.get("C", b"XX000").decode("ascii", "replace")


def is_fatal(fields: Mapping[str, bytes]) -> bool:
    return fields.get("V", fields.get("S", b"")) in (b"FATAL", b"PANIC")


def has_foreign_context(fields: Mapping[str, bytes]) -> bool:
    """Whether a function spoke: its author chose the SQLSTATE and all texts. COPY's own line tells of COPY alone."""
    context = fields.get("W")
    return context is not None and (b"\n" in context or not context.startswith(b"COPY "))


def client_fields(fields: Mapping[str, bytes], decision: Decision | None, is_guarded: bool) -> Mapping[str, bytes]:
    """The fields as the client may see them; the very same mapping when nothing changes."""
    shown = _scrubbed(fields) if is_guarded else fields
    if decision is not None and decision.edits and "P" in fields:
        shown = _with_position(shown, decision)
    return shown


def taken_out(fields: Mapping[str, bytes], shown: Mapping[str, bytes]) -> str:
    """The texts that the client didn't get, with all that the server said beside them; empty if it got them all."""
    if all(shown.get(letter) == text for letter, text in fields.items() if letter in _DROPPED):
        return ""
    lines = (label + fields[letter].decode("utf-8", "replace") for letter, label in _ORIGINAL if letter in fields)
    return "\n".join(lines)


def _scrubbed(fields: Mapping[str, bytes]) -> dict[str, bytes]:
    sqlstate = sqlstate_of(fields)
    keeps_message = _keeps_message(sqlstate, fields)
    keeps_hint = keeps_message and sqlstate[:2] == "42" and sqlstate != _UNDEFINED_COLUMN
    shown: dict[str, bytes] = {}
    for letter, text in fields.items():
        if letter == "M":
            shown[letter] = text if keeps_message else sqlstate_meaning(sqlstate).encode()
        elif letter not in _DROPPED or (letter == "H" and keeps_hint):
            shown[letter] = text
    return shown


def _keeps_message(sqlstate: str, fields: Mapping[str, bytes]) -> bool:
    if has_foreign_context(fields):
        return False
    if sqlstate[:2] in _CLASSES_OF_TEXTS:
        return "P" in fields or sqlstate in _PLACELESS
    return sqlstate[:2] in _CLASSES_KEEPING_MESSAGE


def _with_position(fields: Mapping[str, bytes], decision: Decision) -> dict[str, bytes]:
    shown = dict(fields)
    raw = shown.pop("P", b"")
    position = decision.client_position(int(raw)) if raw.isdigit() else 0
    if position > 0:
        shown["P"] = str(position).encode()
    return shown
