"""What a second worker brings."""

from __future__ import annotations

import os

from tests.bench.load import Load, Measured, run_load
from tests.bench.results import Chapter, Table, Target, at_least
from tests.bench.stage import Contestant, Stage
from tests.bench.trials import Spread, Tell, in_turns, quiet, ratios

NAME = "workers"
LIMIT = 1.8
_ENOUGH_CORES = 6  # two workers, the server's processes, pgbench, the shipper
_NAMES = {"one worker": 1, "two workers": 2}
_TEXT = """\
pgbench -S, prepared, at 16 clients, {runs} rounds of {seconds} s. *Possible* is what two workers' processes could do if
each had a core to itself: 2 divided by the ratio of CPU per statement. It says what their sharing costs; it isn't a
measured throughput."""


def measure(stage: Stage, *, runs: int = 5, seconds: int = 4, tell: Tell = quiet) -> Chapter:
    text = _TEXT.format(runs=runs, seconds=seconds)
    title = "Two workers"
    try:
        doors = {name: _door(stage, name, count) for name, count in _NAMES.items()}
    except RuntimeError as error:
        reason = f"two workers against one: this build takes no second worker ({str(error)[-160:].strip()})"
        return Chapter(NAME, title, text, missing=[reason])
    found: dict[str, list[Measured]] = {}
    for number, name in in_turns(list(doors), runs):
        found.setdefault(name, []).append(run_load(stage, doors[name], Load("prepared", 16, seconds)))
        tell(f"{name} {number + 1}: {found[name][-1].per_second:.0f}/s, {found[name][-1].worker_us:.1f} us")
    stage.settle()
    return _chapter(title, text, found)


def _door(stage: Stage, name: str, count: int) -> Contestant:
    return stage.ours(name, stage.sidecar(name.replace(" ", "-"), workers=count), "ruled")


def _chapter(title: str, text: str, found: dict[str, list[Measured]]) -> Chapter:
    one, two = (found[name] for name in _NAMES)
    speed = ratios([m.per_second for m in two], [m.per_second for m in one])
    cpu = ratios([m.worker_us for m in two], [m.worker_us for m in one])
    lines = [_line(name, measured) for name, measured in found.items()]
    lines.append(["two against one", speed.text(), cpu.text(), ""])
    table = Table("workers", ["", "statements/s", "worker us", "whole us"], lines)
    return Chapter(NAME, title, text, _targets(speed), [table], [], _missing(speed, 2 / cpu.median))


def _targets(speed: Spread) -> list[Target]:
    what = "throughput of two workers against one, where cores are free"
    return [at_least(what, LIMIT, speed.median, speed.text())] if _has_cores() else []


def _missing(speed: Spread, possible: float) -> list[str]:
    if _has_cores():
        return []
    return [
        f"two workers against one >= {LIMIT}: this machine has {os.cpu_count()} cores for pgbench, server and proxy, "
        f"none is free; measured {speed.text()} all the same, possible by CPU per statement {possible:.2f}"
    ]


def _has_cores() -> bool:
    return (os.cpu_count() or 1) >= _ENOUGH_CORES


def _line(name: str, measured: list[Measured]) -> list[str]:
    return [
        name,
        Spread.of(m.per_second for m in measured).text(".0f"),
        Spread.of(m.worker_us for m in measured).text(".1f"),
        Spread.of(m.whole_us for m in measured).text(".1f"),
    ]
