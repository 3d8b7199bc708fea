"""Puts guards in the place of relations, twice: as splices of the text and as an edit of the expected tree.

The two must agree in the end (`verify`), so an error in one can't pass unseen.
"""

from __future__ import annotations

from functools import lru_cache

from policies.compile.draft import Access, Draft, Splice, Target
from policies.compile.guards import guard_body, quote
from policies.compile.parse import ParseError, parse
from policies.compile.rules.samples import require_sample, sampled, splice_sample
from policies.compile.same_trees import without_places
from policies.compile.tree import Tree, is_node, nodes_of
from policies.expressions import ExpressionError
from policies.masks import MaskError


def guard_relations(draft: Draft) -> None:
    """Replaces every guarded relation and qualifies every open one."""
    for target in draft.targets:
        if target.access is Access.OPEN:
            qualify(draft, target)
        elif not target.use.is_written:  # compile/writes puts the rules into the write itself
            _guard(draft, target)


def leave_database(draft: Draft, node: Tree) -> None:
    """Takes the database out of a RangeVar's name: the server may know it by another name than its clients do."""
    if "catalogname" in node:
        first = draft.token_at(node["location"])
        draft.splices.append(Splice(draft.tokens[first].start, draft.tokens[first + 2].start, ""))
        del node["catalogname"]


def qualify(draft: Draft, target: Target) -> None:
    """The name as resolved, so that the server's search_path has no say."""
    leave_database(draft, target.use.node)
    if "schemaname" in target.use.node:
        return
    target.use.node["schemaname"] = target.schema
    at = target.use.location
    draft.token_at(at)
    draft.splices.append(Splice(at, at, f"{quote(target.schema)}."))


def _guard(draft: Draft, target: Target) -> None:
    use = target.use
    if use.is_sampled:
        require_sample(draft, target)
    start, end, is_table_command = _extent(draft, target)
    body = body_of(draft, target)
    template = template_of(draft, target, body)
    has_alias = "alias" in use.node
    if use.sample is not None:
        splice_sample(draft, target, start, end)
        template = sampled(target, template)
    else:
        alias = "" if has_alias else f" AS {quote(target.name)}"
        select = "SELECT * FROM " if is_table_command else ""
        draft.splices.append(Splice(start, end, f" {select}({body}){alias} "))
    node = dict(template)
    node["alias"] = use.node["alias"] if has_alias else {"aliasname": target.name}
    _replace(*(use.sample or (use.holder, use.key)), {"RangeSubselect": node})
    draft.templates.append(template["subquery"])


def body_of(draft: Draft, target: Target) -> str:
    """The guard's SELECT. Raises Refused when the operator's rules can't be bound to this principal."""
    try:
        return guard_body(draft, target)
    except (ExpressionError, MaskError) as error:
        rule = next(iter(target.rule.filters), None) if target.rule else None
        raise draft.refuse(
            "42501",
            rule.rule if rule else "pgwarden/guard",
            f"the rules for {target.schema}.{target.name} can't be applied to {draft.policy.principal.user}: {error}",
            at=target.use.location,
        ) from None


def template_of(draft: Draft, target: Target, body: str) -> Tree:
    """The guard's tree. An operator's expression that isn't one closed expression, or reaches for a table without
    naming its schema (a client's CTE could bear the name), refuses the statement.
    """
    subquery = _read_template(body)
    if subquery is not None:
        return {"subquery": subquery}
    raise draft.refuse(
        "0A000",
        "pgwarden/guard",
        f"the rules for {target.schema}.{target.name} don't make a statement of their own",
        hint="Run pgwarden check; qualify every table in a filter or mask with its schema.",
        at=target.use.location,
    )


# The same guards stand in statement after statement. Nothing edits a guard's inside, so its tree can be shared.
@lru_cache(maxsize=1024)
def _read_template(body: str) -> Tree | None:
    """The subquery's tree without places, None when the body isn't one closed, fully qualified SELECT."""
    try:
        statements = parse(f"SELECT * FROM ({body}) AS guard")
    except ParseError:
        return None
    if len(statements) != 1 or statements[0].kind != "SelectStmt":
        return None
    tree = statements[0].tree
    sources = tree.get("fromClause", [])
    if len(sources) != 1 or not is_node(sources[0], "RangeSubselect"):
        return None
    node: Tree = sources[0]["RangeSubselect"]
    if not set(tree) <= {"targetList", "fromClause", "limitOption", "op"} or not _is_qualified(node):
        return None
    subquery: Tree = without_places(node["subquery"])
    return subquery


def _is_qualified(node: Tree) -> bool:
    names = {cte["ctename"] for kind, cte in nodes_of(node) if kind == "CommonTableExpr"}
    return all(
        "schemaname" in relation or relation["relname"] in names
        for kind, relation in nodes_of(node)
        if kind == "RangeVar"
    )


def _replace(holder: object, key: object, node: Tree) -> None:
    holder[key] = node  # type: ignore[index]


def _extent(draft: Draft, target: Target) -> tuple[int, int, bool]:
    """Bytes from ONLY (or TABLE, or the name) to the end of the name with its star, and whether it is TABLE t."""
    first = draft.token_at(target.use.location)
    last = first + 2 * sum(part in target.use.node for part in ("catalogname", "schemaname"))
    words = draft.tokens
    if first >= 2 and words[first - 1].word == "(" and words[first - 2].word == "only":
        first, last = first - 2, last + 1
        if words[last].word != ")":
            raise draft.refuse(
                "0A000", "pgwarden/splice", "this statement can't be rewritten safely", at=words[first].start
            )
    elif first >= 1 and words[first - 1].word == "only":
        first -= 1
    elif last + 1 < len(words) and words[last + 1].word == "*":
        last += 1
    is_table_command = first >= 1 and words[first - 1].word == "table"
    if is_table_command:
        first -= 1
    return words[first].start, words[last].end, is_table_command
