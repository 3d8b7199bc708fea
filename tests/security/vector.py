"""One way of asking for what the policy hides: what is asked, what must come of it, and what stands in the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from tests.security.raw_client import Answer, RawClient


class Defence(StrEnum):
    """What keeps the data back; the words of VECTORS.md."""

    GUARD = "the guard stands in the relation's place, so every use of it sees filtered and masked rows"
    SOURCE = "the column is used in an expression, so it is masked in the guard"
    STREAM = "plain output columns are masked in the stream by table OID and column number"
    COPIED = (
        "plain output columns of COPY are masked in the stream by their place, where that and the format are certain"
    )
    FENCE = "a condition that can fail is kept out of the guard by OFFSET 0"
    FUNCTIONS = "functions run by allow-list, attribute notation included"
    STATEMENTS = "kinds of statements need a grant, and what can't be guarded is refused"
    RELATIONS = "relations run by allow-list, found as the server would find them"
    COLUMNS = "a blocked column isn't in the guard, and its name is refused"
    CATALOGS = "system catalogs are filtered or refused one by one"
    SETTINGS = "settings run by allow-list of names and values"
    VIEWS = "views are expanded, so that guards stand inside"
    PARTITIONS = "partitions and children inherit their parent's rules"
    PARSE = "what PostgreSQL's grammar doesn't read is refused, and depth and length are capped"
    PROTOCOL = "every path of the protocol needs a decision, and messages that have none are refused"
    SCRUB = "errors and notices of guarded statements lose the texts that can quote data"
    WRITES = (
        "a write's condition holds the filter, its target is never read raw, RETURNING is masked and rows are checked"
    )
    LINEAGE = "rules follow what they name through renames, and newcomers that look alike are refused"
    LOCKS = "row locks need the update grant"


@dataclass(frozen=True, slots=True)
class Refused:
    """The answer is an error with one of these SQLSTATEs (of classes, when two characters long), and no rows."""

    sqlstates: tuple[str, ...]

    def holds(self, sqlstate: str) -> bool:
        return bool(sqlstate) and sqlstate.startswith(self.sqlstates)


class Allowed(StrEnum):
    """SAME and ORDERED: the answer is the sanitized copy's. CLEAN: an answer or an error, without canaries."""

    SAME = "same as on the copy"
    ORDERED = "same as on the copy, in the same order"
    CLEAN = "clean"


Expected = Refused | Allowed
Ask = str | Callable[[RawClient], list[Answer]]


@dataclass(frozen=True, slots=True)
class Vector:
    """`ask`: SQL, where ``@[label]`` stands for that canary's value, or a function over a client. `user`: who asks;
    ``ada`` may only select, ``wes`` may write, copy, declare, prepare, call and listen under the same rules.
    """

    name: str
    defence: Defence
    expected: Expected
    ask: Ask
    user: str = "ada"


DENIED = Refused(("42501",))
UNPROVEN = Refused(("0A000",))
NO_TABLE = Refused(("42P01",))
BLOCKED = Refused(("42501", "0A000", "42P01"))
NO_COLUMN = Refused(("42501", "42703"))
BROKEN = Refused(("42601", "42"))
SAME, ORDERED, CLEAN = Allowed.SAME, Allowed.ORDERED, Allowed.CLEAN
