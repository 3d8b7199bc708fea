"""The session's own refusals: what it says where the server or a policy would have said no."""

from __future__ import annotations

from policies.decision import Refusal
from proxy.wire.errors import error_response


def changed_result() -> bytes:
    """The server's own words when a prepared statement's columns changed."""
    return _with_routine(
        error_response("ERROR", "0A000", "cached plan must not change result type"), "RevalidateCachedQuery"
    )


def _with_routine(frame: bytes, routine: str) -> bytes:
    body = frame[5:-1] + b"R" + routine.encode() + b"\0\0"
    return frame[:1] + (len(body) + 4).to_bytes(4, "big") + body


def missing_for(is_statement: bool, name: bytes) -> bytes:
    if is_statement:
        return _missing("26000", "prepared statement", name, "FetchPreparedStatement")
    return _missing("34000", "portal", name, "exec_execute_message")


def _missing(sqlstate: str, what: str, name: bytes, routine: str) -> bytes:
    shown = name.decode("utf-8", "replace")
    if what == "prepared statement" and not shown:
        message = "unnamed prepared statement does not exist"
    else:
        message = f'{what} "{shown}" does not exist'
    return _with_routine(error_response("ERROR", sqlstate, message), routine)


def cannot_run(portal: bytes) -> bytes:
    """The server's own words for a portal that has run to its end."""
    message = f'portal "{portal.decode("utf-8", "replace")}" cannot be run'
    return _with_routine(error_response("ERROR", "55000", message), "MarkPortalActive")


def path_refusal(reason: str) -> Refusal:
    return Refusal(
        "0A000",
        "pgwarden/search_path",
        f"search_path can't be changed here: {reason}",
        hint="Send SET search_path alone, outside of a transaction, or as a connection parameter.",
    )


def journal_refusal() -> Refusal:
    return Refusal(
        "53100",
        "pgwarden/journal",
        "the audit journal can't take a record, so nothing may run",
        hint="The operator must make room for the journal; statements go on by themselves then.",
    )


def undecided() -> Refusal:
    return Refusal("0A000", "pgwarden/decision", "no decision could be made for this statement")
