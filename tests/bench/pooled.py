"""Many clients on few links to the server: pgwarden's transaction mode beside PgBouncer's."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

from tests.bench.results import Chapter, Table, at_most
from tests.bench.stage import POOLER_TRANSACTION, Contestant, Stage
from tests.bench.trials import Spread, Tell, in_turns, quiet, ratios

NAME = "pool"
LIMIT = 2.0
LINKS = 20
OURS = "pgwarden-transaction"
_TPS = re.compile(r"tps = ([0-9.]+) \(without initial")
_TEXT = """\
`pgbench -S`, simple, with {clients} clients on {links} links to the server, {runs} rounds of {statements} for each
client, both in transaction mode; pgwarden filters, masks and records. Times of single statements from pgbench's log,
the first tenth left out. The load is closed: p99 follows from throughput as much as from waiting."""


def measure(
    stage: Stage,
    *,
    runs: int = 3,
    statements: int = 25,
    clients: int = 2000,
    tell: Tell = quiet,
) -> Chapter:
    text, title = _TEXT.format(clients=clients, links=LINKS, runs=runs, statements=statements), "Transaction pooling"
    try:
        sidecar = stage.sidecar("pooled", pool={"mode": "transaction", "size": LINKS})
    except RuntimeError as error:
        reason = f"transaction pooling: this build takes no `pool` ({str(error)[-160:].strip()})"
        return Chapter(NAME, title, text, missing=[reason])
    doors = {name: stage.contestant(name) for name in (POOLER_TRANSACTION,)} | {
        OURS: stage.ours(OURS, sidecar, "ruled")
    }
    found: dict[str, list[tuple[float, float, float]]] = {}
    for number, name in in_turns(list(doors), runs, limit_s=100):
        found.setdefault(name, []).append(_run(stage, doors[name], clients, statements))
        speed, p50, p99 = found[name][-1]
        tell(f"pool {number + 1} {name}: {speed:.0f}/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms")
        stage.settle()
    ratio = ratios([run[2] for run in found[OURS]], [run[2] for run in found[POOLER_TRANSACTION]])
    what = f"p99 of {clients:,} clients on {LINKS} links, against PgBouncer's transaction mode"
    lines = [
        [name, *(Spread.of(run[part] for run in done).text(".1f") for part in range(3))] for name, done in found.items()
    ]
    table = Table("transaction mode", ["contestant", "statements/s", "p50 ms", "p99 ms"], lines)
    return Chapter(NAME, title, text, [at_most(what, LIMIT, ratio.median, ratio.text())], [table])


def _run(stage: Stage, contestant: Contestant, clients: int, statements: int) -> tuple[float, float, float]:
    """Statements per second, p50 and p99 in ms. A duration would end while thousands are still logging in."""
    with tempfile.TemporaryDirectory() as folder:
        command = [stage.pgbench, "-n", "-S", "-c", str(clients), "-t", str(statements)]
        command += ["-l", "--log-prefix", f"{folder}/log", contestant.dsn]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        speed = _TPS.search(done.stdout)
        if done.returncode != 0 or speed is None:
            raise RuntimeError(f"pgbench through {contestant.name}: {done.stderr[-1000:]}")
        lines = [line.split() for file in Path(folder).glob("log*") for line in file.read_text().splitlines()]
    times = sorted(int(fields[2]) for fields in lines[len(lines) // 10 :])
    return float(speed[1]), times[len(times) // 2] / 1000, times[int(len(times) * 0.99)] / 1000
