"""pg8000's own tests, from its sdist, but those whose authentication method a server would have to be set up for."""

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

VERSION: Final = "1.31.6"
_AUTH: Final = ("test_gss.py", "test_md5.py", "test_md5_ssl.py")


class Pg8000:
    name = "pg8000"
    # pg8000_sn\uff6fw is there to be absent: its name is looked for in the error.
    needs = Needs(
        databases=("pg8000_md5", "pg8000_password"),
        later=("pg8000_scram_sha_256",),
        setup={"postgres": ["CREATE EXTENSION hstore"]},
    )

    def prepare(self, sources: Sources) -> str:
        sources.sdist(f"pg8000=={VERSION}")
        _venv(sources)
        return VERSION

    def run(self, place: Workplace, endpoint: Endpoint, only: Collection[str] = ()) -> Run:
        folder = place.folder / "suite"
        shutil.copytree(place.sources.sdist(f"pg8000=={VERSION}") / "test", folder / "test", dirs_exist_ok=True)
        left_out = [f"--ignore-glob=*/{name}" for name in (*_AUTH, "test_readme.py")]
        return run_pytest(
            _venv(place.sources),
            selection(only) or ["test", *left_out, "--benchmark-disable"],
            folder=folder,
            output=place.folder,
            environment=endpoint.environment("postgres"),
        )


def _venv(sources: Sources) -> Path:
    return sources.venv([f"pg8000=={VERSION}", "pytz", "pytest-mock", "pytest-benchmark", *PYTEST])
