"""What processes cost, from /proc: a process counts with all its descendants."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")


def family(pid: int) -> Iterator[int]:
    """The process and its descendants, as they are now."""
    yield pid
    for task in _PROC.glob(f"{pid}/task/*/children"):
        with suppress(OSError):
            for child in task.read_text().split():
                yield from family(int(child))


def memory_kib(pid: int) -> tuple[int, int]:
    """Rss and Pss of the family, in KiB. Rss counts shared pages once for each process."""
    rss = pss = 0
    for one in family(pid):
        with suppress(OSError):
            for line in (_PROC / str(one) / "smaps_rollup").read_text().splitlines():
                name, _, rest = line.partition(":")
                if name in ("Rss", "Pss"):
                    kib = int(rest.split()[0])
                    rss, pss = (rss + kib, pss) if name == "Rss" else (rss, pss + kib)
    return rss, pss


def cpu_s(pid: int) -> float:
    """User and system time of the family, with that of children which have ended and were waited for."""
    ticks = 0
    for one in family(pid):
        with suppress(OSError):
            fields = (_PROC / str(one) / "stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def open_files(pid: int) -> int:
    """Descriptors of the family."""
    count = 0
    for one in family(pid):
        with suppress(OSError):
            count += len(os.listdir(_PROC / str(one) / "fd"))
    return count
