"""Where a write's parts stand in the text, found in its tokens. What it finds wrong, `verify` refuses."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from policies.compile.draft import Draft
from policies.compile.facts import Write
from policies.compile.parse import Token
from policies.compile.tree import Tree

_OPENERS = frozenset({"(", "[", "case"})
_CLOSERS = frozenset({")", "]", "end"})
Span = tuple[int, int]  # indexes of tokens: the first one, and the one behind the last


def span_of(draft: Draft, write: Write) -> Span:
    """The tokens from a write's target to its end; the brackets of WITH aren't among them."""
    return draft.token_at(write.use.location), _end(draft, write)


def _end(draft: Draft, write: Write) -> int:
    if write.cte is None:
        return bisect_left(draft.tokens, draft.statement.end, key=_start)
    depth = 0
    for index in range(draft.token_at(write.use.location), len(draft.tokens)):
        word = draft.tokens[index].word
        depth += (word == "(") - (word == ")")
        if depth < 0:
            return index
    raise unplaced(draft, write.node)


def _start(token: Token) -> int:
    return token.start


def top_level(draft: Draft, span: Span) -> Iterator[tuple[int, str]]:
    """The tokens outside brackets and CASE, as (index, word); a word that is a name (x.end, AS end) reads as empty."""
    depth = 0
    for index in range(*span):
        word = _word(draft, index)
        if word in _CLOSERS:
            depth -= 1
        if depth == 0:
            yield index, word
        if word in _OPENERS:
            depth += 1


def _word(draft: Draft, index: int) -> str:
    before = draft.tokens[index - 1].word if index else ""
    word = draft.tokens[index].word
    return "" if word.isalpha() and before in (".", "as") else word


def find_word(draft: Draft, span: Span, *words: str) -> int | None:
    """The first of these words at top level, None when there is none."""
    return next((index for index, word in top_level(draft, span) if word in words), None)


def require_word(draft: Draft, span: Span, node: Tree, *words: str) -> int:
    """Like `find_word`. Raises Refused when there is none, though the tree of `node` says there must be."""
    found = find_word(draft, span, *words)
    if found is None:
        raise unplaced(draft, node)
    return found


def split(draft: Draft, span: Span, word: str) -> list[Span]:
    """The pieces between the separators at top level. The AND of a BETWEEN separates nothing."""
    pieces: list[Span] = []
    first, has_between = span[0], False
    for index, found in top_level(draft, span):
        if found == "between":
            has_between = True
        elif found == word:
            if found == "and" and has_between:
                has_between = False
                continue
            pieces.append((first, index))
            first = index + 1
    return [*pieces, (first, span[1])]


def start_byte(draft: Draft, span: Span) -> int:
    return draft.tokens[span[0]].start


def end_byte(draft: Draft, span: Span) -> int:
    return draft.tokens[span[1] - 1].end


def unplaced(draft: Draft, node: Tree) -> Exception:
    return draft.refuse(
        "0A000",
        "pgwarden/splice",
        "this statement can't be rewritten safely",
        at=int(node.get("location", draft.statement.start)),
    )
