"""`python -m tests.bench LINE`: measures one line of the benchmark, side by side; `all` measures every line and writes
docs/benchmarks.md and docs/profiles.md. No test: it asserts nothing, and only ratios of one run are worth comparing.
"""

from __future__ import annotations

import argparse
import signal
import sys

from tests.bench import cpu_per_statement
from tests.bench.results import Chapter, as_text, keep
from tests.bench.stage import run_stage


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started ends too
    options = _options()
    with run_stage() as stage:
        chapter = cpu_per_statement.measure(
            stage,
            runs=options.runs,
            seconds=options.seconds,
            clients=options.clients,
            modes=options.modes.split(","),
            contestants=options.contestants.split(","),
            scripts=list(cpu_per_statement.SCRIPTS)[: 2 if options.wide else 1],
            tell=_tell,
        )
    _show(chapter)


def _show(chapter: Chapter) -> None:
    keep(chapter)
    _tell(as_text(chapter))


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("line", choices=["cpu"])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--modes", default=",".join(cpu_per_statement.MODES))
    parser.add_argument("--contestants", default=",".join(cpu_per_statement.CONTESTANTS))
    parser.add_argument("--wide", action="store_true", help="also a statement of two columns")
    return parser.parse_args()


if __name__ == "__main__":
    main()
