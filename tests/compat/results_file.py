"""Comparisons as JSON files, so that the report can hold suites that were run at different times."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.compat.outcomes import Comparison, Outcome, Run

NAME = "comparison.json"


def save(comparison: Comparison, folder: Path) -> None:
    content = asdict(comparison) | {"flaky": sorted(comparison.flaky)}
    (folder / NAME).write_text(json.dumps(content, indent=1), "utf-8")


def load(folder: Path) -> Comparison | None:
    """None where no comparison was saved."""
    file = folder / NAME
    if not file.exists():
        return None
    content = json.loads(file.read_text("utf-8"))
    return Comparison(
        content["suite"],
        content["version"],
        _run(content["direct"]),
        _run(content["through"]),
        frozenset(content["flaky"]),
        content["measured"],
    )


def _run(content: dict[str, Any]) -> Run:
    outcomes = {name: Outcome(outcome) for name, outcome in content["outcomes"].items()}
    return Run(outcomes, content["seconds"], content["was_cut_off"], content["note"], tuple(content["faults"]))
