"""Reads the parts of a policy that change data: `rows` and `masks`, with their expressions checked.

Rule ids are ``<policy>/rows[<index>]`` and ``<policy>/masks[<index>]``; indexes count from 0 in the list as
written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from policies.errors import PoliciesError
from policies.expressions import bind_expression, check_expression, expression_attributes
from policies.fields import Fields, closest, kind_of
from policies.known import Known
from policies.masks import check_spec, is_streamable
from policies.masks.secret import Secret
from policies.model import ColumnName, FilterRule, MaskRule, MaskSpec, Principal, RawUse, RuleId
from policies.names import parse_column, parse_table
from policies.outside import read_secret, read_secret_file
from policies.yaml_nodes import Mapping as MappingNode
from policies.yaml_nodes import Node, Scalar
from policies.yaml_nodes import Sequence as SequenceNode

ROW_KEYS = ("table", "filter")
MASK_KEYS = ("column", "tag", "mask", "use", "probes_per_hour")
USE_VALUES = ("raw", "masked")
MAX_PROBES = 1_000_000_000

_QUOTED_PLACEHOLDER = re.compile(r"'\{([A-Za-z_][A-Za-z0-9_]*)\}'")
_SECRET_PARAMETERS = frozenset({"salt", "key"})


class GuardReader:
    """`matching` are the principals that the policy is for: each must have what its expressions need."""

    def __init__(self, fields: Fields, policy: str, known: Known, matching: Sequence[Principal]) -> None:
        self._fields = fields
        self._name = policy
        self._known = known
        self._matching = matching

    def rows(self, node: Node | None) -> tuple[FilterRule, ...]:
        items = self._fields.items(node, "'rows'") or ()
        rules = [self._row(index, item) for index, item in enumerate(items)]
        return tuple(rule for rule in rules if rule is not None)

    def _row(self, index: int, node: Node) -> FilterRule | None:
        what = "an entry of 'rows'"
        entries = self._fields.mapping(node, what, ROW_KEYS)
        if entries is None:
            return None
        table_node = self._fields.require(entries, "table", what, node)
        filter_node = self._fields.require(entries, "filter", what, node)
        text = self._fields.text(table_node, "'table'")
        expression = self._fields.text(filter_node, "'filter'")
        table = self._fields.attempt(table_node, lambda: parse_table(text)) if table_node and text else None
        if filter_node and expression is not None:
            self._check_expression(filter_node, expression, has_column=False)
        if table is None or expression is None:
            return None
        return FilterRule(*table, expression, RuleId(f"{self._name}/rows[{index}]", node.source))

    def _check_expression(self, node: Node, expression: str, has_column: bool) -> None:
        """It parses, and every principal that the policy matches can be bound into it."""
        try:
            check_expression(expression, has_column)
        except PoliciesError as error:
            self._fields.report(node, f"the expression can't be used: {error}")
            return
        self._report_quoted(node, expression)
        if not self._report_lacking(node, expression):
            self._check_binding(node, expression, has_column)

    def _report_quoted(self, node: Node, expression: str) -> None:
        """``'{tenant_id}'`` is a text with braces to the server; that of a known attribute is a slip."""
        attributes = {name for principal in self._known.principals for name in principal.attributes}
        for name in sorted(attributes & set(_QUOTED_PLACEHOLDER.findall(expression))):
            self._fields.report(node, f"'{{{name}}}' in quotes is plain text; write {{{name}}} without quotes")

    def _report_lacking(self, node: Node, expression: str) -> bool:
        is_lacking = False
        for attribute in sorted(expression_attributes(expression)):
            users = [p.user for p in self._matching if attribute not in p.attributes]
            if users:
                is_lacking = True
                self._fields.report(node, f"attribute {attribute!r} is needed here, but {_lack(users)}")
        return is_lacking

    def _check_binding(self, node: Node, expression: str, has_column: bool) -> None:
        """Principals with equal values need one try: there may be thousands of them."""
        names = sorted(expression_attributes(expression))
        distinct = {tuple(repr(p.attributes[name]) for name in names): p for p in reversed(self._matching)}
        for principal in reversed(distinct.values()):
            try:
                bind_expression(expression, principal.attributes, "x" if has_column else None)
            except PoliciesError as error:
                self._fields.report(node, f"for user {principal.user!r}: {error}")

    def masks(self, node: Node | None) -> tuple[MaskRule, ...]:
        rules: list[MaskRule] = []
        direct: dict[ColumnName, int] = {}
        for index, item in enumerate(self._fields.items(node, "'masks'") or ()):
            entries = self._fields.mapping(item, "an entry of 'masks'", MASK_KEYS)
            if entries is None:
                continue
            spec = self._mask(self._fields.require(entries, "mask", "an entry of 'masks'", item))
            columns = self._masked_columns(entries, item)
            if "column" in entries:
                self._report_repeated(columns, direct, item)
            rule = RuleId(f"{self._name}/masks[{index}]", item.source)
            uses = self._uses(entries.get("use"), spec)
            cap = self._probes(entries, item)
            rules += [MaskRule(column, spec, rule, uses, cap) for column in columns if spec]
        return tuple(rules)

    def _uses(self, node: Node | None, spec: MaskSpec | None) -> frozenset[RawUse]:
        """``{equality: raw, join: raw, group: raw}``, any of them; `masked` is what an absent one means."""
        if node is None:
            return frozenset()
        entries = self._fields.mapping(node, "'use'", tuple(RawUse))
        if entries is not None and spec is not None and not is_streamable(spec):
            self._fields.report(node, f"'use' needs a mask that works on rows on their way; {spec.kind} doesn't")
        values = {name: self._fields.text(value, f"{name!r} in 'use'") for name, value in (entries or {}).items()}
        for name, value in values.items():
            if value not in (*USE_VALUES, None):
                self._fields.report((entries or {})[name], f"{name!r} in 'use' must be raw or masked")
        return frozenset(RawUse(name) for name, value in values.items() if value == "raw")

    def _probes(self, entries: dict[str, Node], node: Node) -> int | None:
        if "probes_per_hour" not in entries:
            return None
        if "use" not in entries:
            self._fields.report(node, "'probes_per_hour' counts what 'use' allows, and there is none")
        return self._fields.whole_number(entries["probes_per_hour"], "'probes_per_hour'", MAX_PROBES)

    def _report_repeated(self, columns: Iterable[ColumnName], direct: dict[ColumnName, int], node: Node) -> None:
        for column in columns:
            if column in direct:
                self._fields.report(node, f"{column} is masked twice here (first on line {direct[column]})")
            direct.setdefault(column, node.source.line)

    def _masked_columns(self, entries: dict[str, Node], node: Node) -> tuple[ColumnName, ...]:
        if ("column" in entries) == ("tag" in entries):
            self._fields.report(node, "an entry of 'masks' needs either 'column' or 'tag'")
            return ()
        key = "column" if "column" in entries else "tag"
        place = entries[key]
        text = self._fields.text(place, f"'{key}'")
        if text is None:
            return ()
        if key == "tag":
            return self._tagged(place, text)
        column = self._fields.attempt(place, lambda: parse_column(text))
        return (column,) if column else ()

    def _tagged(self, node: Node, tag: str) -> tuple[ColumnName, ...]:
        if tag not in self._known.tags:
            self._fields.report(node, f"unknown tag {tag!r}{closest(tag, self._known.tags)}")
        return self._known.tags.get(tag, ())

    def _mask(self, node: Node | None) -> MaskSpec | None:
        if node is None:
            return None
        if not isinstance(node, MappingNode):
            message = f"'mask' must be a mapping such as {{kind: redact}}, not {kind_of(node)}"
            self._fields.report(node, message)
            return None
        kind_node = node.get("kind")
        if kind_node is None:
            self._fields.report(node, "'mask' needs 'kind'")
        kind = self._fields.text(kind_node, "'kind'")
        parameters = [(key.text, self._parameter(key.text, value)) for key, value in node.entries]
        if kind is None or any(value is None for _, value in parameters):
            return None
        spec = MaskSpec(kind, tuple(sorted((k, v) for k, v in parameters if k != "kind")))
        self._check_mask(node, spec)
        return spec

    def _check_mask(self, node: MappingNode, spec: MaskSpec) -> None:
        count = len(self._fields.problems)
        self._fields.attempt(node, lambda: check_spec(spec))
        expression = spec.get("expression")
        if count == len(self._fields.problems) and isinstance(expression, str):
            self._check_expression(node.get("expression") or node, expression, has_column=True)

    def _parameter(self, name: str, node: Node) -> Any:
        match node:
            case Scalar(value=str() as text) if name in _SECRET_PARAMETERS:
                return self._secret(name, node, text)
            case Scalar(value=str() | int() | float() as value):
                return value
            case SequenceNode() if all(isinstance(i, Scalar) and i.value is not None for i in node.items):
                return tuple(i.value for i in node.items if isinstance(i, Scalar))
            case _:
                self._fields.report(node, f"parameter {name!r} of a mask can't be {kind_of(node)}")
                return None

    def _secret(self, name: str, node: Node, text: str) -> Secret | None:
        """``env:NAME``, ``file:PATH`` or, for a salt, the text itself."""
        outside = self._known.outside
        if text.startswith("file:"):
            found = read_secret_file(self._fields, node, text.removeprefix("file:"), outside)
        elif name == "key" and not text.startswith("env:"):
            self._fields.report(node, "a key has no place in a policy file; write env:NAME or file:PATH")
            found = None
        else:
            found = read_secret(self._fields, node, text, outside.environment)
        return None if found is None else Secret(found)


def _lack(users: list[str]) -> str:
    shown = ", ".join(repr(user) for user in users[:5])
    more = f" and {len(users) - 5} more" if len(users) > 5 else ""
    return f"{shown}{more} {'lacks' if len(users) == 1 else 'lack'} it"
