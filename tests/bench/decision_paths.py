"""pyperf's script for the decision paths: run by `decisions`, or by hand with `-m tests.bench.decision_paths`.

Figures are process time: other work on the machine must not count.

The catalog is that of a real server, kept in a file by whoever starts this: PGWARDEN_BENCH_CATALOG names it.
"""

from __future__ import annotations

import itertools
import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path

import pyperf

from policies.catalog import Catalog, Namespace
from policies.compile import Compiler
from policies.load import load_texts
from policies.model import EffectivePolicy
from policies.resolve import resolve
from tests.bench.database import DATABASE
from tests.bench.sidecar import policy_text

CATALOG_VARIABLE = "PGWARDEN_BENCH_CATALOG"
POINT = "SELECT abalance, filler FROM pgbench_accounts WHERE aid = {}"
FIRST = 1  # of a shape, only the first text is kept exactly
JOIN = """\
SELECT a.abalance, b.bbalance, t.tbalance, h.delta, p.email AS email_{0}
FROM pgbench_accounts a JOIN pgbench_branches b ON b.bid = a.bid JOIN pgbench_tellers t ON t.bid = b.bid
JOIN pgbench_history h ON h.aid = a.aid JOIN people p ON p.id = a.aid
WHERE a.aid = {0} AND h.delta > 10 ORDER BY h.mtime LIMIT 100"""
Work = Callable[[int], float]  # pyperf's: so many rounds, the seconds of CPU they took


class _Desk:
    """What decides for one user."""

    def __init__(self, catalog: Catalog, policy: EffectivePolicy) -> None:
        self.catalog = catalog
        self.policy = policy
        self.namespace = Namespace(catalog.search_path, catalog.search_path)
        self.compiler = Compiler()

    def decide(self, sql: str) -> None:
        decision = self.compiler.decide(sql, self.policy, self.catalog, self.namespace)
        assert decision.refusal is None, decision.refusal


def exact_hit(desk: _Desk) -> Work:
    sql = POINT.format(FIRST)
    return _looked_up(desk, lambda: itertools.repeat(sql.encode()))


def same_shape(desk: _Desk) -> Work:
    numbers = itertools.count(100_000)
    return _looked_up(desk, lambda: (POINT.format(number).encode() for number in numbers))


def _looked_up(desk: _Desk, texts: Callable[[], object]) -> Work:
    """By the way that a session goes: the scope is at hand, the text is bytes."""
    for number in (FIRST, 22, 333, 4711, 55_555):
        desk.decide(POINT.format(number))
    scope = desk.compiler.scope(desk.policy, desk.catalog, desk.namespace)

    def work(rounds: int) -> float:
        given = list(itertools.islice(texts(), rounds))  # type: ignore[call-overload]
        start = time.process_time()
        for raw in given:
            if scope.find(raw) is None:
                desk.decide(raw.decode())
        return time.process_time() - start

    return work


def decided_again(desk: _Desk) -> Work:
    """By the way for all others: the complete decision from the cache."""
    sql = POINT.format(FIRST)
    desk.decide(sql)
    return _decided(desk, lambda rounds: [sql] * rounds)


def miss(desk: _Desk) -> Work:
    """A name that never came before makes another shape each time."""
    numbers = itertools.count(1)
    return _decided(desk, lambda rounds: [JOIN.format(next(numbers)) for _ in range(rounds)])


def _decided(desk: _Desk, texts: Callable[[int], list[str]]) -> Work:
    def work(rounds: int) -> float:
        given = texts(rounds)
        start = time.process_time()
        for sql in given:
            desk.decide(sql)
        return time.process_time() - start

    return work


PATHS: dict[str, Callable[[_Desk], Work]] = {
    "exact-text hit": exact_hit,
    "same shape, new literals": same_shape,
    "exact-text hit, complete decision": decided_again,
    "miss of a five-table join": miss,
}


def main() -> None:
    runner = pyperf.Runner(values=3, processes=5, program_args=("-m", "tests.bench.decision_paths"))
    catalog = pickle.loads(Path(os.environ[CATALOG_VARIABLE]).read_bytes())
    policies = load_texts({"policies.yaml": policy_text().encode()}, {}, [DATABASE])
    policy = resolve(policies, "ruled", DATABASE)
    assert policy is not None
    for name, path in PATHS.items():
        runner.bench_time_func(name, path(_Desk(catalog, policy)))


if __name__ == "__main__":
    main()
