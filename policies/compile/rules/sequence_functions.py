"""nextval, currval and lastval, for those who may insert: the numbers that ORMs ask for before or after an INSERT.

They tell no more than RETURNING of the key does. The sequence must belong to a visible column of an allowed table, or
be named by a policy; its name must be a literal, and reaches the server with its schema: no search_path has a say.
"""

from __future__ import annotations

import re

from policies.catalog import Relation
from policies.compile.draft import Draft, Splice
from policies.compile.guards import quote
from policies.compile.tree import Tree, is_node, strings_of
from policies.literals import quote_string
from policies.model import Statement
from policies.qualification import ascii_lower
from policies.relation_rules import relation_rules
from policies.resolve import resolve_table

SEQUENCE_FUNCTIONS = frozenset({"nextval", "currval", "lastval"})
_SERIAL = "pg_get_serial_sequence"
_NAME = re.compile(r'\s*(?:("(?:[^"]|"")+"|[A-Za-z_][\w$]*)\s*\.\s*)?("(?:[^"]|"")+"|[A-Za-z_][\w$]*)\s*', re.ASCII)
_NAME_TYPES = frozenset({"regclass", "text", "varchar", "unknown"})


def names_sequence(call: Tree) -> bool:
    """Whether a FuncCall takes the name of a sequence, so that the search_path must be known."""
    return strings_of(call["funcname"])[-1] in SEQUENCE_FUNCTIONS - {"lastval"}


def guard_sequence(draft: Draft, call: Tree) -> None:
    """Qualifies the name in the call's argument. Raises Refused when this sequence may not be used."""
    name = strings_of(call["funcname"])[-1]
    if not draft.policy.statements & {Statement.INSERT, Statement.ALL}:
        raise _refused(draft, call, f"{name} needs the insert grant", "Let a policy of this user list insert.")
    if name == "lastval":
        return
    argument = (call.get("args") or [{}])[0]
    if is_node(argument, "FuncCall") and strings_of(argument["FuncCall"]["funcname"])[-1] == _SERIAL:
        _guard_serial(draft, call, argument["FuncCall"])
        return
    sequence = _found(draft, call, argument)
    if sequence.kind != "S" or not (_belongs_to_visible(draft, sequence) or _is_named(draft, sequence)):
        raise _refused(
            draft,
            call,
            f"{sequence.schema}.{sequence.name} is no sequence of a column that {draft.policy.principal.user} may see",
            f"Name {sequence.schema}.{sequence.name} without a pattern under tables.allow to let it be used.",
        )


def _guard_serial(draft: Draft, call: Tree, inner: Tree) -> None:
    """``currval(pg_get_serial_sequence('shop.orders', 'id'))``"""
    given = inner.get("args") or []
    column = _literal(given[1]) if len(given) > 1 else None
    table = _found(draft, call, given[0] if given else {})
    name = column["sval"].get("sval", "") if column else ""
    owned = [one for one in draft.catalog.relations if one.owned_by == (table.oid, name)]
    if not owned or not all(_belongs_to_visible(draft, one) for one in owned):
        raise _refused(draft, call, f"{table.schema}.{table.name} has no such sequence that may be used", "")


def _found(draft: Draft, call: Tree, argument: Tree) -> Relation:
    """The relation that a literal names; the literal gets its full name."""
    constant = _literal(argument)
    match = _NAME.fullmatch(constant["sval"].get("sval", "")) if constant else None
    if constant is None or match is None:
        raise _refused(draft, call, "the sequence's name must be a literal here", "Write nextval('schema.name').")
    schema, name = (_folded(part) if part else None for part in match.groups())
    schemas = (schema,) if schema else draft.namespace.search_path
    relation = next((found for one in schemas if (found := draft.catalog.find(one or "", name or ""))), None)
    if relation is None or (not schema and name in draft.namespace.temporary):
        raise draft.refuse("42P01", "pgwarden/relations", f'relation "{name}" does not exist', at=constant["location"])
    full = f"{quote(relation.schema)}.{quote(relation.name)}"
    token = draft.tokens[draft.token_at(constant["location"])]
    draft.splices.append(Splice(token.start, token.end, quote_string(full)))
    constant["sval"]["sval"] = full
    return relation


def _literal(node: Tree) -> Tree | None:
    """A string constant's fields, also under a cast that leaves it a name."""
    while is_node(node, "TypeCast") and strings_of(node["TypeCast"]["typeName"].get("names"))[-1] in _NAME_TYPES:
        node = node["TypeCast"]["arg"]
    constant: Tree = node["A_Const"] if is_node(node, "A_Const") else {}
    return constant if "sval" in constant else None


def _folded(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else ascii_lower(part)


def _belongs_to_visible(draft: Draft, sequence: Relation) -> bool:
    if sequence.owned_by is None or _is_blocked(draft, sequence):
        return False
    oid, column = sequence.owned_by
    owner = draft.catalog.by_oid.get(oid)
    if owner is None:
        return False
    family = (owner, *draft.catalog.ancestors(owner))
    rules = [rule for one in family for rule in relation_rules(draft.policy, draft.catalog, one)]
    return all(rule.is_allowed and column not in rule.blocked_columns and column not in rule.masks for rule in rules)


def _is_blocked(draft: Draft, sequence: Relation) -> bool:
    blocks = (pattern for policy in draft.policy.policies for pattern, _ in policy.tables_block)
    return any(pattern.matches(sequence.schema, sequence.name) for pattern in blocks)


def _is_named(draft: Draft, sequence: Relation) -> bool:
    allows = (pattern for policy in draft.policy.policies for pattern in policy.tables_allow or ())
    is_named = any((pattern.schema, pattern.table) == (sequence.schema, sequence.name) for pattern in allows)
    return is_named and resolve_table(draft.policy, sequence.schema, sequence.name).is_allowed


def _refused(draft: Draft, call: Tree, message: str, hint: str) -> Exception:
    return draft.refuse(
        "42501",
        draft.policy.functions_rule or "pgwarden/functions",
        message,
        hint=hint,
        at=call.get("location", -1),
    )
