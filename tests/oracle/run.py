"""A long hunt: ``python -m tests.oracle.run FOLDER``; started again with the same folder it goes on where it was.

Each worker has a server, a pgwarden and every Nth block of statements of its own, and writes after each block what came
out so far (worker-0.json) and whatever it found (findings.jsonl). ``--summary`` prints the sum of all workers,
``--keep`` makes counterexamples of the findings.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from proxy.installation import find_system
from tests.oracle.counterexamples import keep
from tests.oracle.hunt import Finding, Hunter, Tally, batches
from tests.oracle.sieve import Sieve
from tests.oracle.stand import open_stand, server_of
from tests.oracle.wide import statement_of

BLOCK = 1000
_EVERY_S = 60.0
_SHORT = 300


@dataclass
class State:
    """One worker's counts. `next_block`: the first that isn't done; `seconds`: spent on statements, in all runs."""

    server: str
    version: str = ""
    next_block: int = 0
    seconds: float = 0.0
    verdicts: dict[str, int] = field(default_factory=dict)
    refusals: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)
    states: dict[str, int] = field(default_factory=dict)

    def add(self, tally: Tally) -> None:
        for mine, more in (
            (self.verdicts, tally.verdicts),
            (self.refusals, tally.refusals),
            (self.states, tally.states),
        ):
            for name, count in more.items():
                mine[name] = mine.get(name, 0) + count
        for reason, sql in tally.examples.items():
            self.examples[reason] = min(self.examples.get(reason, sql), sql, key=len)


@dataclass(frozen=True, slots=True)
class Job:
    folder: Path
    seed: int
    statements: int
    workers: int
    seconds: float | None


def work(job: Job, number: int, kind: str) -> None:
    """All blocks of one worker. Ends early, after a block, when its time is up; at once, but tidily, at SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    place = job.folder / f"worker-{number}.json"
    state = State(**json.loads(place.read_text())) if place.exists() else State(kind)
    state.next_block = max(state.next_block, number)
    scratch = Path(tempfile.mkdtemp(prefix="oracle-"))
    try:
        with server_of(kind, scratch) as server, open_stand(server, scratch) as stand:
            state.version = stand.version
            sieve, end = Sieve(stand.canaries), None if job.seconds is None else time.monotonic() + job.seconds
            while state.next_block * BLOCK < job.statements and (end is None or time.monotonic() < end):
                begin = time.monotonic()
                hunter = Hunter(stand, sieve)
                first = state.next_block * BLOCK
                for batch in batches(partial(statement_of, job.seed), range(first, min(first + BLOCK, job.statements))):
                    _keep(job.folder, kind, job.seed, hunter.hunt(batch))
                hunter.close()
                state.add(hunter.tally)
                state.next_block += job.workers
                state.seconds += time.monotonic() - begin
                _save(place, state)
                _forget_records(stand.gateway.configuration)
            assert stand.gateway.faults() == [], stand.gateway.faults()[:3]
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _forget_records(configuration: dict[str, Any]) -> None:
    """What a long run records would fill the disk."""
    with psycopg.connect(configuration["audit"]["store"], autocommit=True) as connection:
        if connection.execute("SELECT count(*) > 200000 FROM pgwarden.records").fetchone() == (True,):
            connection.execute("TRUNCATE pgwarden.records")


def _keep(folder: Path, kind: str, seed: int, findings: Sequence[Finding]) -> None:
    with (folder / "findings.jsonl").open("a", encoding="utf-8") as out:
        for finding in findings:
            entry = {
                "server": kind,
                "seed": seed,
                "number": finding.statement.number,
                "verdict": finding.verdict.value,
                "path": finding.statement.path.value,
                "what": finding.what,
                "sql": finding.statement.sql,
                "is_ordered": finding.statement.is_ordered,
                "parameters": [parameter.decode() for parameter in finding.statement.parameters],
            }
            out.write(json.dumps(entry, ensure_ascii=False) + "\n")


def _save(place: Path, state: State) -> None:
    fresh = place.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(state), ensure_ascii=False, indent=1), "utf-8")
    fresh.replace(place)


def summary(folder: Path) -> str:
    """All workers together, as lines of text."""
    states = [State(**json.loads(place.read_text())) for place in sorted(folder.glob("worker-*.json"))]
    job = json.loads((folder / "job.json").read_text()) if (folder / "job.json").exists() else {}
    verdicts, refusals, errors = Counter[str](), Counter[str](), Counter[str]()
    examples: dict[str, str] = {}
    for state in states:
        verdicts.update(state.verdicts)
        refusals.update(state.refusals)
        errors.update(state.states)
        examples |= state.examples
    total = sum(verdicts.values())
    seconds = max((state.seconds for state in states), default=0.0)
    allowed = 1 - verdicts["refused"] / max(1, total)
    servers = ", ".join(f"PostgreSQL {state.version} (block {state.next_block})" for state in states)
    lines = [
        f"seed {job.get('seed')}, commit {job.get('commit', 'unknown')}, {servers}",
        f"{total:,} of {job.get('statements', 0):,} statements, {seconds:,.0f} s,"
        f" {total / max(1.0, seconds):.0f} per second",
        f"allowed {allowed:.2%}; leaks {verdicts['leak']}, differences {verdicts['different']},"
        f" undetermined {verdicts['undetermined']}",
        f"verdicts {dict(verdicts.most_common())}",
        f"SQLSTATEs {dict(errors.most_common(12))}",
    ]
    lines += [
        f"refused {count:>7,}  {reason}\n    {examples[reason][:_SHORT]}" for reason, count in refusals.most_common(15)
    ]
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--statements", type=int, default=2_000_000)
    parser.add_argument("--seconds", type=float, help="end after this time")
    parser.add_argument("--servers", help="one worker for each: 18 (the wheel's) or 15 (the system's)")
    parser.add_argument("--commit", default="unknown", help="of the code that runs, for the summary")
    parser.add_argument("--summary", action="store_true")
    parser.add_argument("--keep", type=Path, help="shrink what was found into this folder instead")
    return parser.parse_args()


def main() -> int:
    """0 when nothing was found."""
    given = _arguments()
    if given.summary or given.keep:
        sys.stdout.write(summary(given.folder) + "\n" if given.summary else keep(given.folder, given.keep))
        return 0
    given.folder.mkdir(parents=True, exist_ok=True)
    kinds = (given.servers or ("18,15" if find_system() else "18")).split(",")
    job = Job(given.folder, given.seed, given.statements, len(kinds), given.seconds)
    about = {"seed": job.seed, "statements": job.statements, "commit": given.commit, "servers": kinds}
    _check_same(given.folder / "job.json", about)
    workers = [multiprocessing.Process(target=work, args=(job, n, kind)) for n, kind in enumerate(kinds)]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        _wait(workers)
        sys.stdout.write(time.strftime("%H:%M:%S ") + "\n".join(summary(given.folder).splitlines()[1:3]) + "\n")
        sys.stdout.flush()
    sys.stdout.write(summary(given.folder) + "\n")
    found = given.folder / "findings.jsonl"
    return int(any(worker.exitcode for worker in workers) or (found.exists() and found.stat().st_size > 0))


def _wait(workers: Sequence[multiprocessing.Process]) -> None:
    end = time.monotonic() + _EVERY_S
    for worker in workers:
        worker.join(max(0.0, end - time.monotonic()))


def _check_same(place: Path, about: dict[str, Any]) -> None:
    """A folder holds one run: another seed or another number of workers would count blocks otherwise."""
    if place.exists():
        before = json.loads(place.read_text())
        if (before["seed"], before["servers"]) != (about["seed"], about["servers"]):
            raise SystemExit(f"{place} belongs to another run: {before}")
    place.write_text(json.dumps(about))


if __name__ == "__main__":
    raise SystemExit(main())
