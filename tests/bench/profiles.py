"""Where the microseconds of one statement go: perf's samples, strace's counts of system calls, py-spy's functions.

Each tool looks at the process that carries bytes, while pgbench -S runs through it. Tools that aren't there are told.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench.load import PROGRESS, Load, pgbench_command
from tests.bench.processes import usage_of
from tests.bench.results import Chapter, Table
from tests.bench.stage import POOLER, RULED, Contestant, Stage
from tests.bench.trials import Tell, quiet

NAME = "profile"
_CALL = re.compile(r"^\s*[0-9.]+\s+[0-9.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$")
_SHARE = re.compile(r"^\s*([0-9.]+)%\s+(\S+)\s*(?:\[([k.])\]\s+(.*\S))?\s*$")
_LISTED = 20
_TEXT = """\
pgbench -S at 16 clients. *CPU* comes from `/proc/PID/stat` while no tool looks; perf's shares (`perf record -F 1999`)
divide it among the kernel, the interpreter, uvloop and our compiled modules; symbols of our modules are ours, the
kernel's are system calls. `strace -c -f` slows everything: only its counts are used, divided by the statements of the
same seconds. `py-spy` (500 Hz, only threads that hold the interpreter's lock) names functions by their own time; time
in compiled code counts for the interpreted function that called it."""


def measure(
    stage: Stage, *, seconds: int = 3, modes: Sequence[str] = ("simple", "extended", "prepared"), tell: Tell = quiet
) -> Chapter:
    tables: list[Table] = []
    missing = [f"{tool}: not installed" for tool in ("perf", "strace", "py-spy") if _program(tool) is None]
    for mode in modes:
        for name in (POOLER, RULED):
            tell(f"profile {mode} {name}")
            tables += _Profile(stage, stage.contestant(name), mode, seconds).tables(missing)
        stage.settle()
    return Chapter(NAME, "Where the microseconds go", _TEXT, [], tables, [], sorted(set(missing)))


class _Profile:
    """One contestant in one query mode."""

    def __init__(self, stage: Stage, contestant: Contestant, mode: str, seconds: int) -> None:
        self._stage = stage
        self._mode = mode
        self._seconds = max(2, seconds)  # at least one progress line
        self._pid = contestant.workers[0]
        self._contestant = contestant
        self._title = f"{contestant.name}, {mode}"
        self._file = stage.folder / "profile"

    def tables(self, missing: list[str]) -> list[Table]:
        cpu_us, per_second = self._plain()
        found = []
        for tool in (self._perf, self._strace, self._spy):
            try:
                found += tool(cpu_us, per_second)
            except (subprocess.SubprocessError, OSError, RuntimeError) as error:
                missing.append(f"{tool.__name__.strip('_')}, {self._title}: {str(error)[-160:].strip()}")
        return found

    def _plain(self) -> tuple[float, float]:
        """CPU of a statement in us, and statements per second, with nobody looking."""
        spent: list[float] = []

        def look() -> None:
            before = usage_of([self._pid])
            time.sleep(self._seconds)
            spent.append((usage_of([self._pid]) - before).cpu_s)

        per_second = self._under_load(look)
        return spent[0] / (per_second * self._seconds) * 1e6, per_second

    def _under_load(self, work: Callable[[], None]) -> float:
        """Does it from pgbench's first progress line on. Statements per second meanwhile."""
        load = Load(self._mode)
        command = pgbench_command(self._stage, self._contestant, load, self._stage.folder)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        try:
            if not any(PROGRESS.match(line) for line in process.stderr):
                raise RuntimeError("pgbench made no progress")
            work()
        finally:
            process.kill()
            _, said = process.communicate()
        rates = [float(found[2]) for found in map(PROGRESS.match, said.splitlines()) if found]
        if not rates or not sum(rates):
            raise RuntimeError(f"pgbench made no progress: {said[-300:]}")
        return sum(rates) / len(rates)

    def _perf(self, cpu_us: float, per_second: float) -> list[Table]:
        perf = _program("perf")
        if perf is None:
            return []
        command = [perf, "record", "-q", "-F", "1999", "-o", str(self._file), "-p", str(self._pid), "--", "sleep"]
        self._under_load(lambda: _ran([*command, str(self._seconds)]))
        parts = _shares(perf, self._file, "dso")
        symbols = _shares(perf, self._file, "dso,sym")
        lines = [[name, f"{share:.1f} %", f"{share * cpu_us / 100:.1f}"] for name, share in parts if share >= 0.5]
        lines.append(["all", "100 %", f"{cpu_us:.1f}"])
        top = [[name, f"{share:.1f} %", f"{share * cpu_us / 100:.2f}"] for name, share in symbols[:_LISTED]]
        return [
            Table(f"{self._title}: by program and library (perf)", ["part", "share", "us"], lines),
            Table(f"{self._title}: by symbol (perf)", ["symbol", "share", "us"], top),
        ]

    def _strace(self, cpu_us: float, per_second: float) -> list[Table]:
        strace = _program("strace")
        if strace is None:
            return []
        found: list[str] = []
        rate = self._under_load(lambda: found.append(_counted(strace, self._pid, self._file, 2.0)))
        counts = {match[2]: int(match[1]) for match in map(_CALL.match, found[0].splitlines()) if match}
        counts.pop("total", None)
        base = sum(counts.get(name, 0) for name in _SENDING)
        if not counts or not base:
            raise RuntimeError(f"no calls were counted: {found[0][-200:]}")
        lines = [[name, str(count), f"{count * 2 / base:.2f}"] for name, count in _largest(counts)]
        title = f"{self._title}: system calls in 2 s (strace; {rate:.0f} statements/s while it looked, in part)"
        return [Table(title, ["call", "count", "for each two writes"], lines)]

    def _spy(self, cpu_us: float, per_second: float) -> list[Table]:
        spy = _program("py-spy")
        if spy is None or self._contestant.sidecar is None:
            return []
        command = [spy, "record", "-r", "500", "-g", "-f", "raw", "-o", str(self._file), "-p", str(self._pid), "-d"]
        self._under_load(lambda: _ran([*command, str(self._seconds)]))
        own: Counter[str] = Counter()
        for line in self._file.read_text("utf-8", "replace").splitlines():
            stack, _, count = line.rpartition(" ")
            own[re.sub(r":\d+\)$", ")", stack.rpartition(";")[2])] += int(count)
        total = sum(own.values()) or 1
        lines = [[name, f"{count / total:.1%}"] for name, count in own.most_common(_LISTED)]
        return [Table(f"{self._title}: by function, its own time (py-spy)", ["function", "share"], lines)]


_SENDING = ("write", "writev", "sendto", "sendmsg")  # a statement sends twice: to the server, to the client


def _largest(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: -pair[1])[:10]


def _program(name: str) -> str | None:
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name)


def _ran(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise RuntimeError(f"{Path(command[0]).name} ended with {done.returncode}: {done.stderr[-200:]}")


def _counted(strace: str, pid: int, file: Path, seconds: float) -> str:
    process = subprocess.Popen([strace, "-c", "-f", "-o", str(file), "-p", str(pid)], stderr=subprocess.PIPE, text=True)
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    return file.read_text() if file.exists() and os.path.getsize(file) else said


def _shares(perf: str, file: Path, by: str) -> list[tuple[str, float]]:
    command = [perf, "report", "-i", str(file), "--stdio", "--sort", by, "-g", "none"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    found = []
    for line in done.stdout.splitlines():
        match = _SHARE.match(line)
        if match:
            name = Path(match[2]).name
            found.append((f"{name} {match[4]}" if match[4] else name, float(match[1])))
    if not found:
        raise RuntimeError(f"perf report gave nothing: {done.stderr[-200:]}")
    return found
