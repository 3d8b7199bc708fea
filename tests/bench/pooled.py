"""Many clients on few links to the server: pgwarden's transaction mode beside PgBouncer's."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench.load import Load, run_load
from tests.bench.results import Chapter, Table, Target, at_most
from tests.bench.stage import POOLER_TRANSACTION, Contestant, Stage
from tests.bench.trials import Spread, Tell, in_turns, quiet, ratios

NAME = "pool"
LIMIT = 2.0
LINKS = 20
CROWDS = (200, 2000)  # clients
OURS = "pgwarden-transaction"
# pgbench polls all sockets of a thread for each answer: with thousands in one it would measure itself.
_CLIENTS_PER_THREAD = 250
_TPS = re.compile(r"tps = ([0-9.]+) \(without initial")
_HEAD = ["contestant", "statements/s", "p50 ms", "p99 ms"]
_TEXT = """\
`pgbench -S`, simple, with {crowds} clients on {links} links to the server, {runs} rounds of at least {statements}
statements in all, both in transaction mode; pgwarden filters, masks and records. Times of single statements from
pgbench's log, the first tenth left out. The load is closed: p99 follows from throughput as much as from waiting. CPU
per statement is the worker's and PgBouncer's under {first} clients for {seconds} s, logins left out."""

Run = tuple[float, float, float]  # statements per second, p50 and p99 in ms


def measure(
    stage: Stage,
    *,
    runs: int = 3,
    statements: int = 40_000,
    crowds: Sequence[int] = CROWDS,
    seconds: int = 3,
    tell: Tell = quiet,
) -> Chapter:
    text = _TEXT.format(
        crowds=" and ".join(f"{crowd:,}" for crowd in crowds),
        links=LINKS,
        runs=runs,
        statements=f"{statements:,}",
        first=crowds[0],
        seconds=seconds,
    )
    title = "Transaction pooling"
    try:
        sidecar = stage.sidecar("pooled", pool={"mode": "transaction", "size": LINKS})
    except RuntimeError as error:
        reason = f"transaction pooling: this build takes no `pool` ({str(error)[-160:].strip()})"
        return Chapter(NAME, title, text, missing=[reason])
    doors = {POOLER_TRANSACTION: stage.contestant(POOLER_TRANSACTION), OURS: stage.ours(OURS, sidecar, "ruled")}
    targets, tables, missing = [], [_cpu(stage, doors, seconds, crowds[0], tell)], []
    for clients in crowds:
        try:
            target, table = _crowd(stage, doors, clients, runs, statements, tell)
        except RuntimeError as error:
            missing.append(f"{clients:,} clients on {LINKS} links: this machine didn't hold them ({str(error)[-300:]})")
            continue
        targets.append(target)
        tables.append(table)
    return Chapter(NAME, title, text, targets, tables, missing=missing)


def _crowd(
    stage: Stage, doors: dict[str, Contestant], clients: int, runs: int, statements: int, tell: Tell
) -> tuple[Target, Table]:
    found: dict[str, list[Run]] = {}
    for number, name in in_turns(list(doors), runs, limit_s=100):
        found.setdefault(name, []).append(_run(stage, doors[name], clients, -(-statements // clients)))
        speed, p50, p99 = found[name][-1]
        tell(f"pool {clients} {number + 1} {name}: {speed:.0f}/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms")
        stage.settle()
    ratio = ratios([run[2] for run in found[OURS]], [run[2] for run in found[POOLER_TRANSACTION]])
    what = f"p99 of {clients:,} clients on {LINKS} links, against PgBouncer's transaction mode"
    lines = [
        [name, *(Spread.of(run[part] for run in done).text(".1f") for part in range(3))] for name, done in found.items()
    ]
    return at_most(what, LIMIT, ratio.median, ratio.text()), Table(f"{clients:,} clients", _HEAD, lines)


def _run(stage: Stage, contestant: Contestant, clients: int, statements: int) -> Run:
    """A duration would end while thousands are still logging in."""
    with tempfile.TemporaryDirectory() as folder:
        threads = max(1, clients // _CLIENTS_PER_THREAD)
        command = [stage.pgbench, "-n", "-S", "-c", str(clients), "-j", str(threads), "-t", str(statements)]
        command += ["-l", "--log-prefix", f"{folder}/log", contestant.dsn]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        speed = _TPS.search(done.stdout)
        if done.returncode != 0 or speed is None:
            raise RuntimeError(f"pgbench through {contestant.name}: {done.stderr[-1000:]}")
        lines = [line.split() for file in Path(folder).glob("log*") for line in file.read_text().splitlines()]
    times = sorted(int(fields[2]) for fields in lines[len(lines) // 10 :])
    return float(speed[1]), times[len(times) // 2] / 1000, times[int(len(times) * 0.99)] / 1000


def _cpu(stage: Stage, doors: dict[str, Contestant], seconds: int, clients: int, tell: Tell) -> Table:
    lines = []
    for name, door in doors.items():
        measured = run_load(stage, door, Load(clients=clients, seconds=seconds))
        each = measured.statements / 1e6
        worker = measured.worker
        lines.append(
            [name, *(f"{part / each:.1f}" for part in (worker.cpu_s, worker.user_s, worker.system_s))],
        )
        tell(
            f"pool cpu {name}: {lines[-1][1]} us a statement, {lines[-1][2]} of them user, {measured.per_second:.0f}/s"
        )
        stage.settle()
    return Table(f"CPU, {clients:,} clients", ["contestant", "us a statement", "user", "system"], lines)
