"""Reads one entry of `policies` into a Policy. Knows the keys and what they mean, not files or catalogs.

Rule ids are ``<policy>/<key>[<index>]``, e.g. ``analysts/tables.block[1]``: indexes count from 0 in the list as
written.
"""

from __future__ import annotations

import re
from typing import Any

from policies.errors import PoliciesError
from policies.fields import Fields, closest
from policies.guard_reader import GuardReader
from policies.known import Known
from policies.limits_reader import read_limits
from policies.model import (
    Mode,
    Policy,
    RuleId,
    Statement,
    Subjects,
    TablePattern,
)
from policies.names import parse_column, parse_function_pattern, parse_table_pattern
from policies.principals import read_name
from policies.subjects import ANY_DATABASE, is_for_principal
from policies.when_reader import read_when
from policies.yaml_nodes import Mapping as MappingNode
from policies.yaml_nodes import Node, Scalar, Sequence

KEYS = (
    "name",
    "database",
    "subjects",
    "except",
    "statements",
    "tables",
    "columns",
    "rows",
    "masks",
    "functions",
    "limits",
    "when",
    "mode",
)
STATEMENT_KEYS = ("allow", "deny")
TABLE_KEYS = ("allow", "block")
COLUMN_KEYS = ("block",)
FUNCTION_KEYS = ("allow",)
SUBJECT_KEYS = ("any", "users", "teams", "tenants", "roles")

RESERVED_NAME = "pgwarden"  # built-in rules are called pgwarden/…

_NAME = re.compile(r"[^\s/\[\]](?:[^/\[\]\t\n\r]*[^\s/\[\]])?\Z")


def read_policy_name(fields: Fields, node: Node | None) -> str | None:
    """A name that can stand in a rule id."""
    name = read_name(fields, node, "'name'")
    if name is None or node is None:
        return None
    if not _NAME.match(name) or name == RESERVED_NAME:
        fields.report(node, f"{name!r} can't name a policy: no '/', '[' or ']', and not {RESERVED_NAME!r}")
        return None
    return name


def read_policy(fields: Fields, node: Node, known: Known) -> Policy | None:
    """One policy, or None when it has no usable name or no subjects."""
    entries = fields.mapping(node, "a policy", KEYS)
    if entries is None:
        return None
    name = read_policy_name(fields, fields.require(entries, "name", "a policy", node))
    subjects_node = fields.require(entries, "subjects", "a policy", node)
    reader = _Reader(fields, name or "?", entries, known)
    subjects, except_ = reader.subjects(subjects_node)
    policy = reader.policy(subjects, except_, node)
    return policy if name else None


class _Reader:
    """The parts of one policy."""

    def __init__(self, fields: Fields, name: str, entries: dict[str, Node], known: Known) -> None:
        self._fields = fields
        self._name = name
        self._entries = entries
        self._known = known

    def policy(self, subjects: Subjects, except_: Subjects | None, node: Node) -> Policy:
        matching = tuple(p for p in self._known.principals if is_for_principal(subjects, except_, p))
        guards = GuardReader(self._fields, self._name, self._known, matching)
        statements_allow, statements_deny = self._statement_nodes()
        tables = self._group("tables", TABLE_KEYS)
        columns = self._group("columns", COLUMN_KEYS)
        functions = self._group("functions", FUNCTION_KEYS)
        return Policy(
            name=self._name,
            database=self._database(),
            subjects=subjects,
            source=node.source,
            except_=except_,
            statements=self._statements(statements_allow),
            statements_rule=self._rule("statements", statements_allow),
            tables_allow=self._patterns(tables.get("allow")),
            tables_allow_rule=self._rule("tables.allow", tables.get("allow")),
            tables_block=self._listed("tables.block", tables.get("block"), parse_table_pattern),
            columns_block=self._listed("columns.block", columns.get("block"), parse_column),
            rows=guards.rows(self._entries.get("rows")),
            masks=guards.masks(self._entries.get("masks")),
            functions_allow=self._functions(functions.get("allow")),
            functions_allow_rule=self._rule("functions.allow", functions.get("allow")),
            limits=read_limits(self._fields, self._name, self._entries.get("limits")),
            statements_deny=self._listed("statements.deny", statements_deny, _statement),
            when=read_when(self._fields, self._entries.get("when")),
            mode=self._mode(),
        )

    def _rule(self, part: str, node: Node | None) -> Any:
        return RuleId(f"{self._name}/{part}", node.source) if node else None

    def _group(self, key: str, known: tuple[str, ...]) -> dict[str, Node]:
        node = self._entries.get(key)
        entries = self._fields.mapping(node, f"'{key}'", known) if node else None
        return entries or {}

    def _database(self) -> str:
        node = self._entries.get("database")
        name = read_name(self._fields, node, "'database'")
        databases = self._known.databases
        if node is None or name is None or name == ANY_DATABASE:
            return ANY_DATABASE
        if databases is not None and name not in databases:
            self._fields.report(node, f"unknown database {name!r}{closest(name, databases)}")
        return name

    # Subjects

    def subjects(self, node: Node | None) -> tuple[Subjects, Subjects | None]:
        """`except` may stand beside `subjects` or inside it; both together count."""
        nested: Node | None = None
        if isinstance(node, MappingNode) and (nested := node.get("except")):
            own = tuple(entry for entry in node.entries if entry[0].text != "except")
            node = MappingNode(own, node.source)
        subjects = self._subjects(node, "'subjects'") if node else Subjects()
        excepted = [self._subjects(part, "'except'") for part in (nested, self._entries.get("except")) if part]
        return subjects, _united(excepted)

    def _subjects(self, node: Node, what: str) -> Subjects:
        entries = self._fields.mapping(node, what, SUBJECT_KEYS)
        if entries is None:
            return Subjects()
        is_any = self._fields.boolean(entries["any"], "'any'") if "any" in entries else False
        names = {key: self._subject_names(key, entries.get(key)) for key in SUBJECT_KEYS[1:]}
        is_filled = isinstance(node, MappingNode) and any(_is_filled(value) for _, value in node.entries)
        if not is_filled:
            self._fields.report(node, f"{what} names nobody")
        return Subjects(any=bool(is_any), **names)

    def _subject_names(self, key: str, node: Node | None) -> tuple[str, ...]:
        """A name that no principal bears is a typo: the policy would silently not apply."""
        known = self._known.names(key)
        names = self._fields.parsed(node, f"'{key}'", str)
        for item, name in names:
            if name not in known:
                self._fields.report(item, f"no principal has {key[:-1]} {name!r}{closest(name, known)}")
        return tuple(name for _, name in names)

    # Statements, tables, columns, functions

    def _statement_nodes(self) -> tuple[Node | None, Node | None]:
        """A list allows; a mapping may also deny, which no other policy can make good."""
        node = self._entries.get("statements")
        if not isinstance(node, MappingNode):
            return node, None
        entries = self._fields.mapping(node, "'statements'", STATEMENT_KEYS) or {}
        if not entries:
            self._fields.report(node, "'statements' needs 'allow' or 'deny'")
        return entries.get("allow"), entries.get("deny")

    def _mode(self) -> Mode:
        node = self._entries.get("mode")
        text = self._fields.text(node, "'mode'")
        if node is not None and text is not None and text not in list(Mode):
            self._fields.report(node, f"unknown mode {text!r}{closest(text, Mode)} (known: {', '.join(Mode)})")
            return Mode.ENFORCE
        return Mode(text) if text is not None else Mode.ENFORCE

    def _statements(self, node: Node | None) -> frozenset[Statement] | None:
        if node is None:
            return None
        return frozenset(kind for _, kind in self._fields.parsed(node, "'statements'", _statement))

    def _patterns(self, node: Node | None) -> tuple[TablePattern, ...] | None:
        if node is None:
            return None
        parsed = self._fields.parsed(node, "'tables.allow'", parse_table_pattern)
        return tuple(pattern for _, pattern in parsed)

    def _functions(self, node: Node | None) -> tuple[str, ...] | None:
        if node is None:
            return None
        parsed = self._fields.parsed(node, "'functions.allow'", parse_function_pattern)
        return tuple(pattern for _, pattern in parsed)

    def _listed(self, part: str, node: Node | None, parse: Any) -> tuple[tuple[Any, RuleId], ...]:
        places = _places(node)
        return tuple(
            (value, RuleId(f"{self._name}/{part}[{places.get(id(item), 0)}]", item.source))
            for item, value in self._fields.parsed(node, f"'{part}'", parse)
        )


class _UnknownStatementError(PoliciesError):
    pass


def _statement(text: str) -> Statement:
    try:
        return Statement(text)
    except ValueError:
        raise _UnknownStatementError(
            f"unknown statement {text!r}{closest(text, Statement)} (known: {', '.join(Statement)})"
        ) from None


def _united(parts: list[Subjects]) -> Subjects | None:
    if not parts:
        return None
    return Subjects(
        any=any(part.any for part in parts),
        users=tuple(user for part in parts for user in part.users),
        teams=tuple(team for part in parts for team in part.teams),
        tenants=tuple(tenant for part in parts for tenant in part.tenants),
        roles=tuple(role for part in parts for role in part.roles),
    )


def _is_filled(node: Node) -> bool:
    """Something stands there; what is wrong with it has been told already."""
    return not (isinstance(node, Sequence) and not node.items) and not (
        isinstance(node, Scalar) and node.value is False
    )


def _places(node: Node | None) -> dict[int, int]:
    """Index of each item in a list by the item's identity; an alias used twice counts where it stands first."""
    items = node.items if isinstance(node, Sequence) else ()
    return {id(item): index for index, item in reversed(list(enumerate(items)))}
