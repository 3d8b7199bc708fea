"""VECTORS.md, made from the vectors themselves: ``python -m tests.security.vectors_table`` writes it anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.security.special import SPECIAL, Special
from tests.security.vector import Allowed, Refused, Vector
from tests.security.vectors import CONVERSATIONS, VECTORS

FILE = Path(__file__).with_name("VECTORS.md")
_LONGEST = 110
_HEAD = """# Ways of asking for what the policy hides

Every hidden cell of the test database holds a unique value. Each way below is tried through a running pgwarden on each
PostgreSQL, as a principal that may only select, or as `wes` who may also write, copy, declare and prepare, and as one
to whom every kind of statement is granted; every byte that comes back is searched for those values in text, reversed,
in hex, in base64 and in binary form. "same as on the copy" also compares the answer with that of a database from which
everything hidden was removed beforehand, which finds what leaks by counting, ordering, guessing or failing.

This file is made by `python -m tests.security.vectors_table`; a test holds it against the data.

| # | way | asked | defence | answer | test |
|--:|---|---|---|---|---|
"""


def rows() -> Iterator[tuple[str, ...]]:
    """One per vector: name, what is asked, defence, answer, test id."""
    for vector in VECTORS:
        function = "test_conversation" if vector in CONVERSATIONS else "test_text"
        test = f"tests/security/test_vectors.py::{function}[*-{vector.name}]"
        yield vector.name, _asked(vector), vector.defence, _answer(vector), test
    for special in SPECIAL:
        yield special.name, special.way, special.defence, "clean", _special_test(special)


def _special_test(special: Special) -> str:
    return f"tests/{special.file}::{special.test}"


def _asked(vector: Vector) -> str:
    who = "" if vector.user == "ada" else f" as {vector.user}"
    if not isinstance(vector.ask, str):
        return f"a conversation{who}"
    text = vector.ask if len(vector.ask) <= _LONGEST else vector.ask[:_LONGEST] + "…"
    return "`" + text.replace("|", "\\|").replace("`", "'").replace("\n", " ").replace("\r", " ") + f"`{who}"


def _answer(vector: Vector) -> str:
    match vector.expected:
        case Refused() as refused:
            return "refused: " + ", ".join(refused.sqlstates)
        case Allowed() as allowed:
            return str(allowed)


def table() -> str:
    lines = (f"| {number} | {' | '.join(row)} |" for number, row in enumerate(rows(), 1))
    return _HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    FILE.write_text(table(), "utf-8")
