"""docs/soak.md and its plot: what a long run came to, as it was measured."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from pathlib import Path

from tests.soak.run import Outcome
from tests.soak.samples import Sample, slope_per_minute

_WIDTH, _HEIGHT, _LEFT, _TOP = 720, 200, 70, 28


def write(folder: Path, outcome: Outcome, command: str, server_version: str, workers: int) -> None:
    """soak.md and soak.svg in `folder`."""
    (folder / "soak.svg").write_text(_plot(outcome.samples), "utf-8")
    (folder / "soak.md").write_text(_page(outcome, command, server_version, workers), "utf-8")


def _page(outcome: Outcome, command: str, server_version: str, workers: int) -> str:
    tally, samples = outcome.tally, outcome.samples
    minutes = outcome.plan.seconds / 60
    rows = [
        ("statements that clients counted", f"{tally.statements:,}"),
        ("of these refused, as they had to be", f"{tally.refused.total():,}"),
        ("of these left behind by clients that vanished", f"{tally.uncertain.total():,}"),
        (
            "statements in the store",
            f"{outcome.records:,} (with those that clients didn't count: BEGIN, FETCH, COPY...)",
        ),
        ("errors that no client should have read", str(len(tally.surprises))),
        ("policy edits, every third with SIGHUP", str(outcome.edits)),
        ("`audit verify`", outcome.verified),
        ("RSS of all processes at the beginning, middle, end", _three(samples, lambda s: s.rss_kib / 1024, "MiB")),
        ("slope of RSS over the second half", f"{slope_per_minute(samples, lambda s: s.rss_kib):+.0f} KiB a minute"),
        ("open files, least and most", f"{min(s.files for s in samples)}, {max(s.files for s in samples)}"),
        ("slope of open files over the second half", f"{slope_per_minute(samples, lambda s: s.files):+.2f} a minute"),
        ("open files before and after, at rest", "{}, {}".format(*outcome.files_at_rest)),
        ("problems found", "; ".join(outcome.problems) or "none"),
    ]
    turns = sorted(tally.turns.items(), key=lambda pair: -pair[1])
    return "\n".join(
        [
            "# A long run",
            "",
            f"`{command}` on {platform.system()} {platform.machine()} with {os.cpu_count()} cores that others use too,"
            f" Python {platform.python_version()}, PostgreSQL {server_version}, workers: {workers}."
            f" {minutes:.0f} minutes, {outcome.plan.clients} busy clients, {outcome.plan.idle} idle ones."
            " Each counted statement bears a mark of its own; after the run each must be in the store exactly as often"
            " as its client counted it, every intent with one outcome.",
            "",
            "| what | came to |",
            "|---|---|",
            *(f"| {what} | {came} |" for what, came in rows),
            "",
            "![RSS and open files over time](soak.svg)",
            "",
            "Traffic, in turns of a connection each: " + ", ".join(f"{name} {count}" for name, count in turns) + ".",
            "",
        ]
    )


def _three(samples: list[Sample], of: Callable[[Sample], float], unit: str) -> str:
    chosen = (samples[0], samples[len(samples) // 2], samples[-1])
    return ", ".join(f"{of(sample):.0f}" for sample in chosen) + f" {unit}"


def _plot(samples: list[Sample]) -> str:
    parts = [
        _curve(samples, lambda s: s.rss_kib / 1024, "RSS, MiB", "#1f6feb", 0),
        _curve(samples, lambda s: s.files, "open files", "#bf5b04", _HEIGHT),
    ]
    size = f'viewBox="0 0 {_WIDTH} {2 * _HEIGHT}" font-family="sans-serif" font-size="12"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n' + "\n".join(parts) + "\n</svg>\n"


def _curve(samples: list[Sample], of: Callable[[Sample], float], label: str, colour: str, down: int) -> str:
    """From zero on: what is flat must look flat."""
    most, last_s = max(map(of, samples)) * 1.1, samples[-1].at_s or 1.0
    width, height = _WIDTH - _LEFT - 20, _HEIGHT - 2 * _TOP
    base = down + _TOP + height

    def point(sample: Sample) -> str:
        return f"{_LEFT + width * sample.at_s / last_s:.1f},{base - height * of(sample) / most:.1f}"

    axis = f'<path d="M{_LEFT},{down + _TOP}V{base}H{_LEFT + width}" fill="none" stroke="#888"/>'
    line = f'<polyline fill="none" stroke="{colour}" points="{" ".join(map(point, samples))}"/>'
    texts = [
        (_LEFT, down + 18, f"{label} (0 to {most:.0f}) over {last_s / 60:.1f} minutes"),
        (_LEFT - 40, base - height + 4, f"{most:.0f}"),
        (_LEFT - 20, base + 4, "0"),
    ]
    return axis + line + "".join(f'<text x="{x}" y="{y}" fill="#555">{text}</text>' for x, y, text in texts)
