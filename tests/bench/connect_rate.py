"""Connections per second: TCP, SCRAM, one statement with a row, goodbye."""

from __future__ import annotations

import re
import subprocess

from tests.bench.processes import usage_of
from tests.bench.results import Chapter, Plot, Table, at_least
from tests.bench.stage import DIRECT, POOLER, RULED, Contestant, Stage
from tests.bench.trials import Spread, Tell, in_turns, quiet, ratios

NAME = "connects"
CONTESTANTS = (DIRECT, POOLER, RULED)
LIMIT = 0.5
CLIENTS = 4
_SPEED = re.compile(r"tps = ([0-9.]+) \(including reconnection times\)")
_PROCESSED = re.compile(r"number of transactions actually processed: (\d+)")
_TEXT = """\
`pgbench -C -S` at {clients} clients, {runs} rounds of {seconds} s: every statement logs in anew, with SCRAM of 4,096
rounds. PgBouncer keeps its links to the server; pgwarden in session mode makes one for each session, and the server a
process. CPU is that of the proxy's processes."""


def measure(stage: Stage, *, runs: int = 5, seconds: int = 4, tell: Tell = quiet) -> Chapter:
    rates: dict[str, list[float]] = {}
    cpu_ms: dict[str, list[float]] = {}
    for number, name in in_turns(CONTESTANTS, runs):
        rate, spent_ms = _rate(stage, stage.contestant(name), seconds)
        rates.setdefault(name, []).append(rate)
        cpu_ms.setdefault(name, []).append(spent_ms)
        tell(f"connects {number + 1} {name}: {rate:.0f}/s, {spent_ms:.2f} ms")
    stage.settle()
    ratio = ratios(rates[RULED], rates[POOLER])
    target = at_least(
        "connect + SCRAM + first row + close, per second, against PgBouncer", LIMIT, ratio.median, ratio.text()
    )
    lines = [_line(name, rates[name], cpu_ms[name]) for name in CONTESTANTS]
    table = Table("connections", ["contestant", "per second", "CPU of the proxy, ms each"], lines)
    values = {name: [Spread.of(found).median] for name, found in rates.items()}
    plot = Plot("connects", "Connections per second", "per second", ["SCRAM"], values)
    text = _TEXT.format(clients=CLIENTS, runs=runs, seconds=seconds)
    return Chapter(NAME, "Connections", text, [target], [table], [plot])


def _line(name: str, rates: list[float], cpu_ms: list[float]) -> list[str]:
    return [name, Spread.of(rates).text(".0f"), "" if name == DIRECT else Spread.of(cpu_ms).text()]


def _rate(stage: Stage, contestant: Contestant, seconds: int) -> tuple[float, float]:
    """Per second, and ms of the proxy's CPU for each."""
    before = usage_of(contestant.everyone)
    command = [stage.pgbench, "-n", "-C", "-S", "-s", "10", "-c", str(CLIENTS), "-T", str(seconds), contestant.dsn]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60)
    speed, processed = _SPEED.search(done.stdout), _PROCESSED.search(done.stdout)
    if done.returncode != 0 or speed is None or processed is None:
        raise RuntimeError(f"pgbench through {contestant.name}: {done.stderr[-1000:]}")
    spent = usage_of(contestant.everyone) - before
    return float(speed[1]), spent.cpu_s * 1000 / max(1, int(processed[1]))
