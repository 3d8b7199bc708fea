"""Keeps the order of a statement's rows from telling the order of values that it groups or joins by.

A server that sorts to group, or merges to join, gives rows out by the values that a mask hides, and hands them so to
whatever takes rows one after the other. It must not know masks.
"""

from __future__ import annotations

from typing import Any

from policies.compile.draft import Draft, Splice
from policies.compile.facts import Block
from policies.compile.parameter_types import FLOAT_OIDS
from policies.compile.tree import Tree, is_node, nodes_of, strings_of


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Functions that give the same whatever the order of the rows: sums of floats don't, see `_has_floats`.
_SUMS = _names("sum avg var_samp var_pop stddev_samp stddev_pop variance stddev")
_ORDERLESS = _SUMS | _names(
    """
    count min max bool_and bool_or every bit_and bit_or abs round floor ceil ceiling trunc mod sign concat concat_ws
    substring substr length char_length lower upper initcap btrim ltrim rtrim left right replace reverse strpos
    position overlay split_part translate md5 to_char to_date date_trunc extract age make_date timezone now
    """
)
# Not random(), which a client can seed: it could then work out what the order was.
_SHUFFLE = "pg_catalog.gen_random_uuid()"
_FLOATS = FLOAT_OIDS | {790}  # money divided by money is a float
_FLOAT_NAMES = frozenset({"float4", "float8", "money"})
_EXACT_OPERATORS = _names("+ - * / % || -> ->> ~~ !~~ ~~* !~~* BETWEEN IN = <> != < <= > >=")
_BEHIND_ORDER = frozenset({"limit", "offset", "fetch", "for"})


def output_at(top: Block, item: Any) -> Any:
    """What an ordinal stands for; None when a star or the server's error makes that unknown."""
    targets = [target["ResTarget"].get("val") for target in top.node.get("targetList") or ()]
    has_star = any(
        is_node(value, "ColumnRef") and is_node(value["ColumnRef"]["fields"][-1], "A_Star") for value in targets
    )
    index = item["A_Const"].get("ival", {}).get("ival", 0) if "ival" in item["A_Const"] else 0
    return None if has_star or not 1 <= index <= len(targets) else targets[index - 1]


def sorts_by(top: Block, column: str, output_names: set[str]) -> bool:
    """Whether ORDER BY means an output that is the column, by its ordinal or by its name there."""
    for entry in top.node.get("sortClause") or ():
        expression = entry["SortBy"].get("node")
        if is_node(expression, "A_Const"):
            expression = output_at(top, expression)
            if expression is None or (is_node(expression, "ColumnRef") and _last_name(expression) == column):
                return True
        elif is_node(expression, "ColumnRef"):
            names = strings_of(expression["ColumnRef"]["fields"])
            if len(names) == 1 and names[0] in output_names:
                return True
    return False


def _last_name(reference: Any) -> str | None:
    names = strings_of(reference["ColumnRef"]["fields"])
    return names[-1] if names else None


def can_shuffle(draft: Draft, top: Block) -> bool:
    """Whether nothing but the rows' own order could tell the server's, and that can be hidden."""
    # WITH TIES counts rows that are equal by all keys: a key more, and there are none.
    is_whole = not top.node.get("distinctClause") and top.node.get("limitOption") != "LIMIT_OPTION_WITH_TIES"
    return is_whole and _place(draft) is not None and not _works_in_order(draft)


def _works_in_order(draft: Draft) -> bool:
    """Windows, sequences, aggregates that keep an order, sums of floats, what users wrote."""
    tree, catalog = draft.statement.tree, draft.catalog
    for call in draft.facts.functions:
        names = strings_of(call["funcname"])
        is_builtin = len(names) == 1 or names[0] == "pg_catalog"
        if not is_builtin or names[-1] not in _ORDERLESS or names[-1] in catalog.user_functions or call.get("over"):
            return True
    if any(names[-1] in catalog.user_operators for names, _ in draft.facts.operators) or draft.facts.attributes:
        return True
    kinds = {kind for kind, _ in nodes_of(tree)}
    return not kinds.isdisjoint({"WindowDef", "JsonArrayAgg", "JsonObjectAgg"}) or _has_floats(draft)


def _has_floats(draft: Draft) -> bool:
    """1e16 - 1e16 + 1 is 1 or 0, as its parts come: where floats may be summed up, the order shows."""
    called = {strings_of(call["funcname"])[-1] for call in draft.facts.functions}
    if called.isdisjoint(_SUMS):
        return False
    casts = {name for kind, node in nodes_of(draft.statement.tree) if kind == "TypeCast" for name in _type_name(node)}
    types = {column.type_oid for target in draft.targets for column in target.visible_columns}
    operators = {names[-1] for names, _ in draft.facts.operators}
    is_known = all(target.relation is not None for target in draft.targets) and operators <= _EXACT_OPERATORS
    return not is_known or bool(types & _FLOATS) or bool(casts & (_FLOAT_NAMES | draft.catalog.user_types))


def _type_name(cast: Tree) -> tuple[str, ...]:
    return strings_of(cast["typeName"].get("names"))[-1:]


def shuffle(draft: Draft, top: Block) -> None:
    """A last key to sort by that nobody knows."""
    place = _place(draft)
    assert place is not None
    keys = top.node.setdefault("sortClause", [])
    draft.splices.append(Splice(place, place, f"{',' if keys else ' ORDER BY'} {_SHUFFLE} "))
    call = {"funcname": [{"String": {"sval": name}} for name in _SHUFFLE[:-2].split(".")]}
    node = {"FuncCall": {**call, "funcformat": "COERCE_EXPLICIT_CALL"}}
    keys.append({"SortBy": {"node": node, "sortby_dir": "SORTBY_DEFAULT", "sortby_nulls": "SORTBY_NULLS_DEFAULT"}})


def _place(draft: Draft) -> int | None:
    """The byte where ORDER BY ends or would stand; None where the statement is in parentheses."""
    tokens = [t for t in draft.tokens if draft.statement.start <= t.start < draft.statement.end]
    if not tokens or tokens[0].word not in ("select", "with"):
        return None
    depth, before = 0, ""
    for token in tokens:
        if depth == 0 and token.word in _BEHIND_ORDER and before not in ("as", "."):
            return token.start
        depth += (token.word in ("(", "[")) - (token.word in (")", "]"))
        before = token.word
    return tokens[-1].end
