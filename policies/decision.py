"""What `policies` answers for a client's text: a Decision, which the proxy needs before it forwards anything."""

from __future__ import annotations

from dataclasses import dataclass

from policies.masks import StreamMask
from policies.model import Limits


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a statement may not run. `position` counts characters from 1 in the client's own text, 0 = unknown.

    `rule` is a policy's rule id or a built-in rule's name such as ``pgwarden/functions``.
    None of the texts quotes data.
    """

    sqlstate: str
    rule: str
    message: str
    detail: str = ""
    hint: str = ""
    position: int = 0


@dataclass(frozen=True, slots=True)
class ColumnMask:
    """A column that arrives raw and must be masked in the stream.

    A field of RowDescription with this (table_oid, attnum) is masked; exactly `count` fields must match, else
    the statement may not be answered (fail closed).
    """

    table_oid: int
    attnum: int
    count: int
    mask: StreamMask


@dataclass(frozen=True, slots=True)
class Plan:
    """One statement of a text, decided.

    `command` names the kind in lower case ("select", "insert", "begin", "commit", "rollback", "savepoint", "set",
    "show", "copy", "create table", ...). `is_guarded`: it touches data that the policy changes, so errors and
    notices are scrubbed. `is_ddl`: the catalog must be read again after it. `sets_search_path`: the new path when it
    succeeds outside a transaction block. `is_tainting`: under the allow-everything policy, it may have left session
    state that the compiler doesn't know; the session can't go on under a narrower policy.
    """

    command: str
    text: str  # the statement as the client wrote it, without its semicolon
    is_rewritten: bool = False
    is_guarded: bool = False
    is_ddl: bool = False
    is_tainting: bool = False
    column_masks: tuple[ColumnMask, ...] = ()
    masked_columns: tuple[str, ...] = ()  # "shop.customers.email", stream and source
    tables: tuple[str, ...] = ()
    filtered_tables: tuple[str, ...] = ()
    rule_ids: tuple[str, ...] = ()
    limits: Limits = Limits()
    sets_search_path: tuple[str, ...] | None = None
    resets_search_path: bool = False  # back to what it was when the session began
    shape: str = ""  # hex digest of the statement with its literals taken out


@dataclass(frozen=True, slots=True)
class Edit:
    """`client_text[start:end]` (characters) was replaced by `replacement`."""

    start: int
    end: int
    replacement: str


@dataclass(frozen=True, slots=True)
class Decision:
    """For one client text: what goes upstream instead of it, or why nothing does.

    `plans` has one entry per statement in order (none for an empty query), also when refused, as far as known.
    `text` is what goes upstream (the client's text itself when nothing was edited).
    """

    text: str
    plans: tuple[Plan, ...]
    refusal: Refusal | None = None
    edits: tuple[Edit, ...] = ()
    policy_fingerprint: str = ""
    catalog_version: int = 0

    def client_position(self, position: int) -> int:
        """Maps a POSITION (characters from 1) in `text` back to the client's text; 0 when it lies inside an edit."""
        shift = 0
        for edit in self.edits:
            start = edit.start + shift
            if position - 1 < start:
                break
            if position - 1 < start + len(edit.replacement):
                return 0
            shift += len(edit.replacement) - (edit.end - edit.start)
        return position - shift
