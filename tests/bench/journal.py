"""What one statement's two records cost in process time: `python -m tests.bench.journal`. No test: it asserts nothing.

The ledger of a session writes an intent and an outcome through a real journal on disk, as the ordinary way does; then
the journal alone does, and with sixteen sessions under both durabilities; then all records are read, and shipped to a
real store; then another process writes at a steady rate while its records are shipped as a supervisor does it. Process
time holds the syncing thread's share too. On a busy machine compare ratios.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from audit.batches import BatchReader
from audit.cost import price_list
from audit.journal import Durability, Journal, worker_directory
from audit.lines import Lines
from audit.record import Record
from audit.shipped import ShippedPosition
from audit.shipper import BATCH_BYTES, Shipper
from audit.store import Store
from policies.decision import Decision, Plan
from proxy.build import is_compiled
from proxy.embedded import EmbeddedServer
from proxy.installation import find_wheel
from proxy.session.held import Run
from proxy.session.ledger import Identity, Ledger
from proxy.session.ports import Measures
from tests.playbooks.stage import ADA, StageServices

STATEMENTS = 20_000
WAITING = 8_000
DURABILITIES: tuple[Durability, ...] = ("grouped", "strict")
ROUNDS = 5
RATES = (500, 5_000, 10_000)  # statements a second
SECONDS = 10
TICK_S = 0.005
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

    def append_intent(self, lines: Lines, sql_text: bytes) -> str:
        return self.journal.append_intent(lines, sql_text)

    def append_outcome(
        self,
        lines: Lines,
        statement_id: str,
        rows: int | None,
        bytes_out: int,
        duration_us: int,
        sqlstate: str = "",
    ) -> None:
        self.journal.append_outcome(lines, statement_id, rows, bytes_out, duration_us, sqlstate)

    def journal_position(self) -> int:
        return self.journal.position

    def count_statement(self, measures: Measures) -> None:
        """Nothing: counting isn't measured here."""


def main() -> None:
    match sys.argv[1:]:
        case ["write", directory, rate]:
            _write(Path(directory), int(rate))
        case _:
            _measure()


def _measure() -> None:
    _tell(f"build: {'compiled' if is_compiled() else 'interpreted'}, {STATEMENTS} statements, least of {ROUNDS}")
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "journal"
        journal = Journal.open(directory, 0)
        try:
            _tell(f"{'':32}{'us a statement (two records)':>30}")
            ledger = ledger_of(journal)
            _tell(_line("ledger", _by_ledger(ledger)))
            _tell(_line("journal alone", _by_journal(journal, ledger.lines(DECISION, PLAN))))
        finally:
            journal.close()
        _tell(f"{'':32}{'us a statement, 16 at once':>30}")
        for durability in DURABILITIES:
            _tell(_waiting(Path(folder) / durability, durability))
        _tell(f"{'':32}{'us a record':>30}")
        _tell(_reading(directory))
        if (wheel := find_wheel()) is not None:
            with EmbeddedServer(Path(folder) / "store", wheel) as server:
                _tell(asyncio.run(_shipping(directory, server.dsn())))
                _tell(f"{'':32}{'us a record':>30}")
                for rate in RATES:
                    _tell(asyncio.run(_steadily(Path(folder) / f"steady-{rate}", server.dsn(), rate)))


def ledger_of(journal: Journal) -> Ledger:
    services = JournalServices(price_list=PRICES)
    services.journal = journal
    return Ledger(services, Identity(services.new_id(), "192.0.2.7", "ada", "shop", "pgbench", ADA))


def _by_ledger(ledger: Ledger) -> Callable[[], None]:
    runs = (Run(PLAN),)

    def statement() -> None:
        (account,) = ledger.open(DECISION, runs)
        account.rows, account.bytes_out = 1, 61
        ledger.close(account, tag=b"SELECT 1")

    return statement


def _by_journal(journal: Journal, lines: Lines) -> Callable[[], None]:
    text = TEXT.encode()

    def statement() -> None:
        statement_id = journal.append_intent(lines, text)
        journal.append_outcome(lines, statement_id, 1, 61, 1234)

    return statement


def _waiting(directory: Path, durability: Durability) -> str:
    """Sixteen sessions, each waiting for the disk after its intent if the durability says so, as links do."""
    journal = Journal.open(directory, 0, durability=durability)
    try:
        start, cpu = time.monotonic(), time.process_time()
        asyncio.run(_sixteen(journal, durability == "strict"))
        wall, used = time.monotonic() - start, time.process_time() - cpu
    finally:
        journal.close()
    return f"{durability:32}{used / WAITING * 1e6:>30.2f}{WAITING / wall:>14.0f} statements/s"


async def _sixteen(journal: Journal, is_strict: bool) -> None:
    lines, text = ledger_of(journal).lines(DECISION, PLAN), TEXT.encode()

    async def session() -> None:
        for _ in range(WAITING // 16):
            statement_id = journal.append_intent(lines, text)
            if is_strict:
                await journal.wait_synced(journal.position)
            await asyncio.sleep(0)  # the server's answer
            journal.append_outcome(lines, statement_id, 1, 61, 1234)

    await asyncio.gather(*(session() for _ in range(16)))


def _reading(directory: Path) -> str:
    """From the segments' bytes to rows for the store, without a store."""
    reader, position, count = BatchReader(worker_directory(directory, 0), "bench/0"), ShippedPosition(), 0
    start = time.process_time()
    while (batch := reader.read(position, BATCH_BYTES)).count:
        position, count = batch.position, count + batch.count
    used = time.process_time() - start
    reader.close()
    return f"{'read and made into rows':32}{used / count * 1e6:>30.2f}"


async def _shipping(directory: Path, dsn: str) -> str:
    store = Store(dsn)
    await store.migrate()
    shipper = Shipper(directory, 0, store, written_position=lambda: 0)
    start, cpu = time.monotonic(), time.process_time()
    count = await shipper.ship_available()
    wall, used = time.monotonic() - start, time.process_time() - cpu
    await store.close()
    return f"{'shipped to a store':32}{used / count * 1e6:>30.2f}{count / wall:>14.0f} records/s"


async def _steadily(directory: Path, dsn: str, rate: int) -> str:
    """Another process writes so many statements a second; what does it cost this one to keep up?"""
    Journal.open(directory, 0).close()
    store = Store(dsn)
    shipper = Shipper(directory, 0, store, written_position=lambda: 0)
    arguments = ("-m", "tests.bench.journal", "write", str(directory), str(rate))
    writer = await asyncio.create_subprocess_exec(sys.executable, *arguments)
    shipping = asyncio.create_task(shipper.run())
    cpu = time.process_time()
    await writer.wait()
    used, count = time.process_time() - cpu, shipper.shipped_records
    await _stopped(shipping)
    behind = await shipper.ship_available()
    await store.close()
    name = f"shipped while {2 * rate} are written"
    return f"{name:32}{used / count * 1e6:>30.2f}{(count + behind) / SECONDS:>14.0f} records/s, {behind} behind"


async def _stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _write(directory: Path, rate: int) -> None:
    """A worker's journal under a steady load."""
    journal = Journal.open(directory, 0)
    try:
        statement = _by_journal(journal, ledger_of(journal).lines(DECISION, PLAN))
        start, written = time.monotonic(), 0
        while (passed := time.monotonic() - start) < SECONDS:
            while written < passed * rate:
                statement()
                written += 1
            time.sleep(TICK_S)
    finally:
        journal.close()


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
