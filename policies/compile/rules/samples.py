"""TABLESAMPLE of a guarded table: the sample is drawn inside the guard, so that only rows that are left are shown.

BERNOULLI without a seed chooses each row by itself. SYSTEM chooses pages, and with REPEATABLE both choose by the row's
place: where rows are hidden, the gaps between the others would show. Other methods may count hidden rows (system_rows).
"""

from __future__ import annotations

import copy

from policies.compile.draft import Access, Draft, Splice, Target
from policies.compile.guards import guard_parts, quote
from policies.compile.tree import Tree, contains, strings_of

_METHODS = frozenset({"bernoulli", "system"})
_HINT = "BERNOULLI without REPEATABLE chooses each row by itself."


def require_sample(draft: Draft, target: Target) -> None:
    """Raises Refused for what can't be sampled behind a guard."""
    node = target.use.holder
    names = strings_of(node.get("method"))
    is_known = names[-1:] and names[-1] in _METHODS and names[:-1] in ((), ("pg_catalog",))
    if not is_known or names[-1] in draft.catalog.user_functions:
        raise _refused(draft, target, "would count hidden rows too", _HINT)
    if target.rule is not None and target.rule.filters and (names[-1] == "system" or "repeatable" in node):
        raise _refused(draft, target, "would tell where rows are hidden", _HINT)
    if target.access is Access.CATALOG or target.body:
        raise _refused(draft, target, "isn't possible: only tables can be sampled", "")
    if contains([node.get("args"), node.get("repeatable")], "SelectStmt"):
        raise _refused(draft, target, "can't be proven safe with a subquery", "Write the percentage as a number.")


def _refused(draft: Draft, target: Target, why: str, hint: str) -> Exception:
    message = f"TABLESAMPLE of {target.schema}.{target.name} {why}"
    return draft.refuse("0A000", "pgwarden/tablesample", message, at=target.use.location, hint=hint)


def splice_sample(draft: Draft, target: Target, start: int, end: int) -> None:
    """The guard around the client's own words: ``t AS a TABLESAMPLE m (x)``, with t at `start:end`, becomes
    ``(SELECT ... FROM t TABLESAMPLE m (x) WHERE ...) AS a``.
    """
    head, tail = guard_parts(draft, target)
    method = draft.token_at(target.use.holder["location"])
    sample = draft.tokens[method - 1]
    if sample.word != "tablesample":
        raise draft.refuse("0A000", "pgwarden/splice", "this statement can't be rewritten safely", at=sample.start)
    alias = _words(draft, end, method - 1) or f"AS {quote(target.name)}"
    last = _end_of(draft, method)
    draft.splices.append(Splice(start, sample.start, f" ({head} "))
    draft.splices.append(Splice(last, last, f" {tail}) {alias} " if tail else f") {alias} "))


def _words(draft: Draft, start: int, index: int) -> str:
    """The tokens from byte `start` up to this one; comments between them are left out."""
    first = index
    while first and draft.tokens[first - 1].start >= start:
        first -= 1
    return " ".join(draft.text[token.start : token.end].decode() for token in draft.tokens[first:index])


def _end_of(draft: Draft, method: int) -> int:
    """The byte behind the arguments, and those of REPEATABLE."""
    index = _closing(draft, method)
    if index + 1 < len(draft.tokens) and draft.tokens[index + 1].word == "repeatable":
        index = _closing(draft, index + 1)
    return draft.tokens[index].end


def _closing(draft: Draft, index: int) -> int:
    depth = 0
    while True:
        word = draft.tokens[index].word
        depth += (word == "(") - (word == ")")
        if word == ")" and depth == 0:
            return index
        index += 1


def sampled(target: Target, template: Tree) -> Tree:
    """The guard's tree with the sample in it."""
    found = copy.deepcopy(template)
    sources = found["subquery"]["SelectStmt"]["fromClause"]
    sources[0] = {"RangeTableSample": {**target.use.holder, "relation": sources[0]}}
    return found
