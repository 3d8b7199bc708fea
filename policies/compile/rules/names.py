"""``shop.customers.email`` loses its schema where a guard stands for the table: the guard's alias has none."""

from __future__ import annotations

from policies.compile.draft import Access, Draft, Splice
from policies.compile.scope import Block, Reference


def shorten_names(draft: Draft) -> None:
    """Splices the qualifiers away and edits the expected tree alike."""
    for reference in draft.facts.references:
        extra = len(reference.names) - 2
        if extra >= 1 and _names_guard(draft, reference):
            _shorten(draft, reference, extra)


def _names_guard(draft: Draft, reference: Reference) -> bool:
    schema, table = reference.names[-3], reference.names[-2]
    block: Block | None = reference.block
    while block is not None:
        for target in draft.targets_in(block):
            if target.name == table and "alias" not in target.use.node and target.schema == schema:
                return target.access is not Access.OPEN and not target.use.is_written
        if any(item.alias == table for item in block.items):
            raise draft.refuse(
                "0A000",
                "pgwarden/names",
                f"{schema}.{table} can't be told from another {table} here",
                at=reference.location,
                hint="Give one of them another alias.",
            )
        block = block.parent
    return False


def _shorten(draft: Draft, reference: Reference, extra: int) -> None:
    first = draft.token_at(reference.location)
    kept = draft.tokens[first + 2 * extra]
    draft.splices.append(Splice(draft.tokens[first].start, kept.start, ""))
    del reference.node["fields"][:extra]
