"""Asks the server's planner what a statement would cost, over a connection of its own; asyncpg is at home here.

It must not know prices or limits. What the server answers stays here: its errors may quote anything.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, Final

import asyncpg

from policies.compile.costed import Costed

CONNECT_TIMEOUT_S: Final = 5.0
COMMAND_TIMEOUT_S: Final = 5.0
_CLOSE_TIMEOUT_S: Final = 2.0
_SERVER_SETTINGS: Final = {
    "application_name": "pgwarden planner",
    "statement_timeout": "4000",
    "lock_timeout": "2000",
    "idle_in_transaction_session_timeout": "10000",
    "plan_cache_mode": "force_generic_plan",
    "standard_conforming_strings": "on",
    "client_min_messages": "error",
}
_NAME: Final = "pgwarden_cost"
_TYPES: Final = """
SELECT pg_catalog.string_agg(CASE WHEN given.oid = 0 THEN 'unknown' ELSE pg_catalog.format_type(given.oid, NULL) END,
                             ', ' ORDER BY given.place)
FROM pg_catalog.unnest($1::pg_catalog.oid[]) WITH ORDINALITY AS given(oid, place)"""
_PARAMETERS: Final = """
SELECT pg_catalog.cardinality(parameter_types) FROM pg_catalog.pg_prepared_statements WHERE name = $1"""
_LOST: Final = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)
# A session that the server has ended, or is about to; and an answer that is none.
_ENDED: Final = (
    *_LOST,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    ValueError,
    KeyError,
    TypeError,
)

Connection = Any  # asyncpg's, whose stubs differ between versions


class PlannerUnreachable(Exception):
    """There is no connection, or it is lost: another one may do."""


class PlannerRefused(Exception):
    """The server can't plan this. `sqlstate` says why; nothing else of its answer is kept."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


class Planner:
    """One connection, for one question at a time. After PlannerUnreachable it is of no use."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @classmethod
    async def connect(cls, dsn: str) -> Planner:
        """Raises PlannerUnreachable."""
        try:
            connection = await asyncpg.connect(
                dsn,
                timeout=CONNECT_TIMEOUT_S,
                command_timeout=COMMAND_TIMEOUT_S,
                statement_cache_size=0,
                server_settings=dict(_SERVER_SETTINGS),
            )
        except (*_LOST, asyncpg.PostgresError) as error:
            raise PlannerUnreachable from error
        return cls(connection)

    async def estimate(
        self, costed: Costed, search_path: tuple[str, ...], types: tuple[int, ...]
    ) -> tuple[float, float]:
        """The plan's total cost in the planner's units, and its rows. Raises PlannerRefused, PlannerUnreachable.

        `types`: OIDs of parameters as Parse declared them, 0 where it left that to the server.
        """
        try:
            async with self._connection.transaction(readonly=True):
                path = ", ".join('"' + name.replace('"', '""') + '"' for name in search_path)
                await self._connection.fetch("SELECT pg_catalog.set_config('search_path', $1, true)", path)
                answer = await self._explained(costed, types)
            # What was prepared outlives its transaction.
            await self._connection.fetch("DEALLOCATE ALL")
            plan = json.loads(answer)[0]["Plan"]
            return float(plan["Total Cost"]), float(plan["Plan Rows"])
        except _ENDED as error:
            self.abandon()
            raise PlannerUnreachable from error
        except asyncpg.PostgresError as error:
            await self._forget()
            raise PlannerRefused(error.sqlstate or "XX000") from error
        except BaseException:
            # Cancelled because it took too long: what it does now is nobody's business any more.
            self.abandon()
            raise

    async def _explained(self, costed: Costed, types: tuple[int, ...]) -> str:
        # By the extended protocol, which takes one statement and no more.
        connection = self._connection
        if costed.is_whole:
            return str(await connection.fetchval(f"EXPLAIN (FORMAT JSON) {costed.query}"))
        declared = costed.types or (await connection.fetchval(_TYPES, list(types)) if types else "")
        # As the client wrote them: a comment may end them, and must not reach the query.
        brackets = f" ({declared}\n)" if declared else ""
        await connection.fetch(f"PREPARE {_NAME}{brackets} AS {costed.query}")
        count = await connection.fetchval(_PARAMETERS, _NAME)
        nulls = f"({', '.join(['NULL'] * count)})" if count else ""
        return str(await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE {_NAME}{nulls}"))

    async def _forget(self) -> None:
        try:
            await self._connection.fetch("DEALLOCATE ALL")
        except (*_LOST, asyncpg.PostgresError):
            self.abandon()

    @property
    def is_usable(self) -> bool:
        return not self._connection.is_closed()

    def abandon(self) -> None:
        self._connection.terminate()

    async def close(self) -> None:
        with suppress(*_LOST, asyncpg.PostgresError):
            await self._connection.close(timeout=_CLOSE_TIMEOUT_S)
