"""What every suite can do: say what it needs, fetch itself, run against an endpoint."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from proxy.installation import Installation
from tests.compat.outcomes import Run
from tests.compat.sources import Sources
from tests.compat.stand import Endpoint, Needs


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where one run may write, the cache of sources, the programs of the server's version."""

    folder: Path
    sources: Sources
    installation: Installation


class Suite(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def needs(self) -> Needs: ...

    def prepare(self, sources: Sources) -> str:
        """Fetches and installs; the suite's version. Raises SourceMissing or RuntimeError."""

    def run(self, place: Workplace, endpoint: Endpoint, only: Collection[str] = ()) -> Run:
        """All tests, or those named in `only` where the suite can choose (others may run too)."""
