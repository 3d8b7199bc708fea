"""What one statement's two records cost in process time: `python -m tests.bench.journal`. No test: it asserts nothing.

The ledger of a session writes an intent and an outcome through a real journal on disk, as the ordinary way does;
then the same through the journal alone. Process time holds the syncing thread's share too. On a busy machine compare
ratios.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from audit.cost import price_list
from audit.journal import Journal
from audit.record import Record
from policies.decision import Decision, Plan
from proxy.build import is_compiled
from proxy.session.held import Run
from proxy.session.ledger import Identity, Ledger
from proxy.session.ports import Measures
from tests.playbooks.stage import ADA, StageServices

STATEMENTS = 20_000
ROUNDS = 5
TEXT = "SELECT id, name, email FROM shop.customers WHERE id = 12345"
PLAN = Plan(
    "select",
    TEXT,
    is_rewritten=True,
    masked_columns=("shop.customers.email",),
    tables=("shop.customers",),
    filtered_tables=("shop.customers",),
    rule_ids=("analysts/rows[0]", "analysts/masks[0]"),
    shape="5f2b8d1c9e7a4b60",
)
DECISION = Decision(TEXT, (PLAN,), policy_fingerprint="0123456789abcdef0123456789abcdef")
PRICES = price_list(0.0005, 0.05, 0.01, "USD")


class JournalServices(StageServices):
    """The stage's services with a journal behind them and no counting."""

    journal: Journal

    def now_us(self) -> int:
        return time.monotonic_ns() // 1000

    def new_id(self) -> str:
        return self.journal.ids.next()

    def append(self, records: Sequence[Record]) -> int:
        return self.journal.append(records)

    def count_statement(self, measures: Measures) -> None:
        """Nothing: counting isn't measured here."""


def main() -> None:
    _tell(f"build: {'compiled' if is_compiled() else 'interpreted'}, {STATEMENTS} statements, least of {ROUNDS}")
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal.open(Path(folder), 0)
        try:
            _tell(f"{'':32}{'us a statement (two records)':>30}")
            _tell(_line("ledger", _ledger(journal)))
        finally:
            journal.close()


def _ledger(journal: Journal) -> Callable[[], None]:
    services = JournalServices(price_list=PRICES)
    services.journal = journal
    identity = Identity(services.new_id(), "192.0.2.7", "ada", "shop", "pgbench", ADA)
    ledger = Ledger(services, identity)
    runs = (Run(PLAN),)

    def statement() -> None:
        (account,) = ledger.open(DECISION, runs)
        account.rows, account.bytes_out = 1, 61
        ledger.close(account, tag=b"SELECT 1")

    return statement


def _line(name: str, statement: Callable[[], None]) -> str:
    return f"{name:32}{min(_timed(statement) for _ in range(ROUNDS)) * 1e6:>30.2f}"


def _timed(statement: Callable[[], None]) -> float:
    start = time.process_time()
    for _ in range(STATEMENTS):
        statement()
    return (time.process_time() - start) / STATEMENTS


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
