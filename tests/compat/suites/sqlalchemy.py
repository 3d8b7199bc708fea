"""SQLAlchemy's tests of its PostgreSQL dialect and the suite for dialects, from its sdist, with one driver each."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.compat.outcomes import Run
from tests.compat.pytest_suite import PYTEST, run_pytest, selection
from tests.compat.sources import Sources
from tests.compat.stand import Endpoint, Needs
from tests.compat.suite import Workplace

VERSION: Final = "2.0.58"
_TESTS: Final = ("test/dialect/postgresql", "test/dialect/test_suite.py")


@dataclass(frozen=True)
class Sqlalchemy:
    """`driver` as in the URL, `package` as on PyPI."""

    name: str
    driver: str
    package: str
    needs: Needs = Needs(
        databases=("sqla",),
        setup={
            "sqla": [
                "CREATE SCHEMA test_schema",
                "CREATE SCHEMA test_schema_2",
                "CREATE EXTENSION hstore",
                "CREATE EXTENSION citext",
            ]
        },
    )

    def prepare(self, sources: Sources) -> str:
        sources.sdist(f"sqlalchemy=={VERSION}")
        self._venv(sources)
        return VERSION

    def run(self, place: Workplace, endpoint: Endpoint, only: Collection[str] = ()) -> Run:
        """The whole tree is copied: the tests bring plugins and a configuration of their own."""
        folder = place.folder / "suite"
        shutil.copytree(place.sources.sdist(f"sqlalchemy=={VERSION}"), folder, dirs_exist_ok=True)
        return run_pytest(
            self._venv(place.sources),
            ["--dburi", endpoint.dsn("sqla", f"postgresql+{self.driver}"), *_chosen(only)],
            folder=folder,
            output=place.folder,
            environment={"PYTHONPATH": str(folder / "lib")},
        )

    def _venv(self, sources: Sources) -> Path:
        return sources.venv([f"sqlalchemy=={VERSION}", "greenlet", self.package, *PYTEST])


def _chosen(only: Collection[str]) -> list[str]:
    """Names of its tests change with the database: whole files are run again."""
    return sorted({node.partition("::")[0] for node in selection(only)}) or [*_TESTS]
