"""What a contestant adds to a statement's latency at one client, by pgbench's log of single statements."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench.results import Chapter, Plot, Table, Target, at_most
from tests.bench.stage import DIRECT, POOLER, RULED, SPLICE, Contestant, Stage
from tests.bench.trials import Spread, Tell, in_turns, quiet

NAME = "latency"
CONTESTANTS = (DIRECT, SPLICE, POOLER, RULED)
MODES = ("simple", "extended", "prepared")
PARTS = {"p50": (0.5, 1.5), "p99": (0.99, 2.0)}
_WARM_PART = 0.1
_TEXT = """\
pgbench -S at one client, {runs} rounds of {seconds} s for each; every statement's time from pgbench's own log, the
first tenth left out. *Added* is a contestant's percentile less the direct one of the same round; the target compares
what pgwarden adds with what PgBouncer adds. On a busy machine p99 is mostly the machine's."""
Found = dict[str, list[list[float]]]  # by contestant: the percentiles of each round, us, in the order of PARTS


def measure(stage: Stage, *, runs: int = 5, seconds: int = 4, tell: Tell = quiet) -> Chapter:
    by_mode: dict[str, Found] = {}
    for mode in MODES:
        found = by_mode.setdefault(mode, {})
        for number, name in in_turns(CONTESTANTS, runs):
            times = _times_us(stage, stage.contestant(name), mode, seconds)
            found.setdefault(name, []).append([_percentile(times, part) for part, _ in PARTS.values()])
            tell(f"latency {mode} {number + 1} {name}: " + ", ".join(f"{us:.0f} us" for us in found[name][-1]))
        stage.settle()
    judged = [one for mode, found in by_mode.items() for one in _judged(mode, found)]
    targets = [one for one in judged if isinstance(one, Target)]
    missing = [one for one in judged if isinstance(one, str)]
    text = _TEXT.format(runs=runs, seconds=seconds)
    tables = [_table(mode, found) for mode, found in by_mode.items()]
    return Chapter(NAME, "Latency at one client", text, targets, tables, [_plot(by_mode)], missing)


def _times_us(stage: Stage, contestant: Contestant, mode: str, seconds: int) -> list[int]:
    with tempfile.TemporaryDirectory() as folder:
        command = [stage.pgbench, "-n", "-S", "-M", mode, "-T", str(seconds), "-l", "--log-prefix", f"{folder}/log"]
        subprocess.run([*command, contestant.dsn], check=True, capture_output=True, timeout=seconds + 60)
        lines = [line.split() for file in Path(folder).glob("log*") for line in file.read_text().splitlines()]
    times = [int(fields[2]) for fields in lines]
    return sorted(times[int(len(times) * _WARM_PART) :])


def _percentile(ordered: list[int], part: float) -> float:
    return float(ordered[min(len(ordered) - 1, int(len(ordered) * part))])


def _added(found: Found, name: str, part: int) -> list[float]:
    return [own[part] - direct[part] for own, direct in zip(found[name], found[DIRECT], strict=True)]


def _judged(mode: str, found: Found) -> Iterator[Target | str]:
    """The medians are compared. A reason instead, where PgBouncer seemed to add nothing: the machine was too busy."""
    for part, (name, (_, limit)) in enumerate(PARTS.items()):
        ours, theirs = Spread.of(_added(found, RULED, part)).median, Spread.of(_added(found, POOLER, part)).median
        what = f"latency added at 1 client, {name}, against PgBouncer's: {mode}"
        shown = f"{ours:.0f} us against {theirs:.0f} us"
        if theirs > 0:
            yield at_most(what, limit, ours / theirs, f"{ours / theirs:.2f} ({shown})")
        else:
            yield f"{what}: {shown}; noise of the machine hides it"


def _table(mode: str, found: Found) -> Table:
    head = ["contestant", "p50 us", "p99 us", "added p50 us", "added p99 us"]
    lines = []
    for name in found:
        percentiles = [Spread.of(round_[part] for round_ in found[name]).text(".0f") for part in range(2)]
        added = ["", ""] if name == DIRECT else [Spread.of(_added(found, name, part)).text(".0f") for part in range(2)]
        lines.append([name, *percentiles, *added])
    return Table(f"one client, {mode}", head, lines)


def _plot(by_mode: dict[str, Found]) -> Plot:
    names = [name for name in CONTESTANTS if name != DIRECT]
    values = {name: [Spread.of(_added(found, name, 0)).median for found in by_mode.values()] for name in names}
    return Plot("latency", "Latency added at one client, p50", "us", list(by_mode), values)
