"""Answers about costs for programs: JSON Lines and CSV. Money stays exact: it is text in both."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from audit.costs_question import Costliest, Difference, Dimension, Line, Point, Sums
from audit.costs_report import Cause, Explained, Overview

Rows = Sequence[dict[str, Any]]


class Form(Enum):
    """What is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def as_json_lines(rows: Rows) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def as_csv(rows: Rows) -> str:
    """Lists and objects stand as JSON in their cell; without rows there is no header."""
    text = io.StringIO()
    if rows:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(rows[0])
        writer.writerows([_cell(value) for value in row.values()] for row in rows)
    return text.getvalue()


def of_lines(lines: Iterable[Line], dimension: Dimension) -> Rows:
    return [{dimension.value: line.name, "currency": line.currency} | _sums(line.sums) for line in lines]


def of_points(points: Iterable[Point]) -> Rows:
    return [{"starts_at": _moment(one.starts_at), "currency": one.currency} | _sums(one.sums) for one in points]


def of_anomalies(found: Iterable[Explained], dimension: Dimension) -> Rows:
    return [
        {
            "day": f"{one.anomaly.day:%Y-%m-%d}",
            dimension.value: one.anomaly.name,
            "currency": one.anomaly.currency,
            "cost": _money(one.anomaly.cost),
            "usual": _money(one.anomaly.baseline.median),
            "spread": _money(one.anomaly.baseline.spread),
            "score": _score(one.anomaly.score),
            "days": one.anomaly.baseline.days,
            "by_weekday": one.anomaly.baseline.by_weekday,
            "causes": [_cause(cause) for cause in one.causes],
        }
        for one in found
    ]


def of_differences(found: Iterable[Difference]) -> Rows:
    return [
        {
            "starts_at": _moment(one.starts_at),
            "currency": one.currency,
            "recorded": one.recorded,
            "recorded_cost": _money(one.recorded_cost),
            "counted": one.counted,
            "counted_cost": _money(one.counted_cost),
        }
        for one in found
    ]


def of_overview(found: Overview) -> Rows:
    parts = {dimension.value: of_lines(lines, dimension) for dimension, lines in found.parts.items()}
    costliest = [_costliest(one) for one in found.costliest]
    return [{"course": of_points(found.course), "by": parts, "costliest": costliest}]


def _sums(sums: Sums) -> dict[str, Any]:
    return {
        "statements": sums.statements,
        "failed": sums.failed,
        "denied": sums.denied,
        "rows": int(sums.rows),
        "bytes_out": int(sums.bytes_out),
        "seconds": float(sums.duration_us) / 1e6,
        "plan_units": int(sums.plan_units),
        "cost": _money(sums.cost),
    }


def _cause(cause: Cause) -> dict[str, Any]:
    one = cause.costliest
    return {
        "shape": cause.shape,
        "cost": _money(cause.cost),
        "usual": _money(cause.usual),
        "statement": None if one is None else _costliest(one),
    }


def _costliest(one: Costliest) -> dict[str, Any]:
    return {
        "shape": one.shape,
        "statement_id": one.statement_id,
        "at": _moment(one.at),
        "user": one.user,
        "workload": one.workload,
        "cost": _money(one.cost),
        "currency": one.currency,
        "sql_text": one.sql_text,
    }


def _money(amount: Decimal) -> str:
    return f"{amount:.9f}"


def _score(score: Decimal) -> float | None:
    return round(float(score), 2) if score.is_finite() else None


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
