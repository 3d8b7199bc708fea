"""Every function that PostgreSQL brings, by name and argument types, with the class that a review gave it.

The table stands in data/functions.tsv, one line for each row of pg_proc of PostgreSQL 15 and 18; tests hold it against
the servers. It knows nothing of statements, policies and users' functions.

The server chooses among overloads by the types of the arguments, which a text alone doesn't tell. So a call is judged
by all overloads that take as many arguments: a name may be called when each of them may.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files


class FunctionClass(StrEnum):
    """What a function does beyond its result; see REASONS for those that a restricted statement may not call."""

    PURE = "pure"  # its arguments decide the result, and it fails for no row
    MAY_FAIL = "may-fail"  # its arguments decide the result, or the error
    SETTINGS = "reads-settings"  # also the clock, the session's own state, chance
    CATALOGS = "reads-catalogs"  # names, types and rights that say nothing of a row
    GUARDED = "guarded"  # allowed in the forms that a rule of its own checks or edits
    FILES = "reads-files"
    SQL = "runs-sql"
    STATE = "changes-state"
    SERVER = "tells-server"
    SESSION = "tells-session"
    STATISTICS = "tells-statistics"
    DEFINITIONS = "tells-definitions"
    PLUMBING = "plumbing"


ALLOWED_CLASSES = frozenset(
    {FunctionClass.PURE, FunctionClass.MAY_FAIL, FunctionClass.SETTINGS, FunctionClass.CATALOGS}
)

# To be read after "it"; and what lets the statement pass.
REASONS: Mapping[FunctionClass, tuple[str, str]] = {
    FunctionClass.FILES: ("reads or lists files of the server", "Only an allow-everything policy lets it run."),
    FunctionClass.SQL: (
        "runs SQL that stands in a text, or reads a table by its name",
        "Write the query itself instead of its text.",
    ),
    FunctionClass.STATE: (
        "changes the state of the server or the session, or holds it up",
        "Only an allow-everything policy lets it run.",
    ),
    FunctionClass.SERVER: (
        "tells about the server itself: its log, its replication, its addresses",
        "Only an allow-everything policy lets it run.",
    ),
    FunctionClass.SESSION: (
        "tells about sequences, transactions, locks, cursors or sessions",
        "Only an allow-everything policy lets it run.",
    ),
    FunctionClass.STATISTICS: (
        "tells statistics about rows, or about other sessions",
        "Count what the policy shows, with a query.",
    ),
    FunctionClass.DEFINITIONS: (
        "tells about objects, by number or name, what the catalogs' guards hide",
        "Read the catalog that describes the object.",
    ),
    FunctionClass.PLUMBING: (
        "is the server's own plumbing of types, operators, indexes and languages",
        "Use the operator, cast or aggregate that is made of it.",
    ),
    FunctionClass.GUARDED: ("is allowed in reviewed forms only", "Call it with plain positional arguments."),
}


@dataclass(frozen=True, slots=True)
class Signature:
    """`arguments`: names of types, as in pg_type.typname; the last `defaults` of them may be left out.

    `results`: the type it gives, or those of its output columns.
    """

    arguments: tuple[str, ...]
    results: tuple[str, ...]
    kind: FunctionClass
    defaults: int = 0
    is_variadic: bool = False

    def takes(self, count: int) -> bool:
        """Whether a call with `count` arguments may mean this one."""
        most = len(self.arguments)
        if self.is_variadic:
            return count >= most - 1 - self.defaults
        return most - self.defaults <= count <= most


def signatures(name: str, count: int | None = None, schema: str = "pg_catalog") -> tuple[Signature, ...]:
    """The overloads that a call may mean, all of the name's where none takes so many; empty for no built-in.

    A version between the reviewed ones may have had another overload: the server refuses, or it is one of this name.
    """
    found = _TABLE.get(name if schema == "pg_catalog" else f"{schema}.{name}", ())
    return tuple(one for one in found if count is None or one.takes(count)) or found


def is_allowed(name: str, count: int | None = None, schema: str = "pg_catalog") -> bool:
    """Whether a restricted statement may call the built-in of this name with so many arguments."""
    found = signatures(name, count, schema)
    return bool(found) and all(one.kind in ALLOWED_CLASSES for one in found)


def is_pure(name: str, count: int, types: frozenset[str]) -> bool:
    """Whether no row can make such a call fail, when what comes from rows is of these types (their names)."""
    found = [one for one in signatures(name, count) if not types.isdisjoint(one.arguments)]
    return bool(found) and all(one.kind is FunctionClass.PURE for one in found)


def results(name: str, count: int | None = None) -> frozenset[str]:
    """Names of all types that such a call may give; empty for no built-in."""
    return frozenset(result for one in signatures(name, count) for result in one.results)


def refusal_of(name: str, count: int | None = None, schema: str = "pg_catalog") -> tuple[str, str]:
    """Why a built-in is refused, to be read after "it", and a hint; two empty texts when it is none."""
    refused = [one.kind for one in signatures(name, count, schema) if one.kind not in ALLOWED_CLASSES]
    return REASONS[refused[0]] if refused else ("", "")


def parse_line(line: str) -> tuple[str, Signature]:
    """A line of the table. Raises ValueError for one that nobody reviewed."""
    name, given, result, _, kind = line.split("\t")
    words = given.split(",") if given else []
    return name, Signature(
        arguments=tuple(word.removeprefix("...").removesuffix("=") for word in words),
        results=tuple(result.split("+")),
        kind=FunctionClass(kind),
        defaults=sum(word.endswith("=") for word in words),
        is_variadic=bool(words) and words[-1].startswith("..."),
    )


def table_lines() -> list[str]:
    """name, arguments, result, versions of the server, class; separated by tabs."""
    return files("policies.compile").joinpath("data/functions.tsv").read_text("utf-8").splitlines()


def _read(lines: Iterable[str]) -> Mapping[str, tuple[Signature, ...]]:
    found: dict[str, list[Signature]] = defaultdict(list)
    for name, signature in map(parse_line, lines):
        found[name].append(signature)
    return {name: tuple(dict.fromkeys(listed)) for name, listed in found.items()}


_TABLE = _read(table_lines())
ALLOWED_NAMES: frozenset[str] = frozenset(name for name in _TABLE if is_allowed(name))
