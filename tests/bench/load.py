"""pgbench runs through one contestant, with what they cost its processes.

Logins and the first second are left out: CPU and statements are read at each of pgbench's progress lines, from the
first one to the last. Records that are still to be shipped when the load ends are shipped before the next run, and
that time counts for the whole sidecar.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench.processes import Usage, usage_of
from tests.bench.stage import Contestant, Stage

_PROGRESS = re.compile(r"progress: ([0-9.]+) s, ([0-9.]+) tps, lat ([0-9.]+) ms stddev ([0-9.]+)(?:, (\d+) failed)?")
_PROCESSED = re.compile(r"number of transactions actually processed: (\d+)")
_FAILED = re.compile(r"number of failed transactions: (\d+)")


@dataclass(frozen=True, slots=True)
class Load:
    """`script` None is pgbench's own -S. One statement is one transaction."""

    mode: str = "simple"
    clients: int = 16
    seconds: int = 5
    script: str | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run gave. `worker`: CPU of the processes that carry bytes; `whole_s`: of all, with late shipping."""

    statements: float
    seconds: float
    worker: Usage
    whole_s: float

    @property
    def per_second(self) -> float:
        return self.statements / self.seconds

    @property
    def worker_us(self) -> float:
        return self.worker.cpu_s / self.statements * 1e6

    @property
    def whole_us(self) -> float:
        return self.whole_s / self.statements * 1e6


@dataclass(frozen=True, slots=True)
class _Look:
    """At one progress line."""

    at_s: float
    per_second: float
    worker: Usage
    everyone: Usage


def run_load(stage: Stage, contestant: Contestant, load: Load) -> Measured:
    """Raises RuntimeError when a statement failed: its figures would be worth nothing."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            _command(stage, contestant, load, Path(folder)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            looks, said = _watch(process, contestant)
            out, rest = process.communicate(timeout=30)
        finally:
            process.kill()
            process.wait()
    processed, failed = _PROCESSED.search(out), _FAILED.search(out)
    if process.returncode != 0 or processed is None or failed is None or int(failed[1]) or len(looks) < 2:
        raise RuntimeError(f"pgbench through {contestant.name}: {said[-2000:]}{rest[-2000:]}{out[-500:]}")
    return _measured(contestant, looks, int(processed[1]))


def _command(stage: Stage, contestant: Contestant, load: Load, folder: Path) -> list[str]:
    command = [stage.pgbench, "-n", "-M", load.mode, "-c", str(load.clients), "-j", "1", "-P", "1"]
    command += ["-T", str(load.seconds + 2)]  # the first second is left out, and the last has no line
    if load.script is None:
        return [*command, "-S", contestant.dsn]
    script = folder / "script.sql"
    script.write_text(load.script)
    return [*command, "-f", str(script), contestant.dsn]


def _watch(process: subprocess.Popen[str], contestant: Contestant) -> tuple[list[_Look], str]:
    assert process.stderr is not None
    looks, said = [], ""
    for line in process.stderr:
        progress = _PROGRESS.match(line)
        if progress is None:
            said += line
            continue
        now = time.monotonic()
        looks.append(_Look(now, float(progress[2]), usage_of(contestant.workers), usage_of(contestant.everyone)))
    return looks, said


def _measured(contestant: Contestant, looks: list[_Look], processed: int) -> Measured:
    first, last = looks[0], looks[-1]
    pairs = zip(looks, looks[1:], strict=False)
    statements = sum(later.per_second * (later.at_s - earlier.at_s) for earlier, later in pairs)
    late_s = 0.0
    if contestant.sidecar is not None:
        begin = usage_of(contestant.everyone)
        if not contestant.sidecar.drain():
            raise RuntimeError("the store didn't take all records in time")
        late_s = (usage_of(contestant.everyone) - begin).cpu_s * statements / processed
    whole_s = (last.everyone - first.everyone).cpu_s + late_s
    return Measured(statements, last.at_s - first.at_s, last.worker - first.worker, whole_s)
