"""What API keys use, counted in a file that processes share: over kills, the end of a month and damaged files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from audit.api_keys import StoredKey
from audit.cost import price_list
from audit.lines import Lines
from audit.record import Record, Stage
from policies.limits import Limit
from policies.model import PolicySet, Principal, RuleId, Source
from policies.prices import PriceBook
from policies.rates import LocalBuckets, Rate, RateSubject
from policies.tiers import Tier, TierName, Uses, next_month
from proxy.allowances import Allowances
from proxy.key_ring import KeyRing
from proxy.quotas import FILE_NAME, Quotas
from proxy.session.ports import Allowance, Spent

ROOT = Path(__file__).parents[2]
NOVEMBER, DECEMBER = date(2026, 11, 1), date(2026, 12, 1)
KEY = "pgw_k3x9a2bq"
RULE = RuleId("tiers.pro", Source("p.yaml", 4, 8))
END_OF_NOVEMBER_S = 1_796_083_200.0  # 2026-12-01 00:00 UTC


@pytest.fixture
def quotas(tmp_path: Path) -> Iterator[Quotas]:
    made = Quotas.prepare(tmp_path)
    yield made
    made.close()


def used(quotas: Quotas) -> dict[tuple[str, date], Uses]:
    return {(one.id, one.month): one.uses for one in quotas.counted()}


def test_counts_and_the_counters_name_outlive_the_process(quotas: Quotas, tmp_path: Path) -> None:
    quotas.add(KEY, NOVEMBER, Uses(3, 70))
    quotas.add(KEY, DECEMBER, Uses(1, 0))
    quotas.confirmed_s = 77
    again = Quotas.prepare(tmp_path)
    assert (again.counter, again.confirmed_s) == (quotas.counter, 77)
    assert used(again) == {(KEY, NOVEMBER): Uses(3, 70), (KEY, DECEMBER): Uses(1, 0)}
    again.close()


@pytest.mark.parametrize("damage", [b"", b"x" * 100, None])
def test_a_file_that_is_no_such_file_begins_anew_under_another_name(
    tmp_path: Path, damage: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    first = Quotas.prepare(tmp_path)
    name = first.counter
    first.close()
    path = tmp_path / FILE_NAME
    path.write_bytes(path.read_bytes()[8:] + bytes(8) if damage is None else damage)
    again = Quotas.prepare(tmp_path)
    assert again.counter != name
    assert used(again) == {}
    assert "can't be read" in caplog.text
    again.close()


def test_a_slot_is_taken_again_two_months_later_and_not_before(quotas: Quotas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.quotas._SLOTS", 1)
    october = quotas.slot(KEY, date(2026, 10, 1))
    assert october is not None
    assert quotas.slot(KEY, NOVEMBER) is None
    december = quotas.slot(KEY, DECEMBER)
    assert december is not None
    assert (october.is_mine, december.is_mine) == (False, True)


def test_only_a_keys_id_has_a_slot(quotas: Quotas) -> None:
    for text in ("", "x" * 17, "schlüssel"):
        with pytest.raises(ValueError):
            quotas.slot(text, NOVEMBER)


# what is allowed


def allowance(quotas: Quotas, tier: Tier | None, clock: list[float], elsewhere: int = 0) -> Allowance:
    ring = KeyRing()
    ring.replace([StoredKey(KEY, "00", "ci", "pro")])
    ring.set_elsewhere(NOVEMBER, {KEY: (elsewhere, 0)})
    made = Allowances(LocalBuckets(), ring, quotas, lambda: int(clock[0] * 1e9), lambda: clock[0])
    tiers = {} if tier is None else {TierName.PRO: tier}
    policies = PolicySet({}, (), {}, PriceBook(), "f", tiers=tiers)
    found = made.of(policies, Principal("ci"), KEY)
    assert found is not None
    return found


def lines(per_second: float) -> Lines:
    return Lines(Record(stage=Stage.INTENT), Record(stage=Stage.OUTCOME), price_list(per_second, currency="USD"))


def test_the_last_statement_of_a_month_and_the_first_of_the_next(quotas: Quotas) -> None:
    clock = [END_OF_NOVEMBER_S - 1]
    one = allowance(quotas, Tier(TierName.PRO, RULE, statements_per_month=5), clock, elsewhere=2)
    assert [one.take(1), one.take(2)] == [None, None]
    refused = one.take(1)
    assert refused is not None
    limit, refusal = refused
    assert (limit, refusal.sqlstate, refusal.rule) == (Limit.KEY_QUOTA, "53400", "tiers.pro")
    assert refusal.message == f"API key {KEY} has begun its 5 statements of 2026-11"
    assert refusal.hint == "Try again from 2026-12-01 00:00 UTC on."
    one.give_back(1)
    assert one.take(1) is None
    clock[0] = END_OF_NOVEMBER_S
    assert one.take(5) is None
    clock[0] -= 1
    assert one.take(1) is not None
    assert used(quotas) == {(KEY, NOVEMBER): Uses(3), (KEY, DECEMBER): Uses(5)}


def test_a_cost_that_is_reached_stops_the_next_statement(quotas: Quotas) -> None:
    one = allowance(quotas, Tier(TierName.PRO, RULE, cost_per_month=Decimal("0.5")), [END_OF_NOVEMBER_S - 9])
    assert one.take(1) is None
    one.spend(lines(1), Spent(1, 0, 499_999))
    assert one.take(1) is None
    one.spend(lines(1), Spent(1, 0, 2, "", 0))
    refused = one.take(1)
    assert refused is not None
    assert refused[1].message == f"API key {KEY} has used up its 0.5 USD of 2026-11"
    assert used(quotas)[KEY, NOVEMBER] == Uses(2, 500_001_000)


def test_an_operators_own_price_counts_as_it_is_recorded(quotas: Quotas) -> None:
    one = allowance(quotas, Tier(TierName.PRO, RULE), [END_OF_NOVEMBER_S - 9])
    prices = price_list(1, function=lambda measured: Decimal(measured.rows) if not measured.sqlstate else Decimal(0))
    priced = Lines(Record(stage=Stage.INTENT), Record(stage=Stage.OUTCOME), prices)
    assert one.take(2) is None
    one.spend(priced, Spent(3, 10, 500))
    one.spend(priced, Spent(4, 10, 500, "57014"))
    assert used(quotas)[KEY, NOVEMBER] == Uses(2, 3 * 10**9)


def test_what_a_tiers_rate_refuses_is_not_counted(quotas: Quotas) -> None:
    rate = Rate(RateSubject.KEY, None, 1, 2, RULE)
    one = allowance(quotas, Tier(TierName.PRO, RULE, 100, rate=rate), [END_OF_NOVEMBER_S - 9])
    results = [one.take(1) for _ in range(4)]
    assert [refused and refused[0] for refused in results] == [None, None, Limit.RATE, Limit.RATE]
    assert used(quotas)[KEY, NOVEMBER] == Uses(2)


def test_a_tier_that_nobody_defined_allows_nothing(quotas: Quotas) -> None:
    refused = allowance(quotas, None, [END_OF_NOVEMBER_S]).take(1)
    assert refused is not None
    assert refused[1].hint == "An administrator defines 'pro' under 'tiers'."


def test_where_there_is_no_room_nothing_begins(quotas: Quotas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.quotas._SLOTS", 1)
    assert quotas.slot("pgw_other000", NOVEMBER) is not None
    refused = allowance(quotas, Tier(TierName.PRO, RULE), [END_OF_NOVEMBER_S - 9]).take(1)
    assert refused is not None
    assert "can't be counted" in refused[1].message


def test_the_next_month_begins_in_utc() -> None:
    assert [next_month(month).isoformat() for month in (NOVEMBER, DECEMBER)] == [
        "2026-12-01T00:00:00+00:00",
        "2027-01-01T00:00:00+00:00",
    ]


_TAKER = """
import sys
from datetime import date
from pathlib import Path
from proxy.quotas import Quotas
from policies.tiers import Tier, TierName
from tests.unit.test_quotas import END_OF_NOVEMBER_S, RULE, allowance
quotas = Quotas.open(Path(sys.argv[1]))
one = allowance(quotas, Tier(TierName.PRO, RULE, statements_per_month=3000), [END_OF_NOVEMBER_S - 9])
sys.stdin.readline()
print(sum(one.take(1) is None for _ in range(2000)))
"""


def test_two_processes_at_once_begin_no_more_than_the_quota(quotas: Quotas, tmp_path: Path) -> None:
    takers = [
        subprocess.Popen(
            [sys.executable, "-c", _TAKER, str(tmp_path)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    taken = [int(taker.communicate("\n", timeout=60)[0]) for taker in takers]
    assert sum(taken) == 3000
    assert used(quotas)[KEY, NOVEMBER] == Uses(3000)
