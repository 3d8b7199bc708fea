"""A running pgwarden's worker processes, as the system shows them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.fix_pgwarden import Pgwarden, until

_MODULE = "proxy.worker_process"


def worker_pids(supervisor: int) -> dict[int, int]:
    """Process ids by the worker's number."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _parent(entry) == supervisor:
            arguments = _arguments(entry)
            if _MODULE in arguments:
                found[int(arguments[arguments.index(_MODULE) + 1])] = int(entry.name)
    return found


def workers_of(instance: Pgwarden) -> dict[int, int]:
    assert instance.process is not None
    return worker_pids(instance.process.pid)


def replaced(instance: Pgwarden, worker: int, number: signal.Signals) -> int:
    """Sends the signal to this worker and waits until another process does its work; gives the new process id."""
    former = workers_of(instance)[worker]
    os.kill(former, number)
    until(lambda: workers_of(instance).get(worker, former) != former, "another process")
    until(lambda: instance.readiness()[0], "/readyz")
    return workers_of(instance)[worker]


def is_running(process_id: int) -> bool:
    state = _stat(Path(f"/proc/{process_id}"))
    return bool(state) and state[0] != "Z"


def _parent(entry: Path) -> int:
    found = _stat(entry)
    return int(found[1]) if found else 0


def _stat(entry: Path) -> list[str]:
    """State, parent and so on: what stands behind the name."""
    try:
        return (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _arguments(entry: Path) -> list[str]:
    try:
        return (entry / "cmdline").read_text().split("\0")
    except OSError:
        return []
