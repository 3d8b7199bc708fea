"""What pricing an outcome costs a worker: `python -m tests.bench.prices`. No test.

CPU for making one outcome's record by its templates: by a price list, with the planner's estimate in it, and by an
operator's price function.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from audit.cost import PriceList, price_list
from audit.lines import Lines
from audit.price_functions import Measured, SafePrice
from audit.record import Record, Stage
from proxy.build import build_kind

STATEMENTS = 50_000
RUNS = 7
_ID = b"0123456789abcdef0123456789abcdef"
_AT_US = 1_750_000_000_000_000


@dataclass(frozen=True)
class Way:
    name: str
    prices: PriceList
    plan_units: int | None = None


def _twice(measured: Measured) -> object:
    return 2 * measured.standard


WAYS = (
    Way("no prices", price_list()),
    Way("a price list", price_list(0.0005, 0.05, 0, "USD")),
    Way("with the planner's estimate", price_list(0.0005, 0.05, 0.01, "USD"), 1234),
    Way("a price function", price_list(0.0005, 0.05, 0, "USD", SafePrice("twice", _twice))),  # type: ignore[arg-type]
)


def _lines(way: Way) -> Lines:
    common = {"tenant": "acme", "user": "ada", "database": "shop", "shape": "s" * 32, "tables": ("shop.customers",)}
    intent = Record(stage=Stage.INTENT, **common)  # type: ignore[arg-type]
    outcome = Record(stage=Stage.OUTCOME, plan_units=way.plan_units, **common)  # type: ignore[arg-type]
    return Lines(intent, outcome, way.prices)


def _make(lines: Lines) -> Callable[[int], None]:
    """As the journal does: into the mapped file where the templates can, else as bytes."""
    into = memoryview(bytearray(4096))

    def make(number: int) -> None:
        if lines.put_outcome(into, 0, 4096, _ID, _ID, _AT_US + number, number, 100 * number, 700 + number) < 0:
            lines.outcome_body(_ID, _ID, _AT_US + number, number, 100 * number, 700 + number, "")

    return make


def _ns(way: Way) -> float:
    make = _make(_lines(way))
    began = time.process_time_ns()
    for number in range(STATEMENTS):
        make(number)
    return (time.process_time_ns() - began) / STATEMENTS


def main() -> None:
    sys.stdout.write(f"{build_kind()} build, CPU for one outcome, median of {RUNS} runs of {STATEMENTS:,}\n")
    for way in WAYS:
        sys.stdout.write(f"{way.name:32}{statistics.median(_ns(way) for _ in range(RUNS)) / 1000:8.2f} us\n")


if __name__ == "__main__":
    main()
