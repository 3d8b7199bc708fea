"""The tests of pgx v4 and the packages it is made of, from Debian's -dev packages."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from tests.compat.go_suite import go_version, run_go
from tests.compat.outcomes import Run
from tests.compat.sources import Sources
from tests.compat.stand import Endpoint, Needs
from tests.compat.suite import Workplace

_PACKAGES: Final = tuple(
    f"github.com/jackc/{name}"
    for name in (
        "pgconn",
        "pgconn/stmtcache",
        "pgtype",
        "pgtype/ext/gofrs-uuid",
        "pgtype/ext/shopspring-numeric",
        "pgtype/zeronull",
        "pgx/v4",
        "pgx/v4/pgxpool",
        "pgx/v4/stdlib",
    )
)


class Pgx:
    name = "pgx"
    needs = Needs(
        databases=("pgx_test",),
        setup={
            "pgx_test": ["CREATE EXTENSION hstore", "CREATE EXTENSION ltree", "CREATE DOMAIN uint64 AS numeric(20,0)"]
        },
    )

    def prepare(self, sources: Sources) -> str:
        return go_version("golang-github-jackc-pgx-v4-dev")

    def run(self, place: Workplace, endpoint: Endpoint, only: Collection[str] = ()) -> Run:
        plain = f"{endpoint.dsn('pgx_test', 'postgres')}?sslmode=disable"
        names = ("DATABASE", "CONN_STRING", "TCP_CONN_STRING", "PGBOUNCER_CONN_STRING")
        environment = {f"PGX_TEST_{name}": plain for name in names}
        environment["PGX_TEST_TLS_CONN_STRING"] = f"{endpoint.dsn('pgx_test', 'postgres')}?sslmode=require"
        return run_go(_PACKAGES, place, environment, only)
