"""Whether a mask with a key can yield valid values of a column's type. It must not know how they are computed."""

from __future__ import annotations

from decimal import Decimal
from typing import NoReturn

from policies.masks import fakes
from policies.masks.spec import Kind, MaskError, decimal_of
from policies.masks.targets import TEXTS, Family, Target
from policies.model import MaskSpec

_TOKEN_DIGITS = 32


def refuse_type(kind: Kind, type_name: str, reason: str) -> NoReturn:
    raise MaskError(f"mask {kind} doesn't fit type {type_name}: {reason}")


def check_keyed(kind: Kind, spec: MaskSpec, target: Target, type_name: str) -> None:
    """Raises MaskError."""
    match kind:
        case Kind.TOKEN:
            _check_token(spec, target, type_name)
        case Kind.FAKE:
            _check_fake(spec, target, type_name)
        case Kind.FPE:
            _check_fpe(spec, target, type_name)
        case _:
            _check_noise(spec, target, type_name)


def _check_token(spec: MaskSpec, target: Target, type_name: str) -> None:
    if target.family is Family.INTEGER and target.size < 8:
        refuse_type(Kind.TOKEN, type_name, "its tokens would often be equal; a bigint has room")
    if target.family not in TEXTS | {Family.UUID, Family.BYTEA, Family.INTEGER}:
        refuse_type(Kind.TOKEN, type_name, "it works on texts, arrays of texts, uuid, bytea and bigint")
    if target.family not in TEXTS and spec.get("prefix"):
        refuse_type(Kind.TOKEN, type_name, "only texts can have a prefix")
    needed = len(spec.get("prefix", "")) + _TOKEN_DIGITS
    if target.length is not None and target.length < needed:
        refuse_type(Kind.TOKEN, type_name, f"a token has {needed} characters")


def _check_fake(spec: MaskSpec, target: Target, type_name: str) -> None:
    if target.family not in TEXTS:
        refuse_type(Kind.FAKE, type_name, "it works on texts and arrays of texts")
    needed = fakes.LONGEST[spec.get("of")]
    if target.length is not None and target.length < needed:
        refuse_type(Kind.FAKE, type_name, f"an invented {spec.get('of')} has up to {needed} characters")


def _check_fpe(spec: MaskSpec, target: Target, type_name: str) -> None:
    if target.family is Family.INTEGER:
        if target.size < 4:
            refuse_type(Kind.FPE, type_name, "its values are so few that all could be tried")
        if spec.get("alphabet", "digits") != "digits":
            refuse_type(Kind.FPE, type_name, "a number has digits only")
    elif target.family not in TEXTS:
        refuse_type(Kind.FPE, type_name, "it works on texts, arrays of texts, integer and bigint")


def _check_noise(spec: MaskSpec, target: Target, type_name: str) -> None:
    if target.family not in (Family.INTEGER, Family.NUMERIC):
        refuse_type(Kind.NOISE, type_name, "it works on whole numbers and numeric, whose text no setting changes")
    amount = decimal_of(spec.get("amount"))
    if amount is None:
        return
    step = Decimal(1) if target.family is Family.INTEGER else _step(target)
    if amount < step:
        refuse_type(Kind.NOISE, type_name, f"an amount below {step:f} would show most values as they are")
    if amount.adjusted() > 30 or len(amount.as_tuple().digits) > 30:
        refuse_type(Kind.NOISE, type_name, "an amount is a number up to 1e30")


def _step(target: Target) -> Decimal:
    return Decimal(1).scaleb(-target.modifiers[1]) if target.modifiers else Decimal(0)
