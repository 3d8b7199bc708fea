"""Digests of what policies mean: equal content gives equal digests, whatever its formatting.

Every dataclass becomes a nested list that starts with its name, mappings and sets are sorted, and types stay
apart (``1``, ``True`` and ``"1"`` differ). The text is then hashed with SHA-256.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Set
from dataclasses import fields, is_dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any

from policies.model import Source


def fingerprint_of(*values: Any, with_places: bool = False) -> str:
    """SHA-256 in hex. Places in files count only `with_places`."""
    canonical = json.dumps([_canonical(v, with_places) for v in values], separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _canonical(value: Any, with_places: bool) -> Any:
    match value:
        case Source():
            return str(value) if with_places else None
        case Enum():
            return ["enum", value.value]
        case None | str():
            return value
        case bool() | int() | float():
            return [type(value).__name__, repr(value)]
        case Decimal():
            return ["decimal", str(value.normalize())]
        case date():
            return ["date", value.isoformat()]
        case Mapping():
            return ["map", *([key, _canonical(value[key], with_places)] for key in sorted(value))]
        case Set():
            return ["set", *sorted((_canonical(item, with_places) for item in value), key=json.dumps)]
        case tuple() | list():
            return ["list", *(_canonical(item, with_places) for item in value)]
        case _ if is_dataclass(value):
            parts = (_canonical(getattr(value, field.name), with_places) for field in fields(value))
            return [type(value).__name__, *parts]
        case _:
            raise TypeError(f"no canonical form for {type(value).__name__}")
