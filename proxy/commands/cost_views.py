"""Answers about costs for people: tables and bars. Texts of clients can't drive the terminal."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from audit.costs_question import Costliest, Difference, Dimension, Grain, Line, Point, Question
from audit.costs_report import Cause, Explained, Overview

_EIGHTHS: Final = " ▏▎▍▌▋▊▉"
_BAR: Final = 40
_WIDE: Final = 200  # where nobody looks at it: a pipe
_TEXT: Final = 100
_MOST_BARS: Final = 400


def top(lines: Sequence[Line], dimension: Dimension, question: Question) -> str:
    table = _table(f"Costs by {dimension.value}, {_span(question)}")
    for name in (dimension.value, "cost", "", "share", "statements", "failed", "denied", "rows", "MiB", "seconds"):
        table.add_column(name, justify="left" if name in (dimension.value, "") else "right")
    most = max((line.sums.cost for line in lines), default=Decimal(0))
    for line in lines:
        table.add_row(*_top_cells(line, most))
    return _printed(table if lines else _nothing(question))


def trend(points: Sequence[Point], question: Question) -> str:
    return _printed(*_course(points, question)) if points else _printed(_nothing(question))


def anomalies(found: Sequence[Explained], dimension: Dimension, question: Question) -> str:
    if not found:
        return _printed(Text(f"Nothing out of the ordinary, {_span(question)}."))
    pieces: list[RenderableType] = []
    for one in found:
        odd, base = one.anomaly, one.anomaly.baseline
        score = f"score {odd.score:.1f}" if odd.score.is_finite() else "never before"
        by = f"{base.days} {odd.day:%A}s" if base.by_weekday else f"{base.days} days"
        head = f"{odd.day:%a %Y-%m-%d}  {dimension.value} {_safe(odd.name)}: {money(odd.cost, odd.currency)}"
        pieces.append(Text(head, style="bold"))
        pieces.append(Text(f"  usual {money(base.median, odd.currency)} by {by}, {score}"))
        pieces.extend(_cause(cause, odd.currency) for cause in one.causes)
    return _printed(*pieces)


def differences(found: Sequence[Difference], begins: datetime, ends: datetime) -> str:
    span = f"{begins:%Y-%m-%d %H:%M} until {ends:%Y-%m-%d %H:%M} (UTC)"
    if not found:
        return f"The roll-ups say what the records say, {span}.\n"
    lines = [
        f"{one.starts_at:%Y-%m-%d %H:00}  in records {one.recorded:,}, {money(one.recorded_cost, one.currency)};"
        f" in roll-ups {one.counted:,}, {money(one.counted_cost, one.currency)}"
        for one in found
    ]
    return "\n".join([f"The roll-ups say other things than the records, {span}:", *lines, ""])


def overview(found: Overview, dimension: Dimension, name: str, question: Question) -> str:
    if not found.course:
        return _printed(_nothing(question))
    pieces: list[RenderableType] = [Text(f"{dimension.value} {_safe(name)}", style="bold")]
    pieces.extend(_course(found.course, question))
    for of, lines in found.parts.items():
        if any(line.name for line in lines):
            pieces.extend((Text(), _parts(of, lines)))
    if found.costliest:
        pieces.extend(_costliest(found.costliest))
    return _printed(*pieces)


def bar(share: Decimal, width: int = _BAR) -> str:
    """`share` from 0 to 1, in blocks of an eighth of a column; what is more than nothing shows."""
    eighths = round(share * width * 8)
    if eighths == 0 and share > 0:
        eighths = 1
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()


def money(amount: Decimal, currency: str) -> str:
    """With as many places as it needs: cents, and three digits of what is less than a unit."""
    places = 2
    while places < 9 and amount and abs(amount) < Decimal(10) ** (2 - places):
        places += 1
    return f"{amount:,.{places}f} {currency}".rstrip()


def _top_cells(line: Line, most: Decimal) -> tuple[str, ...]:
    sums = line.sums
    return (
        _safe(line.name) or "(none)",
        money(sums.cost, line.currency),
        bar(sums.cost / most, 12) if most else "",
        f"{100 * sums.cost / line.whole:.1f} %" if line.whole else "",
        f"{sums.statements:,}",
        f"{sums.failed:,}",
        f"{sums.denied:,}",
        f"{sums.rows:,.0f}",
        f"{sums.bytes_out / (1 << 20):,.1f}",
        f"{sums.duration_us / 1_000_000:,.1f}",
    )


def _course(points: Sequence[Point], question: Question) -> Iterable[RenderableType]:
    for currency in sorted({point.currency for point in points}):
        costs = {point.starts_at: point.sums for point in points if point.currency == currency}
        whole = sum((sums.cost for sums in costs.values()), Decimal(0))
        most = max(sums.cost for sums in costs.values())
        if len(points) > 1 and not whole and not currency:
            continue  # only refusals, which cost nothing
        yield Text(f"{money(whole, currency)}, {_span(question)}")
        for at in _intervals(question, min(costs)):
            cost = costs[at].cost if at in costs else Decimal(0)
            label = f"{at:%a %Y-%m-%d %H:00}" if question.grain is Grain.HOUR else f"{at:%a %Y-%m-%d}"
            yield Text(f"{label}  {bar(cost / most) if most else '':<{_BAR}}  {money(cost, currency)}")


def _intervals(question: Question, first: datetime) -> list[datetime]:
    """All of them, also those in which nothing happened, from the first in which something did."""
    length: timedelta = question.grain.length
    count = min((question.until - first) // length, _MOST_BARS)
    return [first + length * number for number in range(count)]


def _parts(dimension: Dimension, lines: Sequence[Line]) -> Table:
    table = _table(f"by {dimension.value}")
    table.add_column(dimension.value)
    for name in ("cost", "statements", "seconds"):
        table.add_column(name, justify="right")
    for line in lines:
        seconds = f"{line.sums.duration_us / 1_000_000:,.1f}"
        table.add_row(
            _safe(line.name) or "(none)", money(line.sums.cost, line.currency), f"{line.sums.statements:,}", seconds
        )
    return table


def _costliest(statements: Iterable[Costliest]) -> Iterable[Text]:
    yield Text("\ncostliest statements", style="bold")
    for one in statements:
        who = " ".join(_safe(part) for part in (one.user, one.workload) if part)
        yield Text(f"{one.at:%Y-%m-%d %H:%M:%S}  {money(one.cost, one.currency)}  {who}  {one.shape}")
        yield Text(f"  {_text(one)}")


def _cause(cause: Cause, currency: str) -> Text:
    head = f"  {money(cause.cost, currency)} instead of {money(cause.usual, currency)}: "
    if cause.costliest is None:
        return Text(f"{head}shape {cause.shape}")
    one = cause.costliest
    told = f"{_text(one)} ({_safe(one.user)}, {one.at:%H:%M:%S}, {money(one.cost, one.currency)} at once)"
    return Text(head + told)


def _text(one: Costliest) -> str:
    if one.sql_text is None:
        return f"(its record is gone; shape {one.shape})"
    line = _safe(" ".join(one.sql_text.split()))
    return line if len(line) <= _TEXT else line[: _TEXT - 1] + "…"


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=None, pad_edge=False, title_style="bold")


def _nothing(question: Question) -> Text:
    return Text(f"Nothing was counted, {_span(question)}.")


def _span(question: Question) -> str:
    form = "%Y-%m-%d %H:%M" if question.grain is Grain.HOUR else "%Y-%m-%d"
    return f"{question.since:{form}} until {question.until:{form}} (UTC)"


def _safe(text: str) -> str:
    """Escapes what could drive a terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _printed(*pieces: RenderableType) -> str:
    width = shutil.get_terminal_size((_WIDE, 24)).columns
    into = io.StringIO()
    console = Console(file=into, width=width, highlight=False, markup=False, emoji=False, color_system=None)
    for piece in pieces:
        console.print(piece, soft_wrap=isinstance(piece, Text))
    return "\n".join(line.rstrip() for line in into.getvalue().splitlines()) + "\n"
