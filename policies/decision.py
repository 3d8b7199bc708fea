"""What `policies` answers for a client's text: a Decision, which the proxy needs before it forwards anything."""

from __future__ import annotations

from dataclasses import dataclass

from policies.copy_masks import CopyMasks
from policies.masks import StreamMask
from policies.model import Limits, RuleId


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
class RawColumn:
    """A masked column whose real values a statement compares, joins or groups by, as its mask's `use` allows.

    `probes`: each of the client's values that the column is held against is one, so that a list is no way around the
    cap; a statement that only joins or groups counts one.
    """

    column: str  # "shop.customers.email"
    probes_per_hour: int | None
    rule: RuleId
    probes: int = 1


# What stands before the name of a table in the text that a failing check of ours casts to a number: see `Plan.check`.
CHECK_TOKEN = "pgwarden:row_filter:"


@dataclass(frozen=True, slots=True)
class Effect:
    """What a statement does to the session's state once it has succeeded. Names are folded as PostgreSQL folds them.

    `savepoint` is the name that SAVEPOINT, RELEASE or ROLLBACK TO gives. `closes_cursor` and `forgets_prepared` are a
    name, or ALL_NAMES. `discards`: DISCARD ALL.
    """

    search_path: tuple[str, ...] | None = None
    resets_search_path: bool = False  # back to what it was when the session began
    is_local: bool = False  # the search_path holds until the transaction ends
    savepoint: str = ""
    is_chained: bool = False  # COMMIT or ROLLBACK AND CHAIN: another transaction block begins at once
    opens_cursor: str = ""
    is_holdable: bool = False  # the cursor it opens outlives the transaction
    reads_cursor: str = ""  # FETCH: its rows come from a plan that was decided earlier
    closes_cursor: str = ""
    prepares: str = ""
    executes: str = ""  # EXECUTE: it runs a plan that was decided earlier
    forgets_prepared: str = ""
    makes_temporary: tuple[str, ...] = ()  # relations in pg_temp
    drops_temporary: tuple[str, ...] = ()
    discards_temporary: bool = False
    makes_relations: tuple[tuple[str, str], ...] = ()  # (schema, name): the snapshot learns of them after the commit
    drops_relations: tuple[tuple[str, str], ...] = ()
    is_until_commit: bool = False  # what it makes in pg_temp is gone after COMMIT too
    discards: bool = False


ALL_NAMES = "\0"  # no identifier can hold it
NO_EFFECT = Effect()


@dataclass(frozen=True, slots=True)
class Leaves:
    """What a statement leaves behind in the server's session beside its effect: for links that sessions share.

    `pins`: why nobody else may use the link from now on, one word of a bounded list; empty when it may. `settings`:
    names in lower case (ALL_NAMES: every one) with the SQL that gives them the same value again, None for their
    default. `is_local`: settings changed until the transaction ends. `has_sequences`: lastval() may know of it.
    """

    pins: str = ""
    settings: tuple[tuple[str, str | None], ...] = ()
    is_local: bool = False
    has_sequences: bool = False


NOTHING_LEFT = Leaves()


@dataclass(frozen=True, slots=True)
class Plan:
    """One statement of a text, decided.

    `command` names the kind in lower case ("select", "insert", "begin", "commit", "rollback", "savepoint", "set",
    "show", "copy", "create table", ...). `is_guarded`: it touches data that the policy changes, so errors and
    notices are scrubbed. `is_ddl`: the catalog must be read again after it. `is_tainting`: under the allow-everything
    policy, it may have left session state that the compiler doesn't know; the session can't go on under a narrower
    policy. `hidden_columns`: so many columns at the end of the rows are ours and never reach the client; they hold
    the check that a written row stays within the filters. A row that doesn't makes the server fail with 22P02 and
    CHECK_TOKEN in its message; the client reads `check` with 42501 instead. `is_all_hidden`: it has no other columns,
    so the client sees a statement without rows. `raw_columns`: each is recorded, and its use counted per principal.
    `copy_masks`: columns of COPY's rows that arrive raw.
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
    effect: Effect = NO_EFFECT
    hidden_columns: int = 0
    is_all_hidden: bool = False
    check: Refusal | None = None
    shape: str = ""  # hex digest of the statement with its literals taken out
    raw_columns: tuple[RawColumn, ...] = ()
    leaves: Leaves = NOTHING_LEFT
    copy_masks: CopyMasks | None = None

    @property
    def moves_settings(self) -> bool:
        """Whether what the session follows of the server's settings changes with it."""
        return self.effect.search_path is not None or bool(self.leaves.settings)


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
    search_path: tuple[str, ...] = ()  # under which its names were looked up

    @property
    def verdict(self) -> str:
        """``deny``, ``rewrite`` where something goes upstream or comes back changed, or ``allow``."""
        if self.refusal is not None:
            return "deny"
        is_changed = any(plan.is_rewritten or plan.column_masks or plan.copy_masks for plan in self.plans)
        return "rewrite" if self.edits or is_changed else "allow"

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
