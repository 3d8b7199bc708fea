"""What kinds of statements there are, which grant each needs, and which of them need none."""

from __future__ import annotations

import re
from dataclasses import dataclass

from policies.compile.draft import Refused
from policies.compile.parse import Statement
from policies.decision import Refusal
from policies.model import EffectivePolicy, RuleId
from policies.model import Statement as Grant
from policies.resolve import statement_denied_by
from policies.waiting import statement_waits

_COMMANDS = {
    "SelectStmt": "select",
    "InsertStmt": "insert",
    "UpdateStmt": "update",
    "DeleteStmt": "delete",
    "MergeStmt": "merge",
    "CopyStmt": "copy",
    "ExplainStmt": "explain",
    "PrepareStmt": "prepare",
    "ExecuteStmt": "execute",
    "DeallocateStmt": "deallocate",
    "DeclareCursorStmt": "declare",
    "FetchStmt": "fetch",
    "ClosePortalStmt": "close",
    "ListenStmt": "listen",
    "UnlistenStmt": "unlisten",
    "NotifyStmt": "notify",
    "CallStmt": "call",
    "DoStmt": "do",
    "VariableSetStmt": "set",
    "VariableShowStmt": "show",
    "DiscardStmt": "discard",
    "CreateStmt": "create table",
    "CreateTableAsStmt": "create table as",
    "ViewStmt": "create view",
    "TruncateStmt": "truncate",
    "AlterTableStmt": "alter table",
    "LockStmt": "lock",
    "VacuumStmt": "vacuum",
    "CheckPointStmt": "checkpoint",
}
_TRANSACTION = {
    "TRANS_STMT_BEGIN": "begin",
    "TRANS_STMT_START": "begin",
    "TRANS_STMT_COMMIT": "commit",
    "TRANS_STMT_ROLLBACK": "rollback",
    "TRANS_STMT_SAVEPOINT": "savepoint",
    "TRANS_STMT_RELEASE": "release",
    "TRANS_STMT_ROLLBACK_TO": "rollback to",
}
_GRANTS = {
    "SelectStmt": Grant.SELECT,
    "InsertStmt": Grant.INSERT,
    "UpdateStmt": Grant.UPDATE,
    "DeleteStmt": Grant.DELETE,
    "MergeStmt": Grant.MERGE,
    "ExplainStmt": Grant.EXPLAIN,
    "PrepareStmt": Grant.PREPARE,
    "ExecuteStmt": Grant.PREPARE,
    "DeclareCursorStmt": Grant.CURSOR,
    "FetchStmt": Grant.CURSOR,
    "ListenStmt": Grant.LISTEN,
    "NotifyStmt": Grant.LISTEN,
    "CallStmt": Grant.CALL,
    "DoStmt": Grant.DO,
}


@dataclass(frozen=True, slots=True)
class Request:
    """One statement of a text, or one inside another, and the policy it is held against."""

    statement: Statement
    policy: EffectivePolicy
    text: bytes

    def refuse(self, sqlstate: str, rule: str | RuleId, message: str, *, hint: str = "", detail: str = "") -> Refused:
        """The exception to raise; its place is the start of the statement."""
        if isinstance(rule, RuleId):
            detail = detail or f"Rule {rule.name} at {rule.source}."
        before = self.text[: self.statement.start]
        rest = self.text[self.statement.start : self.statement.end]
        blanks = len(rest) - len(rest.lstrip())
        position = len(before.decode("utf-8", "replace")) + blanks + 1
        return Refused(Refusal(sqlstate, str(rule), message, detail, hint, position))


def command_of(statement: Statement) -> str:
    """The command in lower case, bounded: it is a metric's label and a record's field."""
    if statement.kind == "TransactionStmt":
        return _TRANSACTION.get(statement.tree.get("kind", ""), "prepare transaction")
    if statement.kind == "FetchStmt" and statement.tree.get("ismove"):
        return "move"
    if statement.kind in _COMMANDS:
        return _COMMANDS[statement.kind]
    words = re.sub(r"(?<!^)(?=[A-Z])", " ", statement.kind.removesuffix("Stmt"))
    return words.lower()


def grant_of(statement: Statement) -> Grant:
    """The name under `statements:` that lets this kind run."""
    tree = statement.tree
    if statement.kind == "CopyStmt":
        return Grant.COPY_FROM if tree.get("is_from") else Grant.COPY_TO
    if statement.kind == "SelectStmt" and "intoClause" in tree:
        return _creation(tree["intoClause"].get("rel", {}))
    if statement.kind == "CreateStmt":
        return _creation(tree.get("relation", {}))
    if statement.kind == "CreateTableAsStmt":
        return _creation(tree.get("into", {}).get("rel", {}))
    return _GRANTS.get(statement.kind, Grant.DDL)


def _creation(relation: dict[str, object]) -> Grant:
    return Grant.TEMP_TABLES if relation.get("relpersistence") == "t" else Grant.DDL


def is_transaction_control(statement: Statement) -> bool:
    return statement.kind == "TransactionStmt" and statement.tree.get("kind") in _TRANSACTION


def require_grant(request: Request, *others: Grant) -> None:
    """Raises Refused with 42501 when the policy doesn't grant this kind of statement.

    With `others`: when it grants none of them, whatever the kind needs otherwise.
    """
    policy = request.policy
    wanted = others or (grant_of(request.statement),)
    if not policy.statements.isdisjoint((*wanted, Grant.ALL)):
        return
    rule, detail, hint = missing_grant(policy, wanted)
    message = f"{command_of(request.statement)} statements are not allowed for {policy.principal.user}"
    raise request.refuse("42501", rule, message, detail=detail, hint=hint)


def missing_grant(policy: EffectivePolicy, wanted: tuple[Grant, ...]) -> tuple[RuleId | str, str, str]:
    """Rule, detail and hint of a refusal for want of any of these grants."""
    rule = next(filter(None, (statement_denied_by(policy, grant) for grant in wanted)), None)
    names = " or ".join(grant.value for grant in wanted)
    if rule is not None and any(rule is by for part in policy.policies for _, by in part.statements_deny):
        return rule, "", f"What one policy denies, no other allows: take {names} out of {rule}."
    detail = "" if policy.statements_rule else "No policy of this user allows any statement."
    return (
        rule or "pgwarden/default",
        statement_waits(policy, wanted) or detail,
        f"Let a policy of this user list {names} under statements.",
    )


def refuse_unbuilt(request: Request) -> Refused:
    """For a kind that is granted, but can't be guarded yet."""
    return request.refuse(
        "0A000",
        "pgwarden/statements",
        f"{command_of(request.statement)} statements can't be guarded by this version of pgwarden",
        hint="They run under the allow-everything policy only.",
    )
