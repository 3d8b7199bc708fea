"""COPY. A guarded table has its guard: ``COPY t TO STDOUT`` becomes ``COPY (SELECT ... FROM (guard) AS t) TO STDOUT``
with its options. Masks are put into the rows as they pass where it is certain how the server writes them and at which
place a column stands (`copy_masking`), else at the source.
"""

from __future__ import annotations

from policies.compile.compilation import Compilation, plan_of
from policies.compile.draft import Access, Draft, Splice, Target
from policies.compile.guards import quote
from policies.compile.kinds.copy_columns import check_columns, put_out_columns
from policies.compile.kinds.copy_masking import place_masks, streamed_options, with_copy_masks
from policies.compile.kinds.copy_options import CopyOptions
from policies.compile.kinds.copy_rows import copy_rows
from policies.compile.kinds.inner import inner_plan
from policies.compile.kinds.named_relations import draft_relations, merge_partitions
from policies.compile.rules.guard import body_of, qualify, template_of
from policies.compile.statements import Request, require_grant
from policies.compile.tree import Tree, is_node, string_of
from policies.decision import Plan
from policies.model import Statement as Grant

_UTF8 = frozenset({"utf8", "unicode"})
# What the server copies from, by pg_class.relkind; it refuses the others, a guard's SELECT wouldn't.
_TABLE, _MATERIALIZED_VIEW = "r", "m"
_MATERIALIZED_VIEWS_SINCE = 180_000
_KINDS = {"v": "view", "m": "materialized view", "f": "foreign table", "S": "sequence", "p": "partitioned table"}


def copy(compilation: Compilation, request: Request, plan: Plan) -> Plan:
    """CopyStmt."""
    require_grant(request)
    tree = request.statement.tree
    _refuse_files(request, tree)
    _check_encoding(request, tree)
    if tree.get("is_from"):
        return copy_rows(compilation, request, plan)
    if "query" in tree:
        place = _between_brackets(compilation, request)
        return inner_plan(compilation, request, plan, place, streamed_options(tree, is_query=True))
    require_grant(request, Grant.SELECT)
    options = streamed_options(tree, is_query=False)
    draft = _copy_table(compilation, request, options)
    return with_copy_masks(plan_of(plan, draft), draft, options)


def _refuse_files(request: Request, tree: Tree) -> None:
    if "filename" in tree or tree.get("is_program"):
        raise request.refuse(
            "42501",
            "pgwarden/copy",
            "COPY with a file or a program of the server is never allowed under a policy",
            hint="Copy to STDOUT or from STDIN.",
        )


def _check_encoding(request: Request, tree: Tree) -> None:
    """Names of encodings count by their letters and digits."""
    for option in tree.get("options") or ():
        fields = option["DefElem"]
        name = string_of(fields.get("arg")) or ""
        if fields["defname"] == "encoding" and "".join(filter(str.isalnum, name.lower())) not in _UTF8:
            raise request.refuse("0A000", "pgwarden/copy", "COPY has no other encoding than UTF8 under a policy")


def _between_brackets(compilation: Compilation, request: Request) -> tuple[int, int]:
    """The bytes of the query in COPY (query) TO."""
    tokens = compilation.tokens_of(request.statement)
    first = next(index for index, token in enumerate(tokens) if token.word == "(")
    depth = 0
    for token in tokens[first:]:
        depth += (token.word == "(") - (token.word == ")")
        if depth == 0:
            return tokens[first].end, token.start
    return tokens[first].end, request.statement.end


def _copy_table(compilation: Compilation, request: Request, options: CopyOptions | None) -> Draft:
    tree = request.statement.tree
    # COPY t means ONLY t.
    draft = draft_relations(compilation, [{"RangeVar": {**tree["relation"], "inh": False}}], request.statement)
    (target,) = draft.targets
    merge_partitions(draft, target)
    check_columns(draft, target, tree)
    if target.access is Access.OPEN:
        target.use.node = tree["relation"]
        qualify(draft, target)
    else:
        _refuse_other_kinds(draft, target)
        _copy_guard(draft, target, tree, options)
    return draft


def _refuse_other_kinds(draft: Draft, target: Target) -> None:
    """In the server's own words."""
    kind = target.relation.kind if target.relation else _TABLE
    is_copied = kind == _MATERIALIZED_VIEW and draft.catalog.server_version >= _MATERIALIZED_VIEWS_SINCE
    if kind != _TABLE and not is_copied:
        raise draft.refuse(
            "42809",
            "pgwarden/copy",
            f'cannot copy from {_KINDS.get(kind, "non-table relation")} "{target.name}"',
            hint="Try the COPY (SELECT ...) TO variant.",
            at=target.use.location,
        )


def _copy_guard(draft: Draft, target: Target, tree: Tree, options: CopyOptions | None) -> None:
    """Puts the query in the place of the relation and its list of columns, in the text and in the tree."""
    columns = put_out_columns(target, tree)
    target.needed = frozenset(columns) if columns is not None and "attlist" in tree else None
    if options is not None and columns is not None:
        place_masks(draft, target, columns)
    body = body_of(draft, target)
    template = template_of(draft, target, body)
    listed = ", ".join(map(quote, columns)) if columns is not None else "*"
    start, end = _extent(draft, target, tree)
    draft.splices.append(Splice(start, end, f"(SELECT {listed} FROM ({body}) AS {quote(target.name)})"))
    draft.templates.append(template["subquery"])
    _move_binary(draft, start, end, tree)
    del tree["relation"]
    tree.pop("attlist", None)
    tree["query"] = _query(target, template, columns)


def _query(target: Target, template: Tree, columns: tuple[str, ...] | None) -> Tree:
    fields = [{"A_Star": {}}] if columns is None else [{"String": {"sval": name}} for name in columns]
    select: Tree = {
        "fromClause": [{"RangeSubselect": {**template, "alias": {"aliasname": target.name}}}],
        "limitOption": "LIMIT_OPTION_DEFAULT",
        "op": "SETOP_NONE",
    }
    if fields:
        select["targetList"] = [{"ResTarget": {"val": {"ColumnRef": {"fields": [field]}}}} for field in fields]
    return {"SelectStmt": select}


def _extent(draft: Draft, target: Target, tree: Tree) -> tuple[int, int]:
    """Bytes from the name to the end of its list of columns."""
    first = draft.token_at(target.use.location)
    last = first + 2 * sum(part in target.use.node for part in ("catalogname", "schemaname"))
    if "attlist" in tree:
        last += 2 * len(tree["attlist"]) + 1
    return draft.tokens[first].start, draft.tokens[last].end


def _move_binary(draft: Draft, start: int, end: int, tree: Tree) -> None:
    """``COPY BINARY t`` is an old form that only tables have: the word moves to the options, which stand behind."""
    before = draft.token_at(start) - 1
    if draft.tokens[before].word != "binary" or not _is_first_option(tree, draft.tokens[before].start):
        return
    after = next(index for index in range(before, len(draft.tokens)) if draft.tokens[index].start >= end)
    place = draft.tokens[after + 1].end  # TO STDOUT
    if draft.tokens[after + 2 : after + 3] and draft.tokens[after + 2].word == "with":
        place = draft.tokens[after + 2].end
    draft.splices.append(Splice(draft.tokens[before].start, draft.tokens[before].end, ""))
    draft.splices.append(Splice(place, place, " BINARY"))


def _is_first_option(tree: Tree, at: int) -> bool:
    options = tree.get("options") or [{}]
    return is_node(options[0], "DefElem") and options[0]["DefElem"].get("location", -1) == at
