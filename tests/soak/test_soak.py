"""The long run in short: the same traffic, the same books."""

from tests.fix_pgwarden import MakePgwarden
from tests.soak.run import Plan, soak
from tests.soak.turns import TURNS


def test_mixed_traffic_leaves_complete_books(make_pgwarden: MakePgwarden) -> None:
    outcome = soak(make_pgwarden(), Plan(seconds=15.0, clients=6, idle=5, edit_s=2.0))
    assert outcome.problems == []
    assert outcome.verified.startswith("everything holds")
    assert outcome.tally.statements > 100
    assert len(outcome.tally.turns) > len(TURNS) // 2
    assert outcome.tally.refused.total() <= outcome.tally.statements
    before, after = outcome.files_at_rest
    assert after <= before + 8
