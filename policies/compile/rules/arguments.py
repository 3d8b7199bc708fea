"""Functions that tell about one object get NULL for an object that the principal may not see.

``pg_get_constraintdef(oid)`` would quote a CHECK of a hidden table; its first argument is looked up in the guarded
catalog instead. Likewise ``current_setting($1)``: the name is looked up in the list of readable settings.
"""

from __future__ import annotations

import copy
from functools import lru_cache
from typing import Any

from policies.compile.builtins import ALLOWED_ON_VISIBLE, SETTING_READABLE, SETTING_READERS, VisibleArgument
from policies.compile.catalogs import visible_argument
from policies.compile.draft import Draft, Splice
from policies.compile.parse import parse
from policies.compile.rules.column_origins import ColumnOrigins
from policies.compile.same_trees import without_places
from policies.compile.splice import apply, ordered
from policies.compile.tree import Tree, contains, is_node, literal_text, nodes_of, strings_of

# Catalogs whose guards show a row only where a look-up of its number would find it.
_WHOLE_ROWS = frozenset({"pg_constraint", "pg_index", "pg_rewrite", "pg_trigger", "pg_partitioned_table"})

_ANY_TYPE = VisibleArgument("pg_type")  # for what may be a hidden relation's row type

# Stand-ins for the arguments while the look-up's own text is parsed; no client's statement has so many parameters.
_FIRST, _SECOND = 60_001, 60_002

# NULL for the name of any setting that isn't readable under a policy; the argument sees no name of ours.
_READABLE_NAME = (
    f"(SELECT given.name FROM (SELECT CAST((${_FIRST}) AS pg_catalog.text) AS name) AS given"
    " WHERE pg_catalog.lower(given.name) OPERATOR(pg_catalog.=)"
    f" ANY ('{{{','.join(sorted(SETTING_READABLE))}}}'::pg_catalog.text[]))"
)


def guard_arguments(draft: Draft) -> None:
    """Splices a look-up around the first argument of each such call. Raises Refused for forms it can't edit."""
    origins = ColumnOrigins(draft)
    for call in draft.facts.functions:
        name = strings_of(call["funcname"])[-1]
        rule = ALLOWED_ON_VISIBLE.get(name)
        if name == "format_type" and not _takes_known_type(call, origins):
            rule = _ANY_TYPE
        if rule is not None:
            if _takes_shown_row(rule, call, origins):
                continue
            sql = visible_argument(rule, _stand_ins(len(rule.columns)), draft.catalog, draft.surroundings.visibility())
            _guard(draft, call, sql, len(rule.columns))
        elif name in SETTING_READERS and literal_text((call.get("args") or [None])[0]) is None:
            _guard(draft, call, _READABLE_NAME, 1)


def _takes_known_type(call: Tree, origins: ColumnOrigins) -> bool:
    """``format_type(a.atttypid, ...)``, also of a list of types that was taken apart."""
    given = call.get("args") or [None]
    first = given[0]
    if is_node(first, "FuncCall") and strings_of(first["FuncCall"]["funcname"])[-1] == "unnest":
        first = (first["FuncCall"].get("args") or [None])[0]
    return origins.is_of_catalogs(first)


def _takes_shown_row(rule: VisibleArgument, call: Tree, origins: ColumnOrigins) -> bool:
    """``pg_get_constraintdef(c.oid)`` of a row of pg_constraint: its guard has let that very row through.

    Not where the look-up asks for more than its guard: blocked columns have rows in pg_attribute's, as dropped ones.
    """
    if rule.is_open_only or rule.is_soft or rule.relation not in _WHOLE_ROWS:
        return False
    given = call.get("args") or []
    return bool(given) and origins.catalog_column(given[0]) == (rule.relation, rule.columns[0])


def _guard(draft: Draft, call: Tree, sql: str, wanted: int) -> None:
    """`sql` is what stands for the first argument, with stand-ins for the first `wanted` ones."""
    arguments = call.get("args") or []
    if len(arguments) < wanted or any(is_node(argument, "NamedArgExpr") for argument in arguments):
        raise _refused(draft, call)
    if wanted > 1 and contains(arguments[1], "SubLink"):
        raise _refused(draft, call)
    extents = extents_of(draft, call, wanted)
    second = _edited(draft, *extents[1]) if wanted > 1 else ""
    before, after = (part.replace(f"${_SECOND}", second) for part in sql.split(f"${_FIRST}"))
    start, end = extents[0]
    draft.splices += [Splice(start, start, before), Splice(end, end, after)]
    tree, relations = _read_look_up(sql)
    draft.lent_relations.update(relations)
    copied = copy.deepcopy(arguments[1]) if wanted > 1 else None
    arguments[0] = filled(tree, {_FIRST: arguments[0], _SECOND: copied})


def guard_parameter(draft: Draft, cast: Tree, rule: VisibleArgument) -> None:
    """Splices a look-up around the parameter of a cast: NULL for what is hidden."""
    sql = visible_argument(rule, _stand_ins(1), draft.catalog, draft.surroundings.visibility())
    token = draft.tokens[draft.token_at(cast["arg"]["ParamRef"].get("location", -1))]
    before, after = sql.split(f"${_FIRST}")
    # One edit in its place: a look-up around the whole argument begins and ends at the same bytes.
    draft.splices.append(Splice(token.start, token.end, before + draft.text[token.start : token.end].decode() + after))
    tree, relations = _read_look_up(sql)
    draft.lent_relations.update(relations)
    cast["arg"] = filled(tree, {_FIRST: cast["arg"]})


# One policy makes the same look-ups in statement after statement; `filled` copies what it changes.
@lru_cache(maxsize=256)
def _read_look_up(sql: str) -> tuple[Tree, frozenset[tuple[str, str]]]:
    """The look-up's tree with its stand-ins, without places, and the relations it reads."""
    tree: Tree = without_places(parse(f"SELECT {sql}")[0].tree["targetList"][0]["ResTarget"]["val"])
    relations = {(node["schemaname"], node["relname"]) for kind, node in nodes_of(tree) if kind == "RangeVar"}
    return tree, frozenset(relations)


def _edited(draft: Draft, start: int, end: int) -> str:
    """A piece of the text as the rules before this one have edited it: it stands twice in the result."""
    inside = [
        Splice(splice.start - start, splice.end - start, splice.replacement)
        for splice in draft.splices
        if start <= splice.start and splice.end <= end
    ]
    return apply(draft.text[start:end], ordered(inside)).decode()


def _stand_ins(count: int) -> tuple[str, ...]:
    return (f"${_FIRST}", f"${_SECOND}")[:count]


def filled(value: Any, arguments: dict[int, Any]) -> Any:
    """The tree with the stand-ins replaced by the argument nodes themselves, so that later edits reach them."""
    if is_node(value, "ParamRef"):
        return arguments.get(value["ParamRef"].get("number"), value)
    if isinstance(value, dict):
        return {key: filled(entry, arguments) for key, entry in value.items()}
    if isinstance(value, list):
        return [filled(entry, arguments) for entry in value]
    return value


def extents_of(draft: Draft, call: Tree, count: int) -> list[tuple[int, int]]:
    """The bytes of the first arguments, found by counting brackets from the call's opening one."""
    index = draft.token_at(call.get("location", -1)) + 2 * len(strings_of(call["funcname"])) - 1
    if draft.tokens[index].word != "(":
        raise _refused(draft, call)
    extents = []
    depth, first = 0, index + 1
    for position in range(index + 1, len(draft.tokens)):
        word = draft.tokens[position].word
        if depth == 0 and word in (",", ")"):
            extents.append((draft.tokens[first].start, draft.tokens[position - 1].end))
            first = position + 1
            if len(extents) == count:
                return extents
        depth += (word in ("(", "[")) - (word in (")", "]"))
    raise _refused(draft, call)


def _refused(draft: Draft, call: Tree) -> Exception:
    name = strings_of(call["funcname"])[-1]
    return draft.refuse(
        "0A000",
        "pgwarden/functions",
        f"this form of {name} can't be guarded",
        at=call.get("location", -1),
        hint=f"Call {name} with plain positional arguments.",
    )
