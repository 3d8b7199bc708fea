"""``FROM pg_get_sequence_data(oid)``, as pg_dump asks for all sequences at once: told as if they had never been used.

How far a sequence has come tells how many rows there are, hidden ones too. The call becomes a subquery over the
sequences' definitions, which has the same columns.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from policies.compile.catalogs import sequence_start
from policies.compile.draft import Draft, Splice
from policies.compile.parse import parse
from policies.compile.rules.arguments import extents_of, filled
from policies.compile.same_trees import without_places
from policies.compile.tree import Tree, is_node, strings_of

_NAME = "pg_get_sequence_data"
_ARGUMENT = 60_001  # a stand-in while the subquery's own text is parsed


def replace_sequence_data(draft: Draft) -> None:
    """Only as a FROM item of its own: anywhere else the call stays, and is refused."""
    for block in draft.facts.blocks:
        sources = block.node.get("fromClause") or []
        for index, source in enumerate(sources):
            call = _call_in(draft, source)
            if call is not None:
                sources[index] = _replaced(draft, call)
                draft.facts.functions.remove(call)


def _call_in(draft: Draft, source: Tree) -> Tree | None:
    if not is_node(source, "RangeFunction") or set(source["RangeFunction"]) != {"functions"}:
        return None
    items = source["RangeFunction"]["functions"][0]["List"]["items"]
    if not is_node(items[0], "FuncCall") or len(source["RangeFunction"]["functions"]) != 1:
        return None
    call: Tree = items[0]["FuncCall"]
    names = strings_of(call["funcname"])
    is_builtin = names == ("pg_catalog", _NAME) or (names == (_NAME,) and _NAME not in draft.catalog.user_functions)
    is_plain = len(call.get("args") or ()) == 1 and set(call) <= {"funcname", "args", "funcformat", "location"}
    return call if is_builtin and is_plain else None


def _replaced(draft: Draft, call: Tree) -> Tree:
    """The subquery's tree; its splices are made."""
    ((start, end),) = extents_of(draft, call, 1)
    before, after = sequence_start(f"${_ARGUMENT}").split(f"${_ARGUMENT}")
    first = call["location"]
    last = next(token.end for token in draft.tokens if token.start >= end)  # the closing bracket
    draft.splices += [
        Splice(first, start, f"LATERAL ({before}"),
        Splice(end, last, f"{after}) AS {_NAME}"),
    ]
    draft.lent_relations.add(("pg_catalog", "pg_sequence"))
    tree: Tree = filled(_template(), {_ARGUMENT: call["args"][0]})
    return tree


@lru_cache(maxsize=1)
def _template() -> Any:
    text = f"SELECT FROM LATERAL ({sequence_start(f'${_ARGUMENT}')}) AS {_NAME}"
    return without_places(parse(text)[0].tree["fromClause"][0])
