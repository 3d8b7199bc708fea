"""What a client may read of the server's errors and notices, and how a refusal looks on the wire.

Messages of guarded plans can quote hidden values (invalid input "…", Key (x)=(…)): those lose their texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from policies.decision import Decision, Refusal
from proxy.wire.errors import error_response, sqlstate_meaning

# Classes whose messages name objects and states, never values.
_CLASSES_KEEPING_MESSAGE: Final = frozenset(
    {"42", "25", "26", "34", "3D", "3F", "40", "53", "54", "55", "57", "08", "0A", "28"}
)
_DROPPED: Final = frozenset("DWHstcdnpqM")
# A write's target stands in the statement with all its columns: "Perhaps you meant ..." could name a blocked one.
_UNDEFINED_COLUMN: Final = "42703"


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


def client_fields(fields: Mapping[str, bytes], decision: Decision | None, is_guarded: bool) -> Mapping[str, bytes]:
    """The fields as the client may see them; the very same mapping when nothing changes."""
    shown = _scrubbed(fields) if is_guarded else fields
    if decision is not None and decision.edits and "P" in fields:
        shown = _with_position(shown, decision)
    return shown


def _scrubbed(fields: Mapping[str, bytes]) -> dict[str, bytes]:
    sqlstate = sqlstate_of(fields)
    keeps_message = sqlstate[:2] in _CLASSES_KEEPING_MESSAGE
    shown: dict[str, bytes] = {}
    for letter, text in fields.items():
        if letter == "M":
            shown[letter] = text if keeps_message else sqlstate_meaning(sqlstate).encode()
        elif letter not in _DROPPED or (letter == "H" and sqlstate[:2] == "42" and sqlstate != _UNDEFINED_COLUMN):
            shown[letter] = text
    return shown


def _with_position(fields: Mapping[str, bytes], decision: Decision) -> dict[str, bytes]:
    shown = dict(fields)
    raw = shown.pop("P", b"")
    position = decision.client_position(int(raw)) if raw.isdigit() else 0
    if position > 0:
        shown["P"] = str(position).encode()
    return shown
