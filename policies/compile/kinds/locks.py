"""LOCK TABLE: it shows nothing, but it needs a relation that may be seen, and a strong lock keeps writers out."""

from __future__ import annotations

from policies.compile.compilation import Compilation, plan_of
from policies.compile.kinds.named_relations import draft_relations
from policies.compile.rules.guard import qualify
from policies.compile.rules.relations import SYSTEM_SCHEMAS
from policies.compile.statements import Request, require_grant
from policies.decision import Plan
from policies.model import Statement as Grant

# The manual's lock modes by number, as the grammar gives them.
_ACCESS_SHARE, _ROW_EXCLUSIVE = 1, 3
_ROW_WRITES = (Grant.INSERT, Grant.UPDATE, Grant.DELETE, Grant.MERGE)
_TABLE_WRITES = (Grant.UPDATE, Grant.DELETE, Grant.DDL)


def lock(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """LockStmt. The modes need what the server asks for: to read, to write rows, to change the table."""
    statement = request.statement
    mode = statement.tree.get("mode", 0)
    require_grant(request, *_grants(mode))
    draft = draft_relations(compilation, _read(statement.tree["relations"], mode), statement)
    for target, relation in zip(draft.targets, statement.tree["relations"], strict=True):
        target.use.node = relation["RangeVar"]
        if target.schema in SYSTEM_SCHEMAS and mode != _ACCESS_SHARE:
            raise request.refuse("42501", "pgwarden/catalogs", f"{target.schema}.{target.name} can't be locked")
        target.needed = frozenset()  # no row is read
        qualify(draft, target)
        draft.lent_relations.add((target.schema, target.name))
    return plan_of(plan, draft)


def _grants(mode: int) -> tuple[Grant, ...]:
    if mode == _ACCESS_SHARE:
        return (Grant.SELECT,)
    return _ROW_WRITES if mode <= _ROW_EXCLUSIVE else _TABLE_WRITES


def _read(relations: list[dict[str, object]], mode: int) -> list[dict[str, object]]:
    """As they are resolved. ACCESS SHARE of a parent tells nothing of its children, so their rules don't count."""
    if mode != _ACCESS_SHARE:
        return list(relations)
    return [{"RangeVar": {**_fields(node), "inh": False}} for node in relations]


def _fields(node: dict[str, object]) -> dict[str, object]:
    fields = node["RangeVar"]
    assert isinstance(fields, dict)
    return fields
