"""What rates and quotas of keys add to a statement: CPU time (user and system) of each step, on the memory that workers
share.

`python -m tests.bench.allowances` prints it; see docs/keys.md.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from audit.api_keys import StoredKey
from audit.cost import price_list
from audit.lines import Lines
from audit.record import Record, Stage
from policies.model import PolicySet, Principal, RuleId, Source
from policies.prices import PriceBook
from policies.rates import Rate, RateSubject
from policies.tiers import Tier, TierName
from proxy.allowances import Allowances
from proxy.board import Board
from proxy.buckets import SharedBuckets
from proxy.key_ring import KeyRing
from proxy.quotas import Quotas
from proxy.session.ports import Allowance, Spent

_TIMES = 50_000
_ROUNDS = 5
_KEY = StoredKey("pgw_k3x9a2bq", "00", "ci", "pro")
_CI = Principal("ci", tenant="acme")


def main() -> None:
    board = Board.make(2)
    ring = KeyRing()
    ring.replace([_KEY])
    with TemporaryDirectory() as folder:
        allowances = Allowances(SharedBuckets(board), ring, Quotas.prepare(Path(folder)))
        _print("one rate", _of(allowances, 1, "").take)
        _print("two rates", _of(allowances, 2, "").take)
        key = _of(allowances, 0, _KEY.id)
        _print("a key's quota", key.take)
        lines = Lines(Record(stage=Stage.INTENT), Record(stage=Stage.OUTCOME), price_list(0.0005, 0.05))
        _print("a key's cost", lambda _: key.spend(lines, Spent(1, 2_000, 137)))


def _of(allowances: Allowances, rates: int, key: str) -> Allowance:
    rule = RuleId("rates[0]", Source("bench.yaml", 1, 1))
    given = (Rate(RateSubject.TENANT, "acme", 1e6, 10**6, rule), Rate(RateSubject.USER, None, 1e6, 10**6, rule))
    tiers = {TierName.PRO: Tier(TierName.PRO, rule, 10**12, Decimal(10**6))}
    found = allowances.of(PolicySet({}, (), {}, PriceBook(), "f", {}, given[:rates], tiers), _CI, key)
    assert found is not None
    return found


def _print(name: str, step: Callable[[int], object]) -> None:
    best = min(_cpu_us(step) for _ in range(_ROUNDS))
    sys.stdout.write(f"{name:14}{best:5.1f} us\n")


def _cpu_us(step: Callable[[int], object]) -> float:
    begun = time.process_time()
    for _ in range(_TIMES):
        step(1)
    return (time.process_time() - begun) / _TIMES * 1e6


if __name__ == "__main__":
    main()
