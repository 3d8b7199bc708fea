"""RETURNING shows what a SELECT would: masked columns masked, stars without blocked columns, under the same names."""

from __future__ import annotations

from typing import Any

from policies.compile.draft import Draft, Splice, Target
from policies.compile.facts import FromItem, Reference, Write
from policies.compile.guards import quote
from policies.compile.tree import Tree, is_node, node_kind, string_of
from policies.compile.writes.expressions import mask_of
from policies.compile.writes.extent import Span, end_byte, require_word, span_of, split, unplaced
from policies.compile.writes.forms import Form
from policies.compile.writes.meaning import meaning_of
from policies.compile.writes.reads import is_masked_in_place

# An expression that is a name in itself; names of weaker kinds give way to it.
_STRONG = 2


def mask_returning(draft: Draft, write: Write, target: Target, held: Form | None) -> None:
    """Replaces masked references, expands stars, and keeps the names that the output had.

    `held`: a condition of ours to put around one of the expressions, whichever has a sure name.
    """
    clause = write.node.get("returningClause")
    if not clause or not target.rule or not (target.rule.masks or target.rule.blocked or held):
        return
    spans = _element_spans(draft, write, clause)
    masked = _masked_references(draft, write, target)
    holder = _holder(draft, write, target, clause) if held else -1
    elements: list[Tree] = []
    for index, (element, span) in enumerate(zip(clause["exprs"], spans, strict=True)):
        form = held if index == holder else None
        if _is_star(element):
            elements += _expand(draft, write, target, element, span, form)
        else:
            _mask(draft, target, element, span, masked, form)
            elements.append(element)
    clause["exprs"] = elements


def _holder(draft: Draft, write: Write, target: Target, clause: Tree) -> int:
    """The element that keeps its name, whatever is put around it."""
    for index, element in enumerate(clause["exprs"]):
        node = element["ResTarget"]
        if _is_star(element):
            fields = node["val"]["ColumnRef"]["fields"]
            is_own = len(fields) == 1 or string_of(fields[-2]) == write.use.item.alias
            if is_own and target.visible_columns:
                return index
        elif "name" in node or _name_of(node.get("val"))[0] == _STRONG:
            return index
    raise draft.refuse(
        "0A000",
        "pgwarden/writes",
        f"rows written to {target.schema}.{target.name} can't be held against its row filter here",
        at=write.use.location,
        hint="Let RETURNING have a column of the table.",
    )


def _element_spans(draft: Draft, write: Write, clause: Tree) -> list[Span]:
    first, last = span_of(draft, write)
    start = require_word(draft, (first, last), write.node, "returning") + 1
    if clause.get("options"):
        start = require_word(draft, (start, last), write.node, ")") + 1
    spans = split(draft, (start, last), ",")
    if len(spans) != len(clause["exprs"]):
        raise unplaced(draft, write.node)
    return spans


def _masked_references(draft: Draft, write: Write, target: Target) -> list[tuple[Reference, FromItem]]:
    assert target.rule is not None
    found = []
    for reference in draft.facts.references:
        meant = meaning_of(draft, write, reference)
        if meant and reference.names[-1] in target.rule.masks and is_masked_in_place(reference, meant):
            found.append((reference, meant.item))
    return found


def _mask(
    draft: Draft,
    target: Target,
    element: Tree,
    span: Span,
    masked: list[tuple[Reference, FromItem]],
    held: Form | None,
) -> None:
    """One element that is no star."""
    node = element["ResTarget"]
    strength, name = _name_of(node.get("val"))
    is_changed = held is not None
    for reference, item in masked:
        mask = mask_of(draft, target, str(reference.names[-1]), item.alias)
        if _replace(node, reference.node, mask.tree):
            is_changed = True
            first = draft.token_at(reference.location)
            last = first + 2 * (len(reference.names) - 1)
            place = Splice(draft.tokens[first].start, draft.tokens[last].end, f"({mask.text})")
            draft.splices.append(place)
    if held is not None:
        draft.splices += held.put(draft.tokens[span[0]].start, _end_of_value(draft, node, span))
        node["val"] = held.around(node["val"])
    if is_changed and "name" not in node and strength == _STRONG:
        at = end_byte(draft, span)
        draft.splices.append(Splice(at, at, f" AS {quote(name)}"))
        node["name"] = name


def _end_of_value(draft: Draft, node: Tree, span: Span) -> int:
    """The byte behind the expression, without ``AS name`` or a bare name."""
    last = span[1]
    if "name" in node:
        last -= 2 if draft.tokens[last - 2].word == "as" else 1
    return end_byte(draft, (span[0], last))


def _replace(value: Any, fields: Tree, tree: Any) -> bool:
    """Puts `tree` where the ColumnRef with these very fields stands; False when it isn't below `value`."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in list(entries):
        if is_node(entry, "ColumnRef") and entry["ColumnRef"] is fields:
            value[key] = tree
            return True
        if _replace(entry, fields, tree):
            return True
    return False


def _name_of(value: Any) -> tuple[int, str]:
    """The name that the server gives an output column, and how sure of it it is (FigureColname)."""
    kind = node_kind(value)
    node: Tree = value[kind] if kind else {}
    match kind:
        case "ColumnRef" | "A_Indirection":
            names = [string_of(part) for part in node.get("fields") or node.get("indirection") or ()]
            named = [name for name in names if name is not None]
            return (_STRONG, named[-1]) if named else _name_of(node.get("arg"))
        case "FuncCall":
            return _STRONG, str(string_of(node["funcname"][-1]))
        case "CollateClause":
            return _name_of(node.get("arg"))
        case "TypeCast":
            strength, name = _name_of(node.get("arg"))
            return (strength, name) if strength == _STRONG else (1, name)
        case "CaseExpr":
            strength, name = _name_of(node.get("defresult"))
            return (strength, name) if strength == _STRONG else (1, "case")
        case "SubLink" if node.get("subLinkType") == "EXPR_SUBLINK":
            return _name_of_query(node["subselect"]["SelectStmt"])
    return 0, ""


def _name_of_query(select: Tree) -> tuple[int, str]:
    while select.get("op", "SETOP_NONE") != "SETOP_NONE":
        select = select["larg"]
    targets = select.get("targetList") or []
    if not targets:
        return 0, ""
    first = targets[0]["ResTarget"]
    return (_STRONG, first["name"]) if "name" in first else _name_of(first.get("val"))


def _is_star(element: Tree) -> bool:
    value = element["ResTarget"].get("val")
    return is_node(value, "ColumnRef") and is_node(value["ColumnRef"]["fields"][-1], "A_Star")


def _expand(draft: Draft, write: Write, target: Target, element: Tree, span: Span, held: Form | None) -> list[Tree]:
    """``*`` and ``alias.*`` as the visible columns; a star of another FROM item stays."""
    fields = element["ResTarget"]["val"]["ColumnRef"]["fields"]
    qualifier = string_of(fields[-2]) if len(fields) > 1 else None
    own = [write.use.item, *write.versions]
    if qualifier is not None and all(item.alias != qualifier for item in own):
        return [element]
    texts: list[str] = []
    trees: list[Tree] = []
    for item in _starred(draft, write, qualifier):
        columns = [_column(draft, target, item, column.name, held) for column in target.visible_columns]
        parts = columns if item in own else [_star_of(item)]
        texts += [text for text, _ in parts]
        trees += [tree for _, tree in parts]
    if not trees:
        raise _unlisted(draft, write)
    draft.splices.append(Splice(draft.tokens[span[0]].start, end_byte(draft, span), ", ".join(texts)))
    return trees


def _starred(draft: Draft, write: Write, qualifier: str | None) -> list[FromItem]:
    """What a star stands for, in the server's order."""
    items = write.block.items
    if qualifier is not None:
        return [next(item for item in items if item.alias == qualifier)]
    joins = [item.node for item in items if item.kind == "join"]
    shown = [item for item in items if item.kind not in ("join", "version")]
    is_merged = any("usingClause" in join or join.get("isNatural") or "alias" in join for join in joins)
    if is_merged or not all(item.alias for item in shown):
        raise _unlisted(draft, write)
    return [*shown[1:], shown[0]] if write.kind == "MergeStmt" else shown  # MERGE shows its source first


def _column(draft: Draft, target: Target, item: FromItem, name: str, held: Form | None) -> tuple[str, Tree]:
    """`held` stands around the first of the columns."""
    assert target.rule is not None
    fields = [{"String": {"sval": item.alias}}, {"String": {"sval": name}}]
    text, value = f"{quote(item.alias)}.{quote(name)}", {"ColumnRef": {"fields": fields}}
    is_changed = name in target.rule.masks
    if is_changed:
        mask = mask_of(draft, target, name, item.alias)
        text, value = f"({mask.text})", mask.tree
    if held is not None and name == target.visible_columns[0].name:
        is_changed = True
        text, value = f"{held.before}{text}{held.behind}", held.around(value)
    if is_changed:
        return f"{text} AS {quote(name)}", {"ResTarget": {"name": name, "val": value}}
    return text, {"ResTarget": {"val": value}}


def _star_of(item: FromItem) -> tuple[str, Tree]:
    fields = [{"String": {"sval": item.alias}}, {"A_Star": {}}]
    return f"{quote(item.alias)}.*", {"ResTarget": {"val": {"ColumnRef": {"fields": fields}}}}


def _unlisted(draft: Draft, write: Write) -> Exception:
    return draft.refuse(
        "0A000",
        "pgwarden/writes",
        "this RETURNING * can't be told apart into columns",
        at=write.use.location,
        hint="Name the columns after RETURNING.",
    )
