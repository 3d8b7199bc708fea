"""`python -m tests.bench LINE`: measures one line of the benchmark, side by side; `all` measures every line and writes
docs/benchmarks.md and docs/profiles.md, `report` writes them from what each line gave last. No test: it asserts
nothing, and only ratios of one run are worth comparing.
"""

from __future__ import annotations

import argparse
import inspect
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tests.bench import (
    connect_rate,
    cpu_per_statement,
    decisions,
    lanes,
    latency,
    memory,
    pooled,
    profiles,
    slow_reader,
    streams,
    workers,
)
from tests.bench.machine import facts
from tests.bench.report import write
from tests.bench.results import Chapter, as_text, keep, kept
from tests.bench.stage import Stage, run_stage

LINES: dict[str, Callable[..., Chapter]] = {
    cpu_per_statement.NAME: cpu_per_statement.measure,
    latency.NAME: latency.measure,
    streams.NAME: streams.measure,
    decisions.NAME: decisions.measure,
    connect_rate.NAME: connect_rate.measure,
    memory.NAME: memory.measure,
    slow_reader.NAME: slow_reader.measure,
    workers.NAME: workers.measure,
    pooled.NAME: pooled.measure,
    lanes.NAME: lanes.measure,
    profiles.NAME: profiles.measure,
}
# Short enough for about 3 minutes in all, and for about 25.
QUICK: dict[str, dict[str, Any]] = {
    "cpu": {"runs": 1, "seconds": 1, "scripts": ["pgbench -S"], "contestants": ["splice", "pgbouncer", "pgwarden"]},
    "latency": {"runs": 1, "seconds": 1},
    "streams": {"runs": 1},
    "decisions": {"processes": 1},
    "connects": {"runs": 1, "seconds": 2},
    "memory": {"sessions": 100, "many": 200},
    "slow-reader": {"gib": 0.25},
    "workers": {"runs": 1, "seconds": 1},
    "pool": {"runs": 1, "statements": 20_000, "seconds": 2},
    "lanes": {"runs": 1, "seconds": 2},
    "profile": {"seconds": 1, "modes": ["simple"]},
}
FULL: dict[str, dict[str, Any]] = {
    "cpu": {"runs": 5, "seconds": 2},
    "latency": {"runs": 5, "seconds": 1},
    "connects": {"runs": 5, "seconds": 3},
    "workers": {"runs": 5, "seconds": 2},
}


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started ends too
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # thousands of links, here and in what is started
    options = _options()
    if options.line == "all":
        _run_all(is_quick=options.quick)
        return
    if options.line == "report":
        _report()
        return
    chosen = dict(QUICK[options.line]) if options.quick else {}
    if options.narrow:
        chosen["scripts"] = ["pgbench -S"]
    given = {"runs": options.runs, "seconds": options.seconds, "clients": options.clients, "modes": options.modes}
    given |= {"contestants": options.contestants}
    chosen |= {name: value for name, value in given.items() if value is not None}
    measure = LINES[options.line]
    known = inspect.signature(measure).parameters
    with run_stage() as stage:
        _show(measure(stage, **{name: value for name, value in chosen.items() if name in known}, tell=_tell))


def _run_all(*, is_quick: bool) -> None:
    """A line that fails is told in the report; the others go on."""
    start, chapters, choice = time.monotonic(), [], QUICK if is_quick else FULL
    with run_stage() as stage:
        found = [["date", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")], *facts(stage)]
        for name, measure in LINES.items():
            chapters.append(_measured(stage, name, measure, choice.get(name, {})))
            _tell(f"after {time.monotonic() - start:.0f} s")
        faults = stage.faults()
    found.append(["faults logged by pgwarden", "; ".join(faults) or "none"])
    found.append(["duration", f"{(time.monotonic() - start) / 60:.0f} minutes"])
    write(chapters, found, "make bench QUICK=1" if is_quick else "make bench")


def _report() -> None:
    """From what each line gave last, perhaps at different times."""
    chapters = [chapter for chapter in map(kept, LINES) if chapter is not None]
    with run_stage() as stage:
        found = [
            [
                "date",
                f"{datetime.now(UTC):%Y-%m-%d %H:%M UTC}, lines measured one by one, at this commit or earlier",
            ],
            *facts(stage),
        ]
    write(chapters, found, "python -m tests.bench report")


def _measured(stage: Stage, name: str, measure: Callable[..., Chapter], choice: dict[str, Any]) -> Chapter:
    try:
        chapter = measure(stage, **choice, tell=_tell)
    except Exception as error:  # noqa: BLE001 - whatever breaks one line, the other lines are worth having
        _tell(traceback.format_exc())
        chapter = Chapter(name, name, "", missing=[f"{name}: it failed ({type(error).__name__}: {str(error)[:200]})"])
    _show(chapter)
    return chapter


def _show(chapter: Chapter) -> None:
    keep(chapter)
    _tell(as_text(chapter))


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("line", choices=[*LINES, "all", "report"])
    parser.add_argument("--quick", action="store_true", help="coarse figures, in a tenth of the time")
    parser.add_argument("--narrow", action="store_true", help="cpu: only pgbench -S")
    parser.add_argument("--runs", type=int)
    parser.add_argument("--seconds", type=int)
    parser.add_argument("--clients", type=int)
    parser.add_argument("--modes", type=_listed, help="cpu: of " + ",".join(cpu_per_statement.MODES))
    parser.add_argument("--contestants", type=_listed, help="cpu: of " + ",".join(cpu_per_statement.CONTESTANTS))
    return parser.parse_args()


def _listed(text: str) -> list[str]:
    return text.split(",")


if __name__ == "__main__":
    main()
