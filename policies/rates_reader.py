"""Reads `rates` and `tiers`: whose statements share a bucket, and what keys of a tier may use. Counts nothing."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from policies.fields import Fields, closest, kind_of
from policies.model import Principal, RuleId
from policies.rates import Rate, RateSubject
from policies.tiers import Tier, TierName
from policies.yaml_nodes import Mapping as MappingNode
from policies.yaml_nodes import Node, Scalar

SUBJECTS: Final = (RateSubject.TENANT, RateSubject.TEAM, RateSubject.USER)
SUBJECT_KEYS: Final = (*(subject.value for subject in SUBJECTS), "each")
PACE_KEYS: Final = ("per_second", "burst")
RATE_KEYS: Final = (*SUBJECT_KEYS, *PACE_KEYS)
TIER_KEYS: Final = ("statements_per_month", "cost_per_month", *PACE_KEYS)
LEAST_PER_SECOND: Final = 0.001
MOST_PER_SECOND: Final = 1_000_000.0
MOST_BURST: Final = 1_000_000
MOST_STATEMENTS: Final = 10**15
LEAST_COST: Final = 0.000001
MOST_COST: Final = 10**9

Names = Mapping[RateSubject, Collection[str]]


def names_of(principals: Iterable[Principal]) -> Names:
    """Who there is."""
    found: dict[RateSubject, set[str]] = {subject: set() for subject in SUBJECTS}
    for principal in principals:
        found[RateSubject.USER].add(principal.user)
        found[RateSubject.TENANT].update(filter(None, [principal.tenant]))
        found[RateSubject.TEAM].update(filter(None, [principal.team]))
    return MappingProxyType(found)


def read_rates(fields: Fields, nodes: Iterable[Node], names: Names) -> tuple[Rate, ...]:
    """In the order of the files: rule ids count from 0 through all of them."""
    found = (_rate(fields, node, f"rates[{index}]", names) for index, node in enumerate(nodes))
    return tuple(rate for rate in found if rate is not None)


def _rate(fields: Fields, node: Node, rule: str, names: Names) -> Rate | None:
    entries = fields.mapping(node, "a rate", RATE_KEYS)
    if entries is None:
        return None
    fields.require(entries, "per_second", "a rate", node)
    subject = _subject(fields, entries, node, names)
    return None if subject is None else _pace(fields, entries, *subject, RuleId(rule, node.source))


def _subject(
    fields: Fields, entries: Mapping[str, Node], node: Node, names: Names
) -> tuple[RateSubject, str | None] | None:
    given = [key for key in SUBJECT_KEYS if key in entries]
    if len(given) != 1:
        fields.report(node, f"a rate needs one of {', '.join(map(repr, SUBJECT_KEYS))}")
        return None
    (key,) = given
    name = fields.text(entries[key], f"'{key}'")
    if name is None:
        return None
    known: Collection[str] = [subject.value for subject in SUBJECTS] if key == "each" else names[RateSubject(key)]
    if name not in known:
        what = "'each' must be tenant, team or user, not" if key == "each" else f"no principal has {key}"
        fields.report(entries[key], f"{what} {name!r}{closest(name, known)}")
        return None
    return (RateSubject(name), None) if key == "each" else (RateSubject(key), name)


def _pace(
    fields: Fields, entries: Mapping[str, Node], subject: RateSubject, name: str | None, rule: RuleId
) -> Rate | None:
    node = entries.get("per_second")
    per_second = None if node is None else _number(fields, node, "'per_second'", LEAST_PER_SECOND, MOST_PER_SECOND)
    if per_second is None:
        return None
    burst = max(1, math.ceil(per_second))
    if "burst" in entries:
        burst = fields.whole_number(entries["burst"], "'burst'", MOST_BURST) or burst
    return Rate(subject, name, float(per_second), burst, rule)


def read_tiers(fields: Fields, sections: Iterable[Node]) -> dict[TierName, Tier]:
    tiers: dict[TierName, Tier] = {}
    for section in sections:
        if not isinstance(section, MappingNode):
            fields.report(section, f"'tiers' must be a mapping of tiers to quotas, not {kind_of(section)}")
            continue
        for key, node in section.entries:
            if key.text not in list(TierName):
                fields.report(
                    key, f"unknown tier {key.text!r}{closest(key.text, TierName)} (known: {', '.join(TierName)})"
                )
            elif key.text in tiers:
                fields.report(
                    key, f"tier {key.text!r} is defined twice (first at {tiers[TierName(key.text)].rule.source})"
                )
            else:
                tiers[TierName(key.text)] = _tier(fields, TierName(key.text), node)
    return tiers


def _tier(fields: Fields, name: TierName, node: Node) -> Tier:
    rule = RuleId(f"tiers.{name}", node.source)
    entries = fields.mapping(node, f"tier {name.value!r}", TIER_KEYS) or {}
    statements = entries.get("statements_per_month")
    cost = entries.get("cost_per_month")
    if "burst" in entries and "per_second" not in entries:
        fields.report(entries["burst"], "'burst' needs 'per_second'")
    amount = None if cost is None else _number(fields, cost, "'cost_per_month'", LEAST_COST, MOST_COST)
    return Tier(
        name=name,
        rule=rule,
        statements_per_month=None
        if statements is None
        else fields.whole_number(statements, "'statements_per_month'", MOST_STATEMENTS),
        cost_per_month=None if amount is None else Decimal(str(amount)),
        rate=_pace(fields, entries, RateSubject.KEY, None, rule),
    )


def _number(fields: Fields, node: Node, what: str, least: float, most: float) -> float | None:
    value = node.value if isinstance(node, Scalar) else None
    if isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most:
        return value
    fields.report(node, f"{what} must be a number from {least:g} to {most:g}, not {kind_of(node)}")
    return None
