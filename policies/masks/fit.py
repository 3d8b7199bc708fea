"""Whether a mask can yield valid values of a column's type: checked when policies and catalog meet.

It must not know how masks are computed beyond what they yield.
"""

from __future__ import annotations

from decimal import Decimal

from policies.masks import constants
from policies.masks.fit_keyed import check_keyed, refuse_type
from policies.masks.spec import KEYED, UNITS, Kind, MaskError, check_spec, decimal_of, kind_of
from policies.masks.targets import TEXTS, Family, Target, target_of
from policies.model import MaskSpec

_HASH_DIGITS = 64
_TIMES = frozenset({Family.TIMESTAMP, Family.TIMESTAMPTZ})

# Bounds within which floor(x / bucket) * bucket can't overflow double precision.
_FLOAT_BUCKETS = (Decimal("1e-6"), Decimal("1e15"))


def check_type(spec: MaskSpec, type_oid: int, type_name: str) -> None:
    """Raises MaskError when the mask can't yield a valid value of the type, or isn't valid itself.

    `type_oid` is the base type's for a domain; `type_name` is format_type's text.
    """
    check_spec(spec)
    kind = kind_of(spec)
    if kind is Kind.NULLIFY:
        return
    target = target_of(type_oid, type_name)
    if target is None:
        if kind is Kind.SQL:
            return  # the server says whether the expression is of the type
        raise MaskError(f"mask {kind} doesn't work on type {type_name}; nullify and sql do")
    match kind:
        case Kind.REDACT:
            constants.redacted(target)
        case Kind.CONSTANT:
            constants.constant(target, spec.get("value"))
        case Kind.PARTIAL | Kind.EMAIL if target.family not in TEXTS:
            refuse_type(kind, type_name, "it works on texts and arrays of texts")
        case Kind.HASH:
            _check_hash(target, type_name)
        case kind if kind in KEYED:
            check_keyed(kind, spec, target, type_name)
        case Kind.TRUNCATE if spec.get("unit") is not None:
            _check_unit(target, type_name, spec.get("unit"))
        case Kind.TRUNCATE:
            _check_bucket(target, type_name, decimal_of(spec.get("bucket")) or Decimal(0))


def _check_hash(target: Target, type_name: str) -> None:
    if target.family not in TEXTS | {Family.UUID, Family.BYTEA}:
        refuse_type(Kind.HASH, type_name, "it works on texts, arrays of texts, uuid and bytea")
    if target.length is not None and target.length < _HASH_DIGITS:
        refuse_type(Kind.HASH, type_name, f"a hash has {_HASH_DIGITS} characters")


def _check_unit(target: Target, type_name: str, unit: str) -> None:
    if target.family in _TIMES:
        return
    if target.family is not Family.DATE:
        refuse_type(Kind.TRUNCATE, type_name, "a unit is for dates and times; numbers take a bucket")
    if UNITS.index(unit) >= UNITS.index("day"):
        refuse_type(Kind.TRUNCATE, type_name, f"truncating a date to the {unit} would show it as it is")


def _check_bucket(target: Target, type_name: str, bucket: Decimal) -> None:
    match target.family:
        case Family.INTEGER:
            if bucket != bucket.to_integral_value() or bucket < 2 or bucket > -target.smallest:
                refuse_type(Kind.TRUNCATE, type_name, f"a bucket is a whole number from 2 to {-target.smallest}")
        case Family.NUMERIC:
            _check_numeric_bucket(target, type_name, bucket)
        case Family.FLOAT:
            if not _FLOAT_BUCKETS[0] <= bucket <= _FLOAT_BUCKETS[1]:
                refuse_type(Kind.TRUNCATE, type_name, "a bucket is a number from 1e-6 to 1e15")
        case _:
            refuse_type(Kind.TRUNCATE, type_name, "a bucket is for numbers; dates and times take a unit")


def _check_numeric_bucket(target: Target, type_name: str, bucket: Decimal) -> None:
    """A bucket must be a multiple of the type's smallest step, or its edges wouldn't be values of the
    type."""
    if not -30 <= bucket.adjusted() <= 30 or len(bucket.as_tuple().digits) > 28:
        refuse_type(Kind.TRUNCATE, type_name, "a bucket is a number from 1e-30 to 1e30")
    if not target.modifiers:
        return
    step = Decimal(1).scaleb(-target.modifiers[1])
    if bucket <= step or bucket % step:
        refuse_type(Kind.TRUNCATE, type_name, f"a bucket is a multiple of {step:f}, and larger")
