"""Expressions outside a query: arguments of EXECUTE and CALL. They are held against the rules of a SELECT's."""

from __future__ import annotations

from typing import Any

from policies.compile.compilation import Compilation
from policies.compile.draft import Draft
from policies.compile.parse import Statement


def draft_expressions(compilation: Compilation, expressions: list[Any], outer: Statement) -> Draft:
    """The nodes themselves under all rules, as the targets of a SELECT. Raises Refused.

    The server takes no subquery there, so an expression that only a look-up of ours would make safe is refused.
    """
    targets = [{"ResTarget": {"val": node}} for node in expressions]
    draft = compilation.draft_select({"targetList": targets, "op": "SETOP_NONE"}, outer, is_output=False)
    if draft.splices:
        raise draft.refuse(
            "0A000",
            "pgwarden/expressions",
            "an argument here can't be guarded",
            at=outer.start,
            hint="Select the value first and pass it as a literal or a parameter.",
        )
    return draft
