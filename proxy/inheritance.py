"""What a worker process is born with, as its command line says it: who it is, and which descriptors are what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

FORMER_S: Final = 3.0  # a former supervisor's workers have ended by then, and let go of what they had inherited


@dataclass(frozen=True, slots=True)
class Inheritance:
    """What the supervisor hands over at the start: descriptors, and how to log. `doors`: whether each is local."""

    number: int
    workers: int
    channel: int
    lifeline: int
    board: int
    lanes: int
    purses: int
    doors: tuple[tuple[int, bool], ...]
    log_format: str
    log_level: int

    @property
    def files(self) -> tuple[int, ...]:
        """Descriptors that all workers have alike."""
        return (self.board, self.lanes, self.purses, *(file for file, _ in self.doors))

    def arguments(self) -> list[str]:
        doors = ",".join(f"{file}{'u' if is_local else 't'}" for file, is_local in self.doors)
        numbers = (
            self.number,
            self.workers,
            self.channel,
            self.lifeline,
            self.board,
            self.lanes,
            self.purses,
            self.log_level,
        )
        return [*map(str, numbers), self.log_format, doors]

    @classmethod
    def of(cls, arguments: Sequence[str]) -> Inheritance:
        *numbers, log_format, doors = arguments
        number, workers, channel, lifeline, board, lanes, purses, level = map(int, numbers)
        pairs = tuple((int(door[:-1]), door[-1] == "u") for door in doors.split(","))
        return cls(number, workers, channel, lifeline, board, lanes, purses, pairs, log_format, level)
