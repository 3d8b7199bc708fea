"""The SQL of what was sent, by shape. Runs on a Store's connections."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from audit.record import Verdict
from audit.store import Store

_PATIENCE_S = 900.0  # it reads the whole time in question
_SHAPES = """
    SELECT "user", decision, policy_version, count(*) AS statements, max(sql_text) AS sql_text,
           (array_agg(client_address ORDER BY at DESC))[1] AS client_address, max(at) AS at
    FROM pgwarden.records
    WHERE database = $1 AND at >= $2 AND stage = 'intent' AND decision IN ('allow', 'rewrite')
    GROUP BY "user", decision, policy_version, CASE WHEN shape = '' THEN sql_text ELSE shape END"""


@dataclass(frozen=True, slots=True)
class SentShape:
    """Statements of one user that differ in their literals alone; text, address and time are those of one of them."""

    user: str
    decision: Verdict
    policy_version: str
    statements: int
    sql_text: str
    client_address: str
    at: datetime


class StoreShapes:
    """Raises what Store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def since(self, database: str, moment: datetime) -> list[SentShape]:
        """Of all statements that were let through to a database."""
        async with self._store.connected("pgwarden_auditor") as connection:
            rows = await connection.fetch(_SHAPES, database, moment, timeout=_PATIENCE_S)
        return [SentShape(**{**row, "decision": Verdict(row["decision"])}) for row in rows]
