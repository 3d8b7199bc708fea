"""What several policies say of one masked column, as one rule. Pure; must not know how a mask is computed."""

from __future__ import annotations

from dataclasses import replace

from policies.masks import stronger
from policies.model import MaskRule


def merge_masks(known: MaskRule | None, other: MaskRule) -> MaskRule:
    """The stronger mask with the uses that both rules allow and the smaller number of probes.

    Of equal masks the first rule is named.
    """
    if known is None:
        return other
    winner = known if stronger(known.mask, other.mask) == known.mask else other
    caps = [rule.probes_per_hour for rule in (known, other) if rule.probes_per_hour is not None]
    return replace(winner, uses=known.uses & other.uses, probes_per_hour=min(caps, default=None))
