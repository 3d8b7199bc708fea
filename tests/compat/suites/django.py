"""Django's tests of its database layer, from its sdist, with psycopg 3."""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection
from pathlib import Path
from typing import Final

from tests.compat.outcomes import Run
from tests.compat.processes import run_program
from tests.compat.readers import read_unittest
from tests.compat.sources import Sources
from tests.compat.stand import Endpoint, Needs
from tests.compat.suite import Workplace

VERSION: Final = "5.2.19"
_LABELS: Final = (
    "backends",
    "postgres_tests",
    "introspection",
    "inspectdb",
    "transactions",
    "transaction_hooks",
    "queries",
    "db_functions",
    "schema",
    "aggregation",
    "expressions",
    "bulk_create",
    "select_for_update",
    "prefetch_related",
)
_SETTINGS: Final = """\
DATABASES = {{
    alias: {{
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": "{user}",
        "PASSWORD": "{password}",
        "HOST": "{host}",
        "PORT": "{port}",
    }}
    for alias, name in (("default", "django"), ("other", "django2"))
}}
SECRET_KEY = "for tests only"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False
"""


class Django:
    name = "django"
    needs = Needs(databases=("django", "django2"), later=("test_django", "test_django2"))

    def prepare(self, sources: Sources) -> str:
        sources.sdist(f"django=={VERSION}")
        _venv(sources)
        return VERSION

    def run(self, place: Workplace, endpoint: Endpoint, only: Collection[str] = ()) -> Run:
        folder = place.folder / "suite"
        shutil.copytree(place.sources.sdist(f"django=={VERSION}") / "tests", folder, dirs_exist_ok=True)
        settings = _SETTINGS.format(
            user=endpoint.user, password=endpoint.password, host=endpoint.host, port=endpoint.port
        )
        (folder / "compat_settings.py").write_text(settings)
        command: list[str | Path] = [
            _venv(place.sources),
            "runtests.py",
            "--settings=compat_settings",
            "--parallel=1",
            "-v2",
        ]
        begin = time.monotonic()
        finished = run_program([*command, *(only or _LABELS)], place.folder / "log", folder=folder, limit_s=1800)
        return Run(read_unittest(finished.text), time.monotonic() - begin, finished.code is None)


def _venv(sources: Sources) -> Path:
    return sources.venv([f"django=={VERSION}", "psycopg[binary,pool]", "jinja2", "tblib", "Pillow", "PyYAML"])
