"""What a write may have as its target, and which grants it needs."""

from __future__ import annotations

from policies.compile.draft import Access, Draft, Target
from policies.compile.facts import Write
from policies.compile.rules.relations import SYSTEM_SCHEMAS, TEMPORARY_SCHEMA
from policies.compile.statements import missing_grant
from policies.compile.writes.meaning import meaning_of
from policies.model import Statement as Grant

_GRANTS = {
    "InsertStmt": Grant.INSERT,
    "UpdateStmt": Grant.UPDATE,
    "DeleteStmt": Grant.DELETE,
    "MergeStmt": Grant.MERGE,
}
_VIEW = "v"


def resolve_writes(draft: Draft) -> None:
    """Ties the row versions to their targets. Raises Refused for targets that can't be written, or without a grant."""
    for write in draft.facts.writes:
        target = target_of(draft, write)
        _require_writable(draft, write, target)
        for item in write.versions:
            draft.targets_by_item[id(item)] = target
    for write in draft.facts.writes:
        _require_grants(draft, write, target_of(draft, write))
    if draft.facts.writes and draft.statement.kind != "SelectStmt" and _reads(draft):
        _require(draft, draft.facts.writes[-1], Grant.SELECT, "this statement reads, and ")


def target_of(draft: Draft, write: Write) -> Target:
    return draft.targets_by_item[id(write.use.item)]


def _require_writable(draft: Draft, write: Write, target: Target) -> None:
    if target.schema in SYSTEM_SCHEMAS:
        raise draft.refuse(
            "42501",
            "pgwarden/catalogs",
            f"{target.schema}.{target.name} can't be written under a policy",
            at=write.use.location,
        )
    if target.access is Access.GUARDED and target.relation is not None and target.relation.kind == _VIEW:
        raise draft.refuse(
            "0A000",
            "pgwarden/writes",
            f"view {target.schema}.{target.name} can't be written: rules hold for what is behind it",
            at=write.use.location,
            hint="Write the view's own table.",
        )


def _require_grants(draft: Draft, write: Write, target: Target) -> None:
    """A temporary table is the client's own: it needs the grant that made it. DO UPDATE is an update, as the server
    counts privileges.
    """
    if target.schema == TEMPORARY_SCHEMA:
        _require(draft, write, Grant.TEMP_TABLES)
        return
    _require(draft, write, _GRANTS[write.kind])
    if write.node.get("onConflictClause", {}).get("action") == "ONCONFLICT_UPDATE":
        _require(draft, write, Grant.UPDATE, "ON CONFLICT DO UPDATE updates rows, and ")


def _require(draft: Draft, write: Write, grant: Grant, why: str = "") -> None:
    policy = draft.policy
    if policy.statements & {grant, Grant.ALL}:
        return
    rule, detail, hint = missing_grant(policy, (grant,))
    message = f"{why}{grant.value} statements are not allowed for {policy.principal.user}"
    raise draft.refuse("42501", rule, message, detail=detail, hint=hint, at=write.use.location)


def _reads(draft: Draft) -> bool:
    """Any relation besides the targets, or a column of a target; what was proposed for insertion isn't read."""
    if any(not use.is_written for use in draft.facts.relations):
        return True
    return any(_reads_target(draft, write) for write in draft.facts.writes)


def _reads_target(draft: Draft, write: Write) -> bool:
    if target_of(draft, write).schema == TEMPORARY_SCHEMA:
        return False
    found = (meaning_of(draft, write, reference) for reference in draft.facts.references)
    return any(meant is not None and meant.item.version != "excluded" and meant.clause != "infer" for meant in found)
