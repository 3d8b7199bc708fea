"""psycopg 3's own tests. No registry carries them: they are cloned, and run on the package of the same commit."""

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

URL: Final = "https://github.com/psycopg/psycopg"
# Slow ones wait for a second and longer, most of them inside a pool of clients. Static typing has nothing to do with
# a server. The order of tests must be the same in both runs.
_OPTIONS: Final = (
    "tests",
    "--ignore=tests/test_typing.py",
    "--ignore=tests/types/test_numpy.py",
    "-m",
    "not slow and not mypy",
    "-p",
    "no:randomly",
)


class Psycopg3:
    name = "psycopg"
    needs = Needs(databases=("psycopg_test",), setup={"psycopg_test": ["CREATE EXTENSION hstore"]})

    def prepare(self, sources: Sources) -> str:
        tree = sources.git(URL)
        _venv(sources)
        lines = (tree / "psycopg" / "pyproject.toml").read_text("utf-8").splitlines()
        return next(line.split('"')[1] for line in lines if line.startswith("version = "))

    def run(self, place: Workplace, endpoint: Endpoint, only: Collection[str] = ()) -> Run:
        """The implementation in Python over the system's libpq: the one that every platform has."""
        tree, folder = place.sources.git(URL), place.folder / "suite"
        shutil.copytree(tree / "tests", folder / "tests", dirs_exist_ok=True)
        for name in ("pyproject.toml", "tools"):
            source = tree / name
            if source.is_dir():
                shutil.copytree(source, folder / name, dirs_exist_ok=True)
            elif source.exists():
                shutil.copy(source, folder / name)
        dsn = f"host={endpoint.host} port={endpoint.port} user={endpoint.user} password={endpoint.password}"
        return run_pytest(
            _venv(place.sources),
            [*selection(only)] or [*_OPTIONS],
            folder=folder,
            output=place.folder,
            environment={"PSYCOPG_TEST_DSN": f"{dsn} dbname=psycopg_test", "PSYCOPG_IMPL": "python"},
        )


def _venv(sources: Sources) -> Path:
    tree = sources.git(URL)
    return sources.venv(
        [str(tree / "psycopg"), str(tree / "psycopg_pool"), "anyio", "pproxy", "dnspython", "shapely", *PYTEST]
    )
