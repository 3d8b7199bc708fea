"""Whether a policy's `when` holds for a client's address at a moment. Pure: the moment is passed in.

Hours and days are those of the clock on the wall of the `when`'s time zone. Where summer time makes an hour happen
twice, it counts twice; an hour that is left out doesn't happen. A window over midnight belongs to the day on which it
began: ``hours: "22:00-06:00", days: [fri]`` ends on Saturday at six.
"""

from __future__ import annotations

from datetime import timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from zoneinfo import ZoneInfo

from policies.model import Circumstances, When

_MAPPED_BITS = 96  # ::ffff:0:0/96 holds the IPv4 addresses as a socket for both families shows them


def holds(when: When, circumstances: Circumstances) -> bool:
    """Every part that is given must hold. The answer can change at full minutes only."""
    return _is_from(when, circumstances.address) and _is_at(when, circumstances)


def parse_network(text: str) -> IPv4Network | IPv6Network:
    """A network or a single address. Raises ValueError, also for bits that the mask leaves out."""
    if "%" in text:
        raise ValueError("a zone id has no place in a network")
    network = ip_network(text)
    if isinstance(network, IPv6Network) and network.prefixlen >= _MAPPED_BITS:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))
    return network


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """The address in ``10.0.0.1``, ``10.0.0.1:5432``, ``[::1]:5432`` or ``fe80::1%eth0``; None for a unix socket."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_from(when: When, text: str) -> bool:
    if not when.cidr:
        return True
    address = parse_address(text)
    return address is not None and any(address in parse_network(network) for network in when.cidr)


def _is_at(when: When, circumstances: Circumstances) -> bool:
    if when.hours is None and not when.days:
        return True
    local = circumstances.at.astimezone(ZoneInfo(when.timezone))
    minute = local.hour * 60 + local.minute
    day = local.date()
    if when.hours is not None:
        first, behind = when.hours
        is_over_midnight = behind < first
        if is_over_midnight and minute < behind:
            day -= timedelta(days=1)
        elif not (first <= minute and (is_over_midnight or minute < behind)):
            return False
    return not when.days or day.weekday() in when.days
