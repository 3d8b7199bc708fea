"""What clients know of their statements: each bears a mark in its text, so that its records can be found again."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Tally:
    """Executions by mark. `ended`: the client read their end; `refused`: it read a refusal; `uncertain`: it left."""

    ended: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    uncertain: Counter[str] = field(default_factory=Counter)
    turns: Counter[str] = field(default_factory=Counter)
    surprises: list[str] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def mark(self) -> str:
        """A new one: what goes into the text as a literal."""
        return f"soak_{next(self._numbers)}x"

    def end(self, mark: str, count: int = 1) -> None:
        with self._lock:
            self.ended[mark] += count

    def refuse(self, mark: str) -> None:
        with self._lock:
            self.refused[mark] += 1

    def leave(self, mark: str) -> None:
        with self._lock:
            self.uncertain[mark] += 1

    def turn(self, kind: str) -> None:
        with self._lock:
            self.turns[kind] += 1

    def surprise(self, kind: str, error: BaseException) -> None:
        """An error that no client should have read."""
        with self._lock:
            self.surprises.append(f"{kind}: {type(error).__name__}: {str(error).strip()[:300]}")

    @property
    def statements(self) -> int:
        return self.ended.total() + self.refused.total() + self.uncertain.total()
