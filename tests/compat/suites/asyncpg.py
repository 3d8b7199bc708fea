"""asyncpg's own tests, from its sdist, run on the wheel of the same version."""

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

VERSION: Final = "0.32.0"
# GSSAPI needs a Kerberos server; the others look for a primary with a standby.
_LEFT_OUT: Final = (
    "not GssAuthentication and not prefer_standby and not target_attribute and not target_server_attribute"
)


class Asyncpg:
    name = "asyncpg"
    needs = Needs(later=("testdb", "asyncpg_intro_test"))

    def prepare(self, sources: Sources) -> str:
        sources.sdist(f"asyncpg=={VERSION}")
        _venv(sources)
        return VERSION

    def run(self, place: Workplace, endpoint: Endpoint, only: Collection[str] = ()) -> Run:
        """The tests are copied out: beside them stands the source that shadows the installed package."""
        folder = place.folder / "suite"
        shutil.copytree(place.sources.sdist(f"asyncpg=={VERSION}") / "tests", folder / "tests", dirs_exist_ok=True)
        environment = endpoint.environment("postgres")
        return run_pytest(
            _venv(place.sources),
            selection(only) or ["tests", "-k", _LEFT_OUT],
            folder=folder,
            output=place.folder,
            environment=environment,
        )


def _venv(sources: Sources) -> Path:
    return sources.venv([f"asyncpg=={VERSION}", "uvloop", "distro", *PYTEST])
