"""Reads `limits`: numbers and amounts with their units. Knows nothing of who counts them or when they are reached."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from policies.fields import Fields, closest, kind_of
from policies.model import AtCap, Limits, RuleId
from policies.yaml_nodes import Node, Scalar

KEYS = ("rows", "runtime", "bytes", "concurrent", "statements_per_minute", "cost", "at_cap")
CUT_OFF_KEYS = frozenset({"rows", "bytes"})  # what `at_cap` speaks of

MAXIMUM: Mapping[str, int] = MappingProxyType(
    {"rows": 2**63 - 1, "concurrent": 1_000_000, "statements_per_minute": 1_000_000_000, "bytes": 2**63 - 1}
)
MAX_RUNTIME_MS = 2**31 - 1  # statement_timeout is a 32-bit number of milliseconds
MAX_COST = 1e12

UNITS_MS: Mapping[str, int] = MappingProxyType({"ms": 1, "s": 1_000, "m": 60_000, "min": 60_000, "h": 3_600_000})
UNITS_BYTES: Mapping[str, int] = MappingProxyType(
    {"B": 1}
    | {f"{prefix}B": 1000**power for power, prefix in enumerate("kMGT", start=1)}
    | {f"{prefix}iB": 1024**power for power, prefix in enumerate("KMGT", start=1)}
)
AMOUNT_PATTERN = r"(0*[1-9][0-9]{0,18})\s*"

_AMOUNT = re.compile(AMOUNT_PATTERN + r"([A-Za-z]+)\Z", re.ASCII)


def read_limits(fields: Fields, policy: str, node: Node | None) -> Limits:
    """What is unusable is reported and left None: a set with problems is never used."""
    entries = fields.mapping(node, "'limits'", KEYS) if node else None
    limits = Limits()
    for key, value_node in (entries or {}).items():
        if key == "at_cap":
            continue
        value = _value(fields, key, value_node)
        rule = RuleId(f"{policy}/limits.{key}", value_node.source)
        name = "runtime_s" if key == "runtime" else key
        found: dict[str, Any] = {name: value, f"{key}_rule": rule}
        limits = replace(limits, **found)
    at_cap = (entries or {}).get("at_cap")
    return limits if at_cap is None else replace(limits, at_cap=_at_cap(fields, at_cap, entries or {}))


def _value(fields: Fields, key: str, node: Node) -> float | None:
    what = f"'limits.{key}'"
    match key:
        case "runtime":
            runtime_ms = amount_of(node, UNITS_MS)
            if 1 <= runtime_ms <= MAX_RUNTIME_MS:
                return runtime_ms / 1000
            form = "must be a time with its unit, such as 500ms, 30s, 5m or 1h, above 0 and below 24 days"
            fields.report(node, f"{what} {form}")
            return None
        case "bytes":
            count = amount_of(node, UNITS_BYTES)
            if 1 <= count <= MAXIMUM[key]:
                return count
            fields.report(
                node, f"{what} must be a size with its unit ({', '.join(UNITS_BYTES)}), such as 1GiB, above 0"
            )
            return None
        case "cost":
            return _cost(fields, node, what)
        case _:
            return fields.whole_number(node, what, MAXIMUM[key])


def amount_of(node: Node, units: Mapping[str, int]) -> int:
    """A number with its unit, in the units' own measure; 0 for anything that isn't one."""
    text = node.value if isinstance(node, Scalar) else None
    match = _AMOUNT.match(text) if isinstance(text, str) else None
    return int(match[1]) * units.get(match[2], 0) if match else 0


def _cost(fields: Fields, node: Node, what: str) -> float | None:
    value = node.value if isinstance(node, Scalar) else None
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= MAX_COST:
        return float(value)
    fields.report(node, f"{what} must be a number above 0, in the currency of the prices, not {kind_of(node)}")
    return None


def _at_cap(fields: Fields, node: Node, entries: Mapping[str, Node]) -> AtCap:
    text = fields.text(node, "'limits.at_cap'")
    if not entries.keys() & CUT_OFF_KEYS:
        fields.report(node, "'limits.at_cap' says what happens at a limit of rows or bytes; give one of them")
    if text is not None and text not in list(AtCap):
        known = ", ".join(AtCap)
        fields.report(node, f"unknown 'limits.at_cap' {text!r}{closest(text, AtCap)} (known: {known})")
        return AtCap.ERROR
    return AtCap(text) if text is not None else AtCap.ERROR
