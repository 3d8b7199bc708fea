"""The suites by name, in the order in which they are run."""

from __future__ import annotations

from typing import Final

from tests.compat.suite import Suite
from tests.compat.suites.asyncpg import Asyncpg
from tests.compat.suites.django import Django
from tests.compat.suites.libpq_go import LibPq
from tests.compat.suites.pg8000 import Pg8000
from tests.compat.suites.pgx import Pgx
from tests.compat.suites.psycopg2 import Psycopg2
from tests.compat.suites.psycopg3 import Psycopg3
from tests.compat.suites.regression import Isolation, Regression
from tests.compat.suites.sqlalchemy import Sqlalchemy
from tests.compat.suites.sqlsmith import Sqlsmith

_ALL: Final[tuple[Suite, ...]] = (
    Asyncpg(),
    Psycopg2(),
    Psycopg3(),
    Pg8000(),
    Sqlalchemy("sqlalchemy", "psycopg", "psycopg[binary]"),
    Sqlalchemy("sqlalchemy-asyncpg", "asyncpg", "asyncpg"),
    Django(),
    LibPq("lib-pq", is_binary=False),
    LibPq("lib-pq-binary", is_binary=True),
    Pgx(),
    Regression(),
    Isolation(),
    Sqlsmith(),
)
SUITES: Final = {suite.name: suite for suite in _ALL}
