"""Of two rules for one column: the stronger mask, the uses of both, the smaller cap."""

from policies.mask_rules import merge_masks
from policies.model import ColumnName, MaskRule, MaskSpec, RawUse, RuleId, Source

COLUMN = ColumnName("a", "b", "c")


def rule(name: str, kind: str, uses: set[RawUse], cap: int | None = None) -> MaskRule:
    return MaskRule(COLUMN, MaskSpec(kind), RuleId(name, Source("p.yaml", 1, 1)), frozenset(uses), cap)


def test_the_stronger_mask_keeps_only_shared_uses_and_the_smaller_cap() -> None:
    weak = rule("weak", "email", {RawUse.EQUALITY, RawUse.JOIN}, 5)
    strong = rule("strong", "redact", {RawUse.EQUALITY, RawUse.GROUP}, 9)
    for merged in (merge_masks(weak, strong), merge_masks(strong, weak)):
        assert merged == rule("strong", "redact", {RawUse.EQUALITY}, 5)


def test_one_cap_is_enough_and_one_rule_stays_as_it_is() -> None:
    capped, free = rule("one", "redact", {RawUse.JOIN}, 5), rule("two", "redact", {RawUse.JOIN})
    assert merge_masks(None, capped) is capped
    assert merge_masks(capped, free) == capped
    assert merge_masks(free, capped).probes_per_hour == 5
    assert str(merge_masks(free, capped).rule) == "two"
