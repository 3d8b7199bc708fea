"""Runs a suite's program in a process group of its own, with a time limit, its output in a file."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from proxy.installation import ServerUser


@dataclass(frozen=True, slots=True)
class Finished:
    """`code` is None when it took too long and was killed."""

    code: int | None
    log: Path

    @property
    def text(self) -> str:
        return self.log.read_text("utf-8", "replace")


def run_program(
    command: Sequence[str | Path],
    log: Path,
    *,
    folder: Path,
    limit_s: float,
    environment: Mapping[str, str] | None = None,
    user: ServerUser | None = None,
) -> Finished:
    """The caller's PG* variables don't count: only those of `environment`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**inherited, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=None if user is None else user.uid,
            group=None if user is None else user.gid,
            extra_groups=None if user is None else [],
        )
        try:
            return Finished(process.wait(limit_s), log)
        except subprocess.TimeoutExpired:
            return Finished(None, log)
        finally:
            _end_group(process)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """What the program has started goes with it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        process.wait()


def require_program(command: Sequence[str | Path], log: Path, *, folder: Path, limit_s: float = 900) -> None:
    """For steps that must succeed: RuntimeError with the end of the output."""
    finished = run_program(command, log, folder=folder, limit_s=limit_s)
    if finished.code != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {finished.text[-2000:]}")
