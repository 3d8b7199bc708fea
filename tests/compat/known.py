"""The documented differences, known.yaml: which tests may fail through pgwarden, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import yaml

FILE: Final = Path(__file__).with_name("known.yaml")


@dataclass(frozen=True, slots=True)
class Known:
    """One line of the list. `tests` are names, or patterns with ``*``."""

    suite: str
    tests: tuple[str, ...]
    reason: str

    def covers(self, suite: str, test: str) -> bool:
        return suite == self.suite and any(test == name or fnmatchcase(test, name) for name in self.tests)


def read_known(text: str) -> list[Known]:
    """Raises ValueError for an entry without suite, tests or reason."""
    found = []
    for entry in yaml.safe_load(text) or []:
        if set(entry) != {"suite", "tests", "reason"} or not entry["tests"] or not entry["reason"].strip():
            raise ValueError(f"an entry has suite, tests and reason: {entry}")
        found.append(Known(entry["suite"], tuple(entry["tests"]), " ".join(entry["reason"].split())))
    return found


def reason_for(known: Iterable[Known], suite: str, test: str) -> str | None:
    return next((entry.reason for entry in known if entry.covers(suite, test)), None)
