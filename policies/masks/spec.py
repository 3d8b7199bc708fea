"""What an operator may write as a mask: kinds, their parameters, and which of two masks hides more.

It must not know columns' types (see `targets`) nor how a mask is computed (see `stream` and `source`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from policies.errors import PoliciesError
from policies.expressions import ExpressionError, check_expression
from policies.model import MaskSpec


class MaskError(PoliciesError):
    """A mask that can't be used as it is written, or not on this column. The text is for the operator."""


class Kind(StrEnum):
    """The kinds that work, from the one that hides most to the one that may hide least."""

    NULLIFY = "nullify"
    REDACT = "redact"
    CONSTANT = "constant"
    HASH = "hash"
    TRUNCATE = "truncate"
    EMAIL = "email"
    PARTIAL = "partial"
    SQL = "sql"


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
    return _STRENGTH[kind], _shown(kind, spec), repr(sorted(spec.parameters))


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


_PARAMETERS: Mapping[Kind, Mapping[str, _Parameter]] = MappingProxyType(
    {
        Kind.NULLIFY: {},
        Kind.REDACT: {},
        Kind.CONSTANT: {"value": _Parameter(_anything, is_required=True)},
        Kind.HASH: {"salt": _Parameter(text_problem)},
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
