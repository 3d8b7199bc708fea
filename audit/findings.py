"""What `audit verify` found: problems that name the record, notes that explain. Knows neither journal nor store."""

from __future__ import annotations

from dataclasses import dataclass, field

PROBLEMS_PER_CHAIN = 20  # the first ones tell the story; a damaged disk would fill the screen


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that doesn't hold. `chain` says where; `record` is its number in the chain, 0 if none is concerned.

    `record_id` is empty where the record itself can't be read.
    """

    chain: str
    record: int
    record_id: str
    message: str

    def __str__(self) -> str:
        record = f" record {self.record}" if self.record else ""
        name = f" ({self.record_id})" if self.record_id else ""
        return f"{self.chain}:{record}{name} {self.message}"


@dataclass(slots=True)
class Findings:
    """Collects while verifying. `journal_records` and `store_records` count what was looked at."""

    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    journal_records: int = 0
    store_records: int = 0

    def add(self, chain: str, record: int, record_id: str, message: str) -> None:
        """Adds a problem, unless the chain has so many already that more would only hide the first."""
        if sum(1 for problem in self.problems if problem.chain == chain) < PROBLEMS_PER_CHAIN:
            self.problems.append(Problem(chain, record, record_id, message))


@dataclass(frozen=True, slots=True)
class Report:
    """The answer of a verification. It is ok only when everything holds; notes don't count against it."""

    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    journal_records: int
    store_records: int
    is_store_checked: bool
    file_records: int | None = None  # where exported files were looked at, and nothing else

    @property
    def ok(self) -> bool:
        return not self.problems

    @property
    def exit_code(self) -> int:
        """0 when everything holds, else 1."""
        return 0 if self.ok else 1

    def lines(self) -> list[str]:
        """The report for people: problems, notes, one line of sums."""
        stored = f", {self.store_records} in the store" if self.is_store_checked else "; the store was not checked"
        looked_at = f"{self.journal_records} records in the journal{stored}"
        if self.file_records is not None:
            looked_at = f"{self.file_records} records in files"
        verdict = "everything holds" if self.ok else f"{len(self.problems)} problems"
        return [
            *(f"PROBLEM {problem}" for problem in self.problems),
            *(f"note: {note}" for note in self.notes),
            f"{verdict}: {looked_at}",
        ]
