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


def statement_exists(name: bytes) -> bytes:
    text = f'prepared statement "{_shown(name)}" already exists'
    return _with_routine(error_response("ERROR", "42P05", text), "StorePreparedStatement")


def _missing(sqlstate: str, what: str, name: bytes, routine: str) -> bytes:
    shown = _shown(name)
    if what == "prepared statement" and not shown:
        message = "unnamed prepared statement does not exist"
    else:
        message = f'{what} "{shown}" does not exist'
    return _with_routine(error_response("ERROR", sqlstate, message), routine)


def aborted() -> bytes:
    """The server's own words inside a failed transaction."""
    message = "current transaction is aborted, commands ignored until end of transaction block"
    return _with_routine(error_response("ERROR", "25P02", message), "exec_simple_query")


def cannot_run(portal: bytes) -> bytes:
    """The server's own words for a portal that has run to its end."""
    message = f'portal "{_shown(portal)}" cannot be run'
    return _with_routine(error_response("ERROR", "55000", message), "MarkPortalActive")


def missing_refusal(is_statement: bool, name: bytes) -> Refusal:
    """For the record; the client reads `missing_for`."""
    what, sqlstate = ("prepared statement", "26000") if is_statement else ("cursor", "34000")
    return Refusal(sqlstate, "pgwarden/names", f'{what} "{_shown(name)}" does not exist')


def missing_cursor(name: bytes) -> bytes:
    """The server's words for a FETCH."""
    message = f'cursor "{_shown(name)}" does not exist'
    return _with_routine(error_response("ERROR", "34000", message), "PerformPortalFetch")


def too_many_names() -> Refusal:
    return Refusal(
        "53400",
        "pgwarden/names",
        "this session has too many prepared statements or cursors",
        hint="Close those that are no longer used.",
    )


def raw_name(name: bytes, is_portal: bool) -> Refusal:
    """The protocol's portals and statements may carry raw columns that are masked on their way to the client."""
    what = "portal" if is_portal else "statement"
    return Refusal(
        "0A000",
        "pgwarden/names",
        f'the {what} "{_shown(name)}" was made by the protocol and can\'t be read by SQL',
        hint="Use DECLARE for cursors that FETCH reads, and PREPARE for statements that EXECUTE runs.",
    )


def changed_cursor(name: bytes) -> Refusal:
    """A cursor of an older policy. 40001: drivers begin the transaction again."""
    return Refusal(
        "40001",
        "pgwarden/reload",
        f'the policies changed after cursor "{_shown(name)}" was opened',
        hint="Begin the transaction again.",
    )


def changed_result_refusal() -> Refusal:
    """For the record; the client reads `changed_result`."""
    return Refusal("0A000", "pgwarden/reload", "cached plan must not change result type")


def journal_refusal() -> Refusal:
    return Refusal(
        "53100",
        "pgwarden/journal",
        "the audit journal can't take a record, so nothing may run",
        hint="The operator must make room for the journal; statements go on by themselves then.",
    )


def cancelled() -> bytes:
    """The server's own words for a statement that the client cancels."""
    return error_response("ERROR", "57014", "canceling statement due to user request")


def no_bulk_server() -> Refusal:
    return Refusal(
        "53400",
        "pgwarden/lanes/bulk",
        "the server of the bulk lane can't be used now",
        hint="Try again later. With `fall_back: true` the primary would do the work meanwhile.",
    )


def undecided() -> Refusal:
    return Refusal("0A000", "pgwarden/decision", "no decision could be made for this statement")


def _shown(name: bytes) -> str:
    return name.decode("utf-8", "replace")
