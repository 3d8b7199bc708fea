"""Bar charts as SVG, written by hand: groups of bars, one colour for each series, a line at 1 where it helps. Readable
on light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Iterator
from xml.sax.saxutils import escape

from tests.bench.results import Plot

_COLOURS = ("#4c78a8", "#f58518", "#54a24b", "#b279a2", "#e45756", "#72b7b2", "#9d755d")
_WIDTH, _LEFT, _RIGHT, _TOP, _PLOT_HEIGHT = 860, 70, 20, 46, 260
_STEPS = (1, 2, 2.5, 5, 10)
_MOST_BAR = 46.0


def svg(plot: Plot) -> str:
    """A logarithmic axis where the greatest is more than 20 times the least."""
    scale = _Scale(plot)
    legend = list(_legend(plot))
    height = _TOP + _PLOT_HEIGHT + 34 + 20 * math.ceil(len(plot.values) / 4)
    style = "font-family:system-ui,sans-serif;font-size:12px;fill:#888"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="{escape(plot.title, _QUOTE)}" style="{style}">'
    )
    title = f'<text x="{_LEFT}" y="20" font-size="15" font-weight="600">{escape(plot.title)}</text>'
    unit = f'<text x="{_LEFT}" y="37">{escape(plot.unit)}{" (logarithmic)" if scale.is_log else ""}</text>'
    return "\n".join([head, title, unit, *_axis(scale), *_bars(plot, scale), *legend, "</svg>"]) + "\n"


_QUOTE = {'"': "&quot;"}


class _Scale:
    """From a value to its place; nothing is below the plot's foot."""

    def __init__(self, plot: Plot) -> None:
        values = [value for series in plot.values.values() for value in series if value > 0] or [1.0]
        self.is_log = max(values) > 20 * min(values)
        if self.is_log:
            self._low, self._high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values) * 1.05))
            self.marks = [10.0**power for power in range(self._low, self._high + 1)]
        else:
            step = _step(max(values))
            self.marks = [step * number for number in range(math.ceil(max(values) / step) + 1)]
            self._low, self._high = 0, 0

    def y(self, value: float) -> float:
        if self.is_log:
            part = (math.log10(value) - self._low) / (self._high - self._low) if value > 0 else 0.0
        else:
            part = max(0.0, value) / self.marks[-1]
        return _TOP + _PLOT_HEIGHT * (1 - part)


def _step(most: float) -> float:
    power: float = 10.0 ** math.floor(math.log10(most / 4))
    return next(factor * power for factor in _STEPS if factor * power * 5 >= most)


def _axis(scale: _Scale) -> Iterator[str]:
    for mark in scale.marks:
        y = scale.y(mark)
        yield f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#888" stroke-opacity=".3"/>'
        yield f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{mark:g}</text>'


def _bars(plot: Plot, scale: _Scale) -> Iterator[str]:
    group_width = (_WIDTH - _LEFT - _RIGHT) / len(plot.groups)
    bar = min(_MOST_BAR, group_width * 0.86 / len(plot.values))
    for number, group in enumerate(plot.groups):
        middle = _LEFT + group_width * (number + 0.5)
        yield f'<text x="{middle:.1f}" y="{_TOP + _PLOT_HEIGHT + 18}" text-anchor="middle">{escape(group)}</text>'
        for place, values in enumerate(plot.values.values()):
            x = middle + bar * (place - len(plot.values) / 2)
            yield from _bar(x, bar, values[number], scale, _COLOURS[place % len(_COLOURS)])


def _bar(x: float, width: float, value: float, scale: _Scale, colour: str) -> Iterator[str]:
    if value <= 0:
        return
    y = scale.y(value)
    height = _TOP + _PLOT_HEIGHT - y
    yield f'<rect x="{x:.1f}" y="{y:.1f}" width="{width - 2:.1f}" height="{height:.1f}" fill="{colour}"/>'
    middle = x + width / 2 - 1
    yield f'<text x="{middle:.1f}" y="{y - 4:.1f}" text-anchor="middle" font-size="10">{value:.3g}</text>'


def _legend(plot: Plot) -> Iterator[str]:
    for number, name in enumerate(plot.values):
        x, y = _LEFT + 195 * (number % 4), _TOP + _PLOT_HEIGHT + 40 + 20 * (number // 4)
        yield f'<rect x="{x}" y="{y - 10}" width="12" height="12" fill="{_COLOURS[number % len(_COLOURS)]}"/>'
        yield f'<text x="{x + 18}" y="{y}">{escape(name)}</text>'
