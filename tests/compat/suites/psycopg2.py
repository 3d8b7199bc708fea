"""psycopg2's own tests, from its sdist, which is built against the system's libpq."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Final

from tests.compat.outcomes import Run
from tests.compat.pytest_suite import PYTEST, run_pytest, selection
from tests.compat.sources import Sources
from tests.compat.stand import Endpoint, Needs
from tests.compat.suite import Workplace

VERSION: Final = "2.9.13"


class Psycopg2:
    name = "psycopg2"
    # libpq's clients of physical replication name a database "replication"; the server doesn't look at it.
    needs = Needs(
        databases=("psycopg2_test",),
        aliases={"replication": "postgres"},
        setup={"psycopg2_test": ["CREATE EXTENSION hstore"]},
    )

    def prepare(self, sources: Sources) -> str:
        sources.sdist(f"psycopg2=={VERSION}")
        _venv(sources)
        return VERSION

    def run(self, place: Workplace, endpoint: Endpoint, only: Collection[str] = ()) -> Run:
        folder = place.folder / "suite"
        shutil.copytree(place.sources.sdist(f"psycopg2=={VERSION}") / "tests", folder / "tests", dirs_exist_ok=True)
        environment = {
            "PSYCOPG2_TESTDB": "psycopg2_test",
            "PSYCOPG2_TESTDB_HOST": endpoint.host,
            "PSYCOPG2_TESTDB_PORT": str(endpoint.port),
            "PSYCOPG2_TESTDB_USER": endpoint.user,
            "PSYCOPG2_TESTDB_PASSWORD": endpoint.password,
            "PSYCOPG2_TEST_REPL_DSN": "",  # the same server
        }
        return run_pytest(
            _venv(place.sources),
            selection(only) or ["tests"],
            folder=folder,
            output=place.folder,
            environment=environment,
        )


def _venv(sources: Sources) -> Path:
    return sources.venv([f"psycopg2=={VERSION}", *PYTEST])
