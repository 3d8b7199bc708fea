"""lib/pq's tests, from Debian's -dev package: with text parameters, and once more with binary ones."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from tests.compat.go_suite import go_version, run_go
from tests.compat.outcomes import Run
from tests.compat.sources import Sources
from tests.compat.stand import Endpoint, Needs
from tests.compat.suite import Workplace

_PACKAGES: Final = ("github.com/lib/pq", "github.com/lib/pq/hstore")


@dataclass(frozen=True)
class LibPq:
    name: str
    is_binary: bool
    needs: Needs = Needs(databases=("pqgotest",), setup={"pqgotest": ["CREATE EXTENSION hstore"]})

    def prepare(self, sources: Sources) -> str:
        return go_version("golang-github-lib-pq-dev")

    def run(self, place: Workplace, endpoint: Endpoint, only: Collection[str] = ()) -> Run:
        environment = endpoint.environment("pqgotest") | {"PGSSLMODE": "disable"}
        environment |= {"PQTEST_BINARY_PARAMETERS": "yes" if self.is_binary else "no"}
        return run_go(_PACKAGES, place, environment, only)
