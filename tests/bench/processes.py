"""What Linux tells of running processes: their CPU time, context switches and memory. It starts none."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Usage:
    """Seconds in user and kernel mode, and how often the threads that live now gave the CPU up or lost it."""

    user_s: float = 0.0
    system_s: float = 0.0
    waits: int = 0
    preemptions: int = 0

    @property
    def cpu_s(self) -> float:
        return self.user_s + self.system_s

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.user_s + other.user_s,
            self.system_s + other.system_s,
            self.waits + other.waits,
            self.preemptions + other.preemptions,
        )

    def __sub__(self, other: Usage) -> Usage:
        return Usage(
            self.user_s - other.user_s,
            self.system_s - other.system_s,
            self.waits - other.waits,
            self.preemptions - other.preemptions,
        )


def usage_of(pids: Iterable[int]) -> Usage:
    """All of them together. One that has ended counts as nothing."""
    return sum((_usage(pid) for pid in pids), Usage())


def family_of(root: int) -> list[int]:
    """`root` and all its descendants that live now."""
    children: dict[int, list[int]] = {}
    for pid, parent in _parents():
        children.setdefault(parent, []).append(pid)
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def command_of(pid: int) -> list[str]:
    try:
        return (_PROC / str(pid) / "cmdline").read_text("utf-8", "replace").split("\0")[:-1]
    except OSError:
        return []


def memory_bytes(pids: Iterable[int]) -> int:
    """The private and the shared pages, each shared page divided among those who share it."""
    return sum(_rollup_kib(pid, "Pss") for pid in pids) << 10


def resident_bytes(pids: Iterable[int]) -> int:
    return sum(_status_kib(pid, "VmRSS") for pid in pids) << 10


def _parents() -> Iterator[tuple[int, int]]:
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields:
                yield int(entry.name), int(fields[1])


def _stat(pid: int) -> list[str]:
    """The fields after the command's name; the first is the state, number 3 of proc(5)."""
    try:
        return (_PROC / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return []


def _usage(pid: int) -> Usage:
    fields = _stat(pid)
    if not fields:
        return Usage()
    waits, preemptions = _switches(pid)
    return Usage(int(fields[11]) * _TICK_S, int(fields[12]) * _TICK_S, waits, preemptions)


def _switches(pid: int) -> tuple[int, int]:
    waits = preemptions = 0
    for status in (_PROC / str(pid) / "task").glob("*/status"):
        try:
            lines = status.read_text("utf-8", "replace").splitlines()
        except OSError:
            continue
        waits += _number(lines, "voluntary_ctxt_switches")
        preemptions += _number(lines, "nonvoluntary_ctxt_switches")
    return waits, preemptions


def _rollup_kib(pid: int, name: str) -> int:
    return _file_number(_PROC / str(pid) / "smaps_rollup", name)


def _status_kib(pid: int, name: str) -> int:
    return _file_number(_PROC / str(pid) / "status", name)


def _file_number(file: Path, name: str) -> int:
    try:
        return _number(file.read_text("utf-8", "replace").splitlines(), name)
    except OSError:
        return 0


def _number(lines: Iterable[str], name: str) -> int:
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)
