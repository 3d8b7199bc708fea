"""Names and numbers of relations and types as values: hidden ones must not be found, nor turned into names.

``'shop.salaries'::regclass`` fails for a hidden table as for one that isn't there; ``16400::regclass`` would tell its
name. Columns of the guarded catalogs hold nothing hidden; parameters are looked up when the statement runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from policies.compile.builtins import VisibleArgument
from policies.compile.draft import Draft
from policies.compile.facts import Facts
from policies.compile.function_table import results
from policies.compile.rules.arguments import guard_parameter
from policies.compile.rules.column_origins import ColumnOrigins
from policies.compile.rules.united_names import UnitedNames
from policies.compile.tree import Tree, is_node, literal_text, nodes_of, strings_of
from policies.compile.type_names import TYPE_NAMES

RULE = "pgwarden/names"
_LOOK_UPS: Mapping[str, VisibleArgument] = {
    "regclass": VisibleArgument("pg_class", cast="regclass"),
    "regtype": VisibleArgument("pg_type", cast="regtype"),
}
_MISSING: Mapping[str, tuple[str, str]] = {"regclass": ("42P01", "relation"), "regtype": ("42704", "type")}
# Functions whose results are names or numbers of what may be seen, and types that a statement's own values have.
_TELLING = frozenset({"to_regclass", "to_regtype", "pg_get_serial_sequence", "pg_typeof", "pg_my_temp_schema"})
# Take a relation's name, behind the role's where there are more arguments than that.
_PRIVILEGES: Mapping[str, int] = {
    "has_table_privilege": 2,
    "has_any_column_privilege": 2,
    "has_sequence_privilege": 2,
    "has_column_privilege": 3,
}
_PLAIN_TYPES = frozenset({"text", "varchar", "bpchar", "name", "unknown", "oid", "int4", "int8"})
_FIRST_USER_OID = 16384
# The parts of a qualified name, quoted or not; lengths and brackets of types aside.
_PARTS = re.compile(r'"((?:[^"]|"")*)"|([^".\s\[\](),]+)')


def names_objects(facts: Facts) -> bool:
    """Whether a name may stand in a text of the statement, so that the search_path must be known."""
    calls = {strings_of(call["funcname"])[-1] for call in facts.functions}
    return not calls.isdisjoint(_PRIVILEGES) or any(map(_named_type, facts.types))


def check_object_names(draft: Draft) -> None:
    """Raises Refused for the name of a hidden relation, and for a number that may be one's."""
    _check_declared(draft)
    _check_united(draft)  # before a look-up stands in the tree
    if any(map(_named_type, draft.facts.types)):
        origins = ColumnOrigins(draft)
        for cast in list(_casts(draft)):
            _check_cast(draft, cast, origins)
    for call in draft.facts.functions:
        _check_privilege(draft, call)


def _check_united(draft: Draft) -> None:
    united = UnitedNames(draft, ColumnOrigins(draft))
    if united.found() or united.has_undeclared_reg(draft.facts.types):
        raise draft.refuse(
            "0A000",
            RULE,
            "a regclass or regtype stands where other values take its type, and might name something hidden",
            hint="Cast it to text: x::regclass::text.",
        )


def _named_type(type_name: Tree) -> str:
    """regclass or regtype for it, and for arrays of it; else nothing."""
    names = strings_of(type_name.get("names"))
    last = names[-1].lstrip("_") if names else ""
    return last if last in _LOOK_UPS else ""


def _casts(draft: Draft) -> Iterator[Tree]:
    """All but those of a text that only give a number: ``CAST(format('%I.%I', a, b) AS regclass)::oid``."""
    numbers: set[int] = set()
    for kind, node in nodes_of(draft.statement.tree):
        if kind != "TypeCast":
            continue
        inner: Tree = node.get("arg") or {}
        if strings_of(node["typeName"].get("names"))[-1:] == ("oid",) and is_node(inner, "TypeCast"):
            numbers.add(id(inner["TypeCast"]))
        if _named_type(node["typeName"]) and not (id(node) in numbers and _is_text(node.get("arg"))):
            yield node


def _is_text(node: Any) -> bool:
    return is_node(node, "FuncCall") and results(strings_of(node["FuncCall"]["funcname"])[-1]) <= {"text", "name"}


def _check_declared(draft: Draft) -> None:
    """A parameter that is declared as one is a cast that the text doesn't show."""
    if not {2205, 2206}.isdisjoint(draft.parameter_types):
        raise draft.refuse(
            "0A000",
            RULE,
            "a parameter can't be declared as regclass or regtype",
            hint="Cast it in the text: $1::regclass.",
        )


def _check_cast(draft: Draft, cast: Tree, origins: ColumnOrigins) -> None:
    kind, value = _named_type(cast["typeName"]), cast.get("arg")
    is_array = bool(cast["typeName"].get("arrayBounds")) or strings_of(cast["typeName"]["names"])[-1].startswith("_")
    if is_node(value, "ParamRef") and not is_array:
        guard_parameter(draft, cast, _LOOK_UPS[kind])
        return
    text = _constant(value)
    if text is not None and not is_array:
        _require_shown(draft, kind, text, cast.get("location", -1))
    elif not (origins.is_of_catalogs(value) if is_array else _is_shown(value, origins)):
        raise draft.refuse(
            "0A000",
            RULE,
            f"a cast to {kind} of such a value can't be proven to name nothing hidden",
            hint="Cast literals, parameters or columns of catalogs, or use to_regclass.",
            at=cast.get("location", -1),
        )


def _is_shown(value: Any, origins: ColumnOrigins) -> bool:
    """Whether it is a number or name that came out of a guarded catalog, or of a function that looks one up."""
    was_named = False
    while is_node(value, "TypeCast"):
        was_named = was_named or bool(_named_type(value["TypeCast"]["typeName"]))
        value = value["TypeCast"].get("arg")
    if is_node(value, "FuncCall"):
        return strings_of(value["FuncCall"]["funcname"])[-1] in _TELLING
    # Literals and parameters under two such casts are looked up at the inner one.
    is_checked = was_named and (is_node(value, "A_Const") or is_node(value, "ParamRef"))
    is_system = origins.is_own_oid(value)
    return is_checked or is_system or origins.is_of_catalogs(value)


def _constant(node: Any) -> str | None:
    """The text of a string or a whole number, also under casts to a string or a number; None for all else."""
    while is_node(node, "TypeCast") and strings_of(node["TypeCast"]["typeName"].get("names"))[-1] in _PLAIN_TYPES:
        if node["TypeCast"]["typeName"].get("typmods"):
            return None  # it cuts
        node = node["TypeCast"].get("arg")
    if is_node(node, "A_Const") and "ival" in node["A_Const"]:
        return str(node["A_Const"]["ival"].get("ival", 0))
    return literal_text(node)


def _require_shown(draft: Draft, kind: str, text: str, location: int) -> None:
    """Raises Refused as the server would for a name that isn't there, when it is a hidden relation's."""
    if _is_hidden(draft, kind, text):
        sqlstate, what = _MISSING[kind]
        raise draft.refuse(sqlstate, RULE, f'{what} "{text.strip()}" does not exist', at=location)


def _is_hidden(draft: Draft, kind: str, text: str) -> bool:
    visible = draft.surroundings.visibility().visible
    if text.strip().isdigit():
        number = int(text)
        if kind == "regtype":
            schema, name = draft.catalog.type_names.get(number, ("", ""))
            found = [draft.catalog.find(schema, one) for one in {name, name.lstrip("_")}]
            return any(relation is not None and relation.oid not in visible for relation in found)
        return (number in draft.catalog.by_oid or number >= _FIRST_USER_OID) and number not in visible
    named = list(_relations_named(draft, kind, text))
    return bool(named) and all(oid not in visible for oid in named)


def _relations_named(draft: Draft, kind: str, text: str) -> Iterator[int]:
    """OIDs of the relations that the name may mean here: its own, its index's table, its sequence's."""
    names = [plain.lower() if plain else quoted.replace('""', '"') for quoted, plain in _PARTS.findall(text)]
    if not names or (len(names) == 1 and _is_found_first(draft, kind, names[0])):
        return
    wanted = {names[-1], names[-1].lstrip("_")} if kind == "regtype" else {names[-1]}
    for relation in draft.catalog.relations:
        in_reach = relation.schema == names[-2] if len(names) > 1 else relation.schema in draft.namespace.search_path
        if in_reach and (relation.name in wanted or not wanted.isdisjoint(relation.index_names)):
            yield relation.owned_by[0] if relation.owned_by is not None else relation.oid


def _is_found_first(draft: Draft, kind: str, name: str) -> bool:
    """The session's temporary tables come before all others, and the server's own names."""
    is_builtin = name in TYPE_NAMES if kind == "regtype" else name.startswith("pg_")
    return is_builtin or name in draft.namespace.temporary


def _check_privilege(draft: Draft, call: Tree) -> None:
    least = _PRIVILEGES.get(strings_of(call["funcname"])[-1])
    given = call.get("args") or []
    if least is not None and len(given) >= least:
        text = literal_text(given[len(given) - least])
        if text is not None and not text.strip().isdigit():
            _require_shown(draft, "regclass", text, call.get("location", -1))
