"""The regression database: what PostgreSQL's own suite leaves when it was run directly, once; it is kept."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from proxy.embedded import EmbeddedServer
from proxy.installation import find_system
from tests.compat.pg_regress import SOURCE_PACKAGE
from tests.compat.sources import SourceMissing, Sources
from tests.compat.stand import PASSWORD, direct_stand
from tests.compat.suite import Workplace
from tests.compat.suites.regression import Regression

DATABASE: Final = "regression"
VERSION: Final = 15
_SETTINGS: Final = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "log_min_messages": "fatal"}


def scripts(sources: Sources) -> Path:
    """The folder of the suite's psql scripts. Raises SourceMissing."""
    return sources.debian(*SOURCE_PACKAGE) / "src" / "test" / "regress" / "sql"


@contextmanager
def regression_server(folder: Path, sources: Sources) -> Iterator[str]:
    """The DSN of the database on a running server; the first time the suite is run there, for some minutes.

    `folder` keeps the server's data. Raises SourceMissing.
    """
    installation = find_system()
    if installation is None or installation.major != VERSION:
        raise SourceMissing(f"PostgreSQL {VERSION} isn't installed")
    suite = Regression()
    suite.prepare(sources)
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        with direct_stand(folder, installation, suite.needs) as endpoint:
            suite.run(Workplace(folder, sources, installation), endpoint)
        (folder / "complete").touch()
    settings = {**suite.needs.settings, **_SETTINGS}
    with EmbeddedServer(folder / "server", installation, settings=settings) as server:
        yield server.dsn(DATABASE, password=PASSWORD)
