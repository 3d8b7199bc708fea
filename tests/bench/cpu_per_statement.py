"""CPU per statement and statements per second of pgbench -S, by query mode and contestant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.bench.load import Load, Measured, run_load
from tests.bench.results import Chapter, Plot, Table, Target, at_least, at_most
from tests.bench.stage import DIRECT, OPEN, POOLER, POOLER_TRANSACTION, RULED, SPLICE, STRICT, Stage
from tests.bench.trials import Spread, Tell, in_turns, quiet, ratios

NAME = "cpu"
MODES = ("simple", "extended", "prepared")
CONTESTANTS = (DIRECT, SPLICE, POOLER, POOLER_TRANSACTION, OPEN, RULED, STRICT)
WIDE = r"""\set aid random(1, 1000000)
SELECT abalance, filler FROM pgbench_accounts WHERE aid = :aid;
"""
SCRIPTS: dict[str, str | None] = {"pgbench -S": None, "SELECT abalance, filler": WIDE}
WIDE_CONTESTANTS = (POOLER, RULED)
CPU_LIMIT, SPEED_LIMIT = 1.25, 0.9
_TEXT = """\
pgbench at {clients} clients on one thread, {runs} rounds of {seconds} s for each contestant and query mode; in each
round all contestants take their turn. CPU is user and system time from `/proc/PID/stat` between pgbench's first
progress line and its last, so logins and the first second don't count. Two figures for pgwarden: *worker* is the
processes that carry clients' bytes; *whole* is every process of the sidecar, with what is shipped to the audit store
after the load has ended. The target is compared with *whole*. PgBouncer has one process, without any policy.
`pgwarden` filters rows by `bid >= 1` (all rows pass, so that everybody carries the same ones), masks `abalance` and
records every statement (`grouped`) in a real store. `pgwarden-open` may do everything and is recorded too,
`pgwarden-strict` is `pgwarden` with every statement waiting for an fsync. `splice` hands chunks on in uvloop and looks
at none: the floor. In transaction mode PgBouncer 1.18 lacks prepared statements."""


@dataclass
class Runs:
    """All rounds of one script and query mode, by contestant."""

    script: str
    mode: str
    by_name: dict[str, list[Measured]] = field(default_factory=dict)

    def figures(self, name: str, figure: Callable[[Measured], float]) -> list[float]:
        return [figure(measured) for measured in self.by_name[name]]


def measure(
    stage: Stage,
    *,
    runs: int = 5,
    seconds: int = 5,
    clients: int = 16,
    modes: Sequence[str] = MODES,
    contestants: Sequence[str] = CONTESTANTS,
    scripts: Sequence[str] = tuple(SCRIPTS),
    tell: Tell = quiet,
) -> Chapter:
    found = []
    for script in scripts:
        for mode in modes:
            names = [name for name in contestants if _takes_part(name, script, mode)]
            found.append(_rounds(stage, Runs(script, mode), names, runs, seconds, clients, tell))
    return _chapter(found, _TEXT.format(clients=clients, runs=runs, seconds=seconds))


def _takes_part(name: str, script: str, mode: str) -> bool:
    if SCRIPTS[script] is not None and name not in WIDE_CONTESTANTS:
        return False
    return mode == "simple" or name != STRICT and (mode == "extended" or name != POOLER_TRANSACTION)


def _rounds(
    stage: Stage,
    into: Runs,
    names: Sequence[str],
    runs: int,
    seconds: int,
    clients: int,
    tell: Tell,
) -> Runs:
    load = Load(into.mode, clients, seconds, SCRIPTS[into.script])
    for number, name in in_turns(names, runs):
        measured = run_load(stage, stage.contestant(name), load)
        into.by_name.setdefault(name, []).append(measured)
        tell(f"{into.script} {into.mode} {number + 1} {name}: {_one_line(measured)}")
    stage.settle()
    return into


def _one_line(measured: Measured) -> str:
    cpu = f"worker {measured.worker_us:.1f} us, whole {measured.whole_us:.1f} us" if measured.whole_s else ""
    return f"{measured.per_second:.0f}/s {cpu}"


def _chapter(found: Sequence[Runs], text: str) -> Chapter:
    targets = [target for runs in found if {RULED, POOLER} <= runs.by_name.keys() for target in _targets(runs)]
    plots = [_plot(found, script) for script in dict.fromkeys(runs.script for runs in found)]
    return Chapter(NAME, "CPU and throughput per statement", text, targets, [_table(runs) for runs in found], plots)


def _targets(runs: Runs) -> list[Target]:
    what = f"{runs.script}, {runs.mode}"
    cpu = ratios(runs.figures(RULED, lambda m: m.whole_us), runs.figures(POOLER, lambda m: m.whole_us))
    worker = ratios(runs.figures(RULED, lambda m: m.worker_us), runs.figures(POOLER, lambda m: m.worker_us))
    speed = ratios(runs.figures(RULED, lambda m: m.per_second), runs.figures(POOLER, lambda m: m.per_second))
    return [
        at_most(f"CPU per statement against PgBouncer's: {what}", CPU_LIMIT, cpu.median, cpu.text()),
        at_most(f"the same, worker alone: {what}", CPU_LIMIT, worker.median, worker.text()),
        at_least(f"throughput against PgBouncer's: {what}", SPEED_LIMIT, speed.median, speed.text()),
    ]


def _table(runs: Runs) -> Table:
    head = ["contestant", "statements/s", "worker us", "of it user", "system", "whole us", "times PgBouncer", "waits"]
    return Table(f"{runs.script}, {runs.mode}", head, [_line(runs, name) for name in runs.by_name])


def _line(runs: Runs, name: str) -> list[str]:
    speed = Spread.of(runs.figures(name, lambda m: m.per_second)).text(".0f")
    if name == DIRECT:
        return [name, speed, "", "", "", "", "", ""]
    user = Spread.of(runs.figures(name, lambda m: m.worker.user_s / m.statements * 1e6)).median
    system = Spread.of(runs.figures(name, lambda m: m.worker.system_s / m.statements * 1e6)).median
    waits = Spread.of(runs.figures(name, lambda m: m.worker.waits / m.statements)).median
    return [
        name,
        speed,
        Spread.of(runs.figures(name, lambda m: m.worker_us)).text(".1f"),
        f"{user:.1f}",
        f"{system:.1f}",
        Spread.of(runs.figures(name, lambda m: m.whole_us)).text(".1f"),
        _times_pooler(runs, name),
        f"{waits:.2f}",
    ]


def _times_pooler(runs: Runs, name: str) -> str:
    if POOLER not in runs.by_name:
        return ""
    whole = runs.figures(name, lambda m: m.whole_us)
    return ratios(whole, runs.figures(POOLER, lambda m: m.whole_us)).text()


def _median_us(runs: Runs, name: str) -> float:
    """0 where that contestant has no such query mode."""
    return Spread.of(runs.figures(name, lambda m: m.whole_us)).median if name in runs.by_name else 0.0


def _plot(found: Sequence[Runs], script: str) -> Plot:
    mine = [runs for runs in found if runs.script == script]
    names = [name for name in dict.fromkeys(name for runs in mine for name in runs.by_name) if name != DIRECT]
    values = {name: [_median_us(runs, name) for runs in mine] for name in names}
    slug = "".join(letter if letter.isalnum() else "-" for letter in script.lower()).strip("-")
    return Plot(f"cpu-{slug}", f"CPU per statement, whole: {script}", "us", [runs.mode for runs in mine], values)
