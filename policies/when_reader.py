"""Reads `when`: networks, hours, days and the time zone they are meant in. Knows no clock.

Names of time zones are those of the IANA data base; names that mean something else on each machine are refused.
"""

from __future__ import annotations

import re
from functools import cache
from zoneinfo import available_timezones

from policies.circumstances import parse_network
from policies.errors import PoliciesError
from policies.fields import Fields, closest
from policies.model import When
from policies.yaml_nodes import Node, Scalar

KEYS = ("cidr", "hours", "days", "timezone")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HOURS_PATTERN = r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-4]):([0-5][0-9])"
LAST_MINUTE = 24 * 60

_HOURS = re.compile(HOURS_PATTERN + r"\Z", re.ASCII)
_OF_THE_MACHINE = frozenset({"localtime", "posixrules", "Factory"})


class _UnusableError(PoliciesError):
    pass


def read_when(fields: Fields, node: Node | None) -> When | None:
    """None when there is nothing to read. A `when` that asks nothing is a problem: it would look like a restriction."""
    if node is None:
        return None
    entries = fields.mapping(node, "'when'", KEYS)
    if entries is None:
        return None
    when = When(
        cidr=_cidr(fields, entries.get("cidr")),
        hours=_hours(fields, entries.get("hours")),
        days=frozenset(day for _, day in fields.parsed(entries.get("days"), "'when.days'", _day)),
        timezone=read_timezone(fields, entries.get("timezone"), "'when.timezone'"),
    )
    if not entries.keys() & {"cidr", "hours", "days"}:
        fields.report(node, "'when' needs one of cidr, hours and days")
    _report_empty(fields, entries)
    return when


def _report_empty(fields: Fields, entries: dict[str, Node]) -> None:
    """An empty list would hold always, which nobody means who writes it."""
    for key in ("cidr", "days"):
        node = entries.get(key)
        if node is not None and getattr(node, "items", None) == ():
            fields.report(node, f"'when.{key}' is empty; leave it out to mean any")


def _cidr(fields: Fields, node: Node | None) -> tuple[str, ...]:
    if isinstance(node, Scalar):
        text = fields.text(node, "'when.cidr'")
        network = fields.attempt(node, lambda: _network(text)) if text else None
        return (network,) if network else ()
    return tuple(network for _, network in fields.parsed(node, "'when.cidr'", _network))


def _network(text: str) -> str:
    try:
        return str(parse_network(text.strip()))
    except ValueError:
        raise _UnusableError(
            f"{text!r} is no network such as 10.0.0.0/8 or fd00::/8{_without_host_bits(text)}"
        ) from None


def _without_host_bits(text: str) -> str:
    address, _, length = text.strip().partition("/")
    try:
        bits = parse_network(address).max_prefixlen - int(length)
        network = parse_network(address).supernet(new_prefix=int(length))
    except ValueError:
        return ""
    return f"; did you mean {str(network)!r}?" if bits >= 0 else ""


def _hours(fields: Fields, node: Node | None) -> tuple[int, int] | None:
    text = fields.text(node, "'when.hours'")
    return fields.attempt(node, lambda: _minutes(text)) if node and text else None


def _minutes(text: str) -> tuple[int, int]:
    match = _HOURS.match(text.strip())
    if match is None:
        raise _UnusableError(f"{text!r} are no hours; write 07:00-20:00, or 22:00-06:00 for over midnight")
    first, behind = int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])
    if behind > LAST_MINUTE:
        raise _UnusableError(f"{text!r} ends after the day does; the last minute ends at 24:00")
    if first == behind:
        raise _UnusableError(f"{text!r} is no time at all; write 00:00-24:00 for the whole day")
    return first, behind


def _day(text: str) -> int:
    if text not in DAYS:
        raise _UnusableError(f"unknown day {text!r}{closest(text.lower()[:3], DAYS)} (known: {', '.join(DAYS)})")
    return DAYS.index(text)


def read_timezone(fields: Fields, node: Node | None, what: str) -> str:
    """An IANA name; UTC when it is left out, or can't be used."""
    name = fields.text(node, what)
    if node is None or name is None or name == When().timezone:
        return When().timezone
    known = _known_zones()
    if name not in known:
        fields.report(node, f"unknown time zone {name!r}{_closest_zone(name, known)}")
        return When().timezone
    return name


@cache
def _known_zones() -> frozenset[str]:
    """Reads 600 files: once, because a folder is loaded at every edit."""
    return frozenset(available_timezones() - _OF_THE_MACHINE)


def _closest_zone(name: str, known: frozenset[str]) -> str:
    """Also by the city alone, and whatever the case: ``london``, ``europe/london``."""
    wanted = name.lower().replace(" ", "_")
    same = sorted(zone for zone in known if wanted in (zone.lower(), zone.lower().rpartition("/")[2]))
    return f"; did you mean {same[0]!r}?" if same else closest(name, known)
