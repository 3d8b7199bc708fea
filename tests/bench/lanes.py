"""What a flood of bulk work does to everyday statements, without workload lanes and with them."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.bench.load import Load, run_load
from tests.bench.results import Chapter, Table, at_most
from tests.bench.sidecar import Sidecar
from tests.bench.stage import Contestant, Stage
from tests.bench.trials import Spread, Tell, in_turns, quiet

NAME = "lanes"
FLOOD: Final = 16  # clients that send nothing but bulk work
PLACES: Final = 1
RATE: Final = 200
LIMIT: Final = 2.0
_WITHOUT, _WITH, _LIMITED = "without lanes", "with lanes", "interactive lane limited, too"
_APPLICATION: Final = "flood"
_BULK: Final = "SELECT count(*), sum(abalance), max(filler) FROM pgbench_accounts;\n"
_WARM_PART: Final = 0.1
_CPU_RUNS: Final = 3
_AHEAD_S: Final = 2  # so long the flood has risen when the first everyday statement comes
_TEXT: Final = """\
Everyday statements are pgbench -S at two clients and {rate} statements/s, so that slow moments count as much as quick
ones. The flood is {flood} clients of application `{application}` that aggregate the whole table of accounts, without
parallel workers, each as often as it can. {runs} rounds of {seconds} s each, in turns: without a flood and with one,
through a pgwarden without lanes and through one with
`lanes: {{bulk: {{concurrency: {places}, queue: 1000, applications: [{application}]}}}}`. Times are those of single
everyday statements from pgbench's own log; ratios are of p95 within one round. CPU is that of the worker process."""


def measure(stage: Stage, *, runs: int = 5, seconds: int = 4, tell: Tell = quiet) -> Chapter:
    bulk = {"concurrency": PLACES, "queue": 1000, "applications": [_APPLICATION]}
    doors = {
        _WITHOUT: stage.ours(_WITHOUT, stage.sidecar("lanes-without"), "open"),
        _WITH: stage.ours(_WITH, stage.sidecar("lanes-with", lanes={"bulk": bulk}), "open"),
    }
    cases = [f"{name}, {flood}" for name in doors for flood in ("quiet", "flood")]
    found: dict[str, list[tuple[float, float, float]]] = {case: [] for case in cases}
    for number, case in in_turns(cases, runs):
        name, flood = case.rsplit(", ", 1)
        found[case].append(_run(stage, doors[name], seconds, FLOOD if flood == "flood" else 0))
        p50, p95, done = found[case][-1]
        tell(f"lanes {number + 1} {case}: p50 {p50:.2f} ms, p95 {p95:.2f} ms, bulk {done:.1f}/s")
        stage.settle()
    cpu = _cpu(stage, doors | {_LIMITED: stage.ours(_LIMITED, _limited(stage), "open")}, seconds, tell)
    text = _TEXT.format(rate=RATE, flood=FLOOD, application=_APPLICATION, runs=runs, seconds=seconds, places=PLACES)
    slowed = {name: _slowed(found, name) for name in doors}
    shown = f"{slowed[_WITH].text('.2f')} (without lanes {slowed[_WITHOUT].text('.2f')})"
    target = at_most(
        "p95 of everyday statements in a bulk flood, against a quiet time", LIMIT, slowed[_WITH].median, shown
    )
    return Chapter(NAME, "A flood of bulk work", text, [target], [_table(found, slowed), cpu])


def _limited(stage: Stage) -> Sidecar:
    return stage.sidecar("lanes-limited", lanes={"interactive": {"concurrency": 100}})


def _cpu(stage: Stage, doors: dict[str, Contestant], seconds: int, tell: Tell) -> Table:
    """What lanes cost an everyday statement, without a flood."""
    lines = []
    for name, door in doors.items():
        each = [run_load(stage, door, Load(seconds=seconds)) for _ in range(_CPU_RUNS)]
        spread = Spread.of(one.worker.cpu_s / one.statements * 1e6 for one in each)
        lines.append([name, spread.text(".1f")])
        tell(f"lanes cpu {name}: {spread.text('.1f')} us a statement")
        stage.settle()
    return Table("pgbench -S at 16 clients, CPU of the worker", ["pgwarden", "us a statement"], lines)


def _slowed(found: dict[str, list[tuple[float, float, float]]], name: str) -> Spread:
    pairs = zip(found[f"{name}, flood"], found[f"{name}, quiet"], strict=True)
    return Spread.of(flooded[1] / calm[1] for flooded, calm in pairs)


def _table(found: dict[str, list[tuple[float, float, float]]], slowed: dict[str, Spread]) -> Table:
    lines = []
    for case, runs in found.items():
        parts = [Spread.of(run[part] for run in runs).text(".2f") for part in range(3)]
        ratio = slowed[case.rsplit(", ", 1)[0]].text(".2f") if case.endswith("flood") else ""
        lines.append([case, *parts, ratio])
    return Table("everyday statements", ["case", "p50 ms", "p95 ms", "bulk statements/s", "p95, times quiet"], lines)


def _run(stage: Stage, door: Contestant, seconds: int, flood: int) -> tuple[float, float, float]:
    """p50 and p95 of everyday statements in ms, and how many bulk statements ended in a second."""
    with tempfile.TemporaryDirectory() as folder:
        with _flood(stage, door, seconds + _AHEAD_S + 1, flood, Path(folder)):
            command = [stage.pgbench, "-n", "-S", "-c", "2", "-R", str(RATE), "-T", str(seconds), "-l"]
            command += ["--log-prefix", f"{folder}/log"]
            subprocess.run([*command, door.dsn], check=True, capture_output=True, timeout=seconds + 60)
        times = [int(line.split()[2]) for file in Path(folder).glob("log*") for line in file.read_text().splitlines()]
        bulk = sum(len(file.read_text().splitlines()) for file in Path(folder).glob("bulk*"))
    ordered = sorted(times[int(len(times) * _WARM_PART) :])
    return ordered[len(ordered) // 2] / 1000, ordered[int(len(ordered) * 0.95)] / 1000, bulk / (seconds + _AHEAD_S + 1)


@contextmanager
def _flood(stage: Stage, door: Contestant, seconds: int, clients: int, folder: Path) -> Iterator[None]:
    if not clients:
        yield
        return
    script = folder / "script.sql"
    script.write_text(_BULK)
    command = [stage.pgbench, "-n", "-c", str(clients), "-T", str(seconds), "-l", "--log-prefix", f"{folder}/bulk"]
    environment = dict(os.environ) | {"PGAPPNAME": _APPLICATION, "PGOPTIONS": "-c max_parallel_workers_per_gather=0"}
    quietly = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([*command, "-f", str(script), door.dsn], env=environment, **quietly) as flooding:
        try:
            time.sleep(_AHEAD_S)
            yield
            flooding.wait(seconds + 60)
        finally:
            flooding.kill()
