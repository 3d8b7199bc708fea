"""The suites by name, in the order in which they are run."""

from __future__ import annotations

from typing import Final

from tests.compat.suite import Suite
from tests.compat.suites.asyncpg import Asyncpg
from tests.compat.suites.psycopg2 import Psycopg2

_ALL: Final[tuple[Suite, ...]] = (Asyncpg(), Psycopg2())
SUITES: Final = {suite.name: suite for suite in _ALL}
