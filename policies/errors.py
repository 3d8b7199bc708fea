"""What can be wrong with policies. Every text may be shown to an operator; none quotes data or secrets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from policies.model import RuleId, Source


class Severity(StrEnum):
    """An error stops a policy set from being used; a warning is only reported."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong, and the place in the YAML where it stands."""

    source: Source
    message: str
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        prefix = "warning: " if self.severity is Severity.WARNING else ""
        return f"{self.source}: {prefix}{self.message}"


class PoliciesError(Exception):
    """Base of every error that this package raises."""


class PolicyFileError(PoliciesError):
    """A policy folder can't be used. `problems` holds all that was found, in order of file and line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(problems)
        super().__init__("\n".join(map(str, self.problems)))


class MissingAttributeError(PoliciesError):
    """A rule needs an attribute that the principal lacks: no plan may be made (fail closed)."""

    def __init__(self, user: str, attribute: str, rule: RuleId) -> None:
        self.user = user
        self.attribute = attribute
        self.rule = rule
        lack = f"needs attribute {attribute!r}, which user {user!r} lacks"
        super().__init__(f"{rule.source}: rule {rule} {lack}")
