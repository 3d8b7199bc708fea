"""What an operator may write as a mask: kinds, their parameters, and which of two masks hides more.

It must not know columns' types (see `targets`) nor how a mask is computed (see `stream` and `source`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from policies.errors import PoliciesError
from policies.expressions import ExpressionError, check_expression
from policies.masks import fakes
from policies.masks.fpe import ALPHABETS
from policies.model import MaskSpec


class MaskError(PoliciesError):
    """A mask that can't be used as it is written, or not on this column. The text is for the operator."""


class Kind(StrEnum):
    """The kinds that work, from the one that hides most to the one that may hide least."""

    NULLIFY = "nullify"
    REDACT = "redact"
    CONSTANT = "constant"
    FAKE = "fake"
    TOKEN = "token"  # noqa: S105 - the name of a kind
    HASH = "hash"
    FPE = "fpe"
    TRUNCATE = "truncate"
    NOISE = "noise"
    EMAIL = "email"
    PARTIAL = "partial"
    SQL = "sql"


# Kinds that need a key. They have no form at the source: a key in a statement would stand in the server's log.
KEYED = frozenset({Kind.FAKE, Kind.TOKEN, Kind.FPE, Kind.NOISE})

# Shorter keys could be found by trying.
MIN_KEY_CHARACTERS = 16
MAX_PREFIX_CHARACTERS = 32

# The largest number of characters a partial mask may keep at one end; it also bounds the SQL literal.
MAX_KEPT = 10_000

# From the coarsest to the finest; all are fields of PostgreSQL's date_trunc.
UNITS = ("year", "quarter", "month", "week", "day", "hour", "minute", "second")

_STRENGTH: Mapping[Kind, int] = MappingProxyType({kind: rank for rank, kind in enumerate(Kind)})


@dataclass(frozen=True, slots=True)
class _Parameter:
    """`problem` returns what is wrong with a value, in words that follow the parameter's name, or None."""

    problem: Callable[[Any], str | None]
    is_required: bool = False


def check_spec(spec: MaskSpec) -> None:
    """Raises MaskError when the kind or a parameter is unknown, missing or has a bad value."""
    kind = kind_of(spec)
    allowed = _PARAMETERS[kind]
    given = dict(spec.parameters)
    for name in given:
        if name not in allowed:
            raise MaskError(f"mask {kind} has no parameter {name!r}{_known(allowed)}")
    for name, parameter in allowed.items():
        _check_parameter(kind, name, parameter, given)
    if kind is Kind.TRUNCATE and ("unit" in given) == ("bucket" in given):
        raise MaskError("mask truncate needs either a unit (dates) or a bucket (numbers)")
    if kind is Kind.NOISE and ("amount" in given) == ("ratio" in given):
        raise MaskError("mask noise needs either an amount or a ratio")


def kind_of(spec: MaskSpec) -> Kind:
    """The mask's kind; raises MaskError when there is none of that name."""
    try:
        return Kind(spec.kind)
    except ValueError:
        known = ", ".join(Kind)
        raise MaskError(f"unknown mask kind {spec.kind!r}; known are {known}") from None


def parameters_of(kind: Kind) -> dict[str, bool]:
    """The names of a kind's parameters, and whether each must be given."""
    return {name: parameter.is_required for name, parameter in _PARAMETERS[kind].items()}


def stronger(a: MaskSpec, b: MaskSpec) -> MaskSpec:
    """The mask that hides more, by kind and then by parameters.

    The order is total, so the result depends neither on the order of policies nor on the run. An operator's
    own SQL counts as the weakest, because nothing can be said about what it shows.
    """
    return min(a, b, key=_weakness)


def _weakness(spec: MaskSpec) -> tuple[int, float, str]:
    kind = kind_of(spec)
    # A secret's text is its name in `repr`, so it counts by its octets; this text goes nowhere.
    parameters = [(name, value.encode() if isinstance(value, str) else value) for name, value in spec.parameters]
    return _STRENGTH[kind], _shown(kind, spec), repr(sorted(parameters, key=lambda parameter: parameter[0]))


def _shown(kind: Kind, spec: MaskSpec) -> float:
    """A measure of what a mask of this kind still shows: comparable only within the kind."""
    match kind:
        case Kind.PARTIAL:
            return float(spec.get("keep_first", 0) + spec.get("keep_last", 0))
        case Kind.HASH:
            return 0.0 if spec.get("salt") else 1.0
        case Kind.TRUNCATE if "unit" in dict(spec.parameters):
            return float(UNITS.index(spec.get("unit")))
        case Kind.TRUNCATE:
            return -float(spec.get("bucket"))
        case Kind.NOISE:
            return -float(spec.get("ratio", 0)) - float(spec.get("amount", 0))
        case _:
            return 0.0


def _known(allowed: Mapping[str, _Parameter]) -> str:
    return f"; it has {', '.join(allowed)}" if allowed else "; it takes none"


def _check_parameter(kind: Kind, name: str, parameter: _Parameter, given: Mapping[str, Any]) -> None:
    if name not in given:
        if parameter.is_required:
            raise MaskError(f"mask {kind} needs the parameter {name!r}")
        return
    problem = parameter.problem(given[name])
    if problem is not None:
        raise MaskError(f"mask {kind}: {name} {problem}")


def _kept(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_KEPT:
        return None
    return f"must be a whole number of characters from 0 to {MAX_KEPT}"


def _fill(value: Any) -> str | None:
    if isinstance(value, str) and len(value) == 1:
        return text_problem(value)
    return "must be exactly one character"


def text_problem(value: Any) -> str | None:
    if not isinstance(value, str):
        return "must be a string"
    if "\0" in value:
        return "must not contain a NUL character, PostgreSQL has none in texts"
    if any("\ud800" <= character <= "\udfff" for character in value):
        return "must be valid Unicode"
    return None


def _unit(value: Any) -> str | None:
    return None if isinstance(value, str) and value in UNITS else f"must be one of {', '.join(UNITS)}"


def _bucket(value: Any) -> str | None:
    number = decimal_of(value)
    if number is not None and number > 0 and math.isfinite(float(number)):
        return None
    return "must be a number above 0"


def _key(value: Any) -> str | None:
    if text_problem(value) is None and len(value) >= MIN_KEY_CHARACTERS:
        return None
    return f"must be a text of at least {MIN_KEY_CHARACTERS} characters"


def _prefix(value: Any) -> str | None:
    if isinstance(value, str) and value.isascii() and value.isprintable() and len(value) <= MAX_PREFIX_CHARACTERS:
        return None
    return f"must be at most {MAX_PREFIX_CHARACTERS} printable ASCII characters"


def _ratio(value: Any) -> str | None:
    number = decimal_of(value)
    return None if number is not None and 0 < number <= 1 else "must be a number above 0, at most 1"


def _one_of(words: Collection[str]) -> Callable[[Any], str | None]:
    return lambda value: None if isinstance(value, str) and value in words else f"must be one of {', '.join(words)}"


def _expression(value: Any) -> str | None:
    if not isinstance(value, str):
        return "must be a string"
    try:
        check_expression(value, has_column=True)
    except ExpressionError as error:
        return f"can't be used: {error}"
    return None


def _anything(value: Any) -> str | None:
    return "must not be null; use kind nullify" if value is None else None


def decimal_of(value: Any) -> Decimal | None:
    """The exact decimal value of a finite number, or of a string that writes one; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


_KEY = _Parameter(_key, is_required=True)
_PARAMETERS: Mapping[Kind, Mapping[str, _Parameter]] = MappingProxyType(
    {
        Kind.NULLIFY: {},
        Kind.REDACT: {},
        Kind.CONSTANT: {"value": _Parameter(_anything, is_required=True)},
        Kind.FAKE: {"key": _KEY, "of": _Parameter(_one_of(fakes.MAKERS), is_required=True)},
        Kind.TOKEN: {"key": _KEY, "prefix": _Parameter(_prefix)},
        Kind.HASH: {"salt": _Parameter(text_problem)},
        Kind.FPE: {"key": _KEY, "alphabet": _Parameter(_one_of(ALPHABETS)), "tweak": _Parameter(text_problem)},
        Kind.NOISE: {"key": _KEY, "amount": _Parameter(_bucket), "ratio": _Parameter(_ratio)},
        Kind.TRUNCATE: {"unit": _Parameter(_unit), "bucket": _Parameter(_bucket)},
        Kind.EMAIL: {},
        Kind.PARTIAL: {
            "keep_first": _Parameter(_kept),
            "keep_last": _Parameter(_kept),
            "fill": _Parameter(_fill),
        },
        Kind.SQL: {"expression": _Parameter(_expression, is_required=True)},
    }
)
