"""Rows that are written must be rows that the client may see: the check stands in one more column of RETURNING.

RETURNING gives the row as it was finally written, after triggers. The filter's own subqueries see the database as it
was when the statement began, as in the server's row security. A row that fails makes the server fail, so nothing of the
statement stays; the session turns that error into the refusal, and hides the column. In WITH the check stands around an
expression of RETURNING instead.
"""

from __future__ import annotations

from dataclasses import replace

from policies.compile.draft import Draft, Splice, Target
from policies.compile.facts import Write
from policies.compile.guards import quote
from policies.compile.tree import Tree
from policies.compile.writes.changes import change_of
from policies.compile.writes.expressions import Lent, filter_columns, lent
from policies.compile.writes.extent import end_byte, span_of
from policies.compile.writes.forms import Form, value_or_fail
from policies.decision import CHECK_TOKEN, Refusal

_MERGE_RETURNS_SINCE = 170_000


def failure_of(alias: str, sql_type: str) -> str:
    """An expression that fails, and can't be known to before there is a row: a constant cast would fail at once."""
    text = f"pg_catalog.textcat('{CHECK_TOKEN}', CAST({quote(alias)}.tableoid AS pg_catalog.text))"
    return f"CAST({text} AS pg_catalog.{sql_type})"


def needs_check(draft: Draft, write: Write, target: Target) -> bool:
    """Whether a row could be written that the filters hide: a new one, or one whose deciding columns are assigned."""
    if not target.rule or not target.rule.filters:
        return False
    change = change_of(write, target)
    named = filter_columns(draft, target)
    reads_row = bool(change.assigned) and target.name in named
    return change.inserts or reads_row or bool(change.assigned & named)


def check_in_place(draft: Draft, write: Write, condition: Lent) -> Form | None:
    """In WITH, where no column can be hidden: what stands around an expression of RETURNING. None at the top.

    A write in WITH always runs to its end, and gives all its rows, whoever reads them.
    """
    if write.cte is None or "returningClause" not in write.node:
        return None
    return value_or_fail(condition, failure_of(write.use.item.alias, "bool"))


def check_rows(draft: Draft, write: Write, target: Target, condition: Lent) -> None:
    """Adds the column, unless the check stands in place. A write in WITH without RETURNING can't be read at all."""
    draft.check = refusal_of(target) if draft.check is None else _refusal_of_several(draft.check)
    clause = write.node.get("returningClause")
    if clause and write.cte is not None:
        return
    text = f"CASE WHEN ({condition.text}) THEN CAST(NULL AS pg_catalog.int4) ELSE "
    text += f"{failure_of(write.use.item.alias, 'int4')} END"
    added: Tree = {"ResTarget": {"val": lent(draft, text).tree}}
    at = end_byte(draft, span_of(draft, write))
    draft.splices.append(Splice(at, at, f"{', ' if clause else ' RETURNING '}{text}"))
    if clause:
        clause["exprs"].append(added)
    else:
        write.node["returningClause"] = {"exprs": [added]}
    draft.hidden_columns = int(write.cte is None)
    draft.is_all_hidden = write.cte is None and not clause


def _refusal_of_several(refusal: Refusal) -> Refusal:
    """One of the tables' rows; the server's error tells only its number."""
    return replace(refusal, message="new row violates a row filter")


def refusal_of(target: Target) -> Refusal:
    """What the client reads when a row fails the check."""
    assert target.rule is not None
    rules = ", ".join(f"{one.rule.name} at {one.rule.source}" for one in target.rule.filters)
    return Refusal(
        "42501",
        str(target.rule.filters[0].rule),
        f'new row violates the row filter for table "{target.name}"',
        f"Rule {rules}." if len(target.rule.filters) == 1 else f"Rules {rules}.",
        "Write rows that you may see.",
    )


def require_returning(draft: Draft, write: Write, target: Target) -> None:
    """Raises Refused where the server's MERGE has no RETURNING."""
    if write.kind == "MergeStmt" and draft.catalog.server_version < _MERGE_RETURNS_SINCE:
        raise draft.refuse(
            "0A000",
            "pgwarden/writes",
            f"rows that MERGE writes to {target.schema}.{target.name} can't be held against its row filter here",
            detail="MERGE has RETURNING from PostgreSQL 17 on.",
            at=write.use.location,
            hint="Use INSERT ... ON CONFLICT or UPDATE, or leave the columns alone that the filter reads.",
        )
