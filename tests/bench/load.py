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

PROGRESS = re.compile(r"progress: ([0-9.]+) s, ([0-9.]+) tps, lat ([0-9.]+) ms stddev ([0-9.]+)(?:, (\d+) failed)?")
ENDLESS_S = 900  # pgbench counts its duration from before the logins, so it is stopped instead


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
        command = pgbench_command(stage, contestant, load, Path(folder))
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            looks, said = _watch(process, contestant, load.seconds)
        finally:
            process.kill()
            process.communicate()
    if len(looks) <= load.seconds or "error" in said or "aborted" in said:
        raise RuntimeError(f"pgbench through {contestant.name}: {said[-2000:]}")
    return _measured(contestant, looks)


def pgbench_command(stage: Stage, contestant: Contestant, load: Load, folder: Path) -> list[str]:
    """Of a load without an end, with a progress line every second."""
    command = [stage.pgbench, "-n", "-M", load.mode, "-c", str(load.clients), "-j", "1", "-P", "1"]
    command += ["-T", str(ENDLESS_S)]
    if load.script is None:
        return [*command, "-S", contestant.dsn]
    script = folder / "script.sql"
    script.write_text(load.script)
    return [*command, "-f", str(script), contestant.dsn]


def _watch(process: subprocess.Popen[str], contestant: Contestant, seconds: int) -> tuple[list[_Look], str]:
    """One line more than `seconds`: the first begins what counts."""
    assert process.stderr is not None
    looks: list[_Look] = []
    said = ""
    for line in process.stderr:
        progress = PROGRESS.match(line)
        if progress is None:
            said += line
            continue
        if progress[5] and int(progress[5]):
            said += f"error: {line}"
        now = time.monotonic()
        looks.append(_Look(now, float(progress[2]), usage_of(contestant.workers), usage_of(contestant.everyone)))
        if len(looks) > seconds:
            break
    return looks, said


def _measured(contestant: Contestant, looks: list[_Look]) -> Measured:
    first, last = looks[0], looks[-1]
    pairs = zip(looks, looks[1:], strict=False)
    statements = sum(later.per_second * (later.at_s - earlier.at_s) for earlier, later in pairs)
    if statements <= 0:
        raise RuntimeError(f"no statement came through {contestant.name}")
    late_s = 0.0
    if contestant.sidecar is not None:
        begin = usage_of(contestant.everyone)
        if not contestant.sidecar.drain():
            raise RuntimeError("the store didn't take all records in time")
        late_s = (usage_of(contestant.everyone) - begin).cpu_s * statements / (statements + first.per_second)
    whole_s = (last.everyone - first.everyone).cpu_s + late_s
    return Measured(statements, last.at_s - first.at_s, last.worker - first.worker, whole_s)
