"""Runs a query and what it was rewritten to on the server, each in a transaction that is rolled back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import psycopg

_TIMEOUT: Final = "SET LOCAL statement_timeout = '10s'"


@dataclass(frozen=True, slots=True)
class Answer:
    """`columns` are (name, type OID); `rows` are in the server's text, in its order. An error has no rows."""

    sqlstate: str | None
    message: str = ""
    columns: tuple[tuple[str, int], ...] = ()
    rows: tuple[tuple[object, ...], ...] = ()

    @property
    def is_timeout(self) -> bool:
        return self.sqlstate == "57014"

    def equals(self, other: Answer) -> bool:
        """Rows without regard to order: a guard may change the plan."""
        if self.sqlstate != other.sqlstate or self.columns != other.columns:
            return False
        return sorted(map(repr, self.rows)) == sorted(map(repr, other.rows))


class Runner:
    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection = psycopg.connect(dsn, autocommit=True)

    def close(self) -> None:
        self._connection.close()

    def run(self, text: str, path: tuple[str, ...]) -> Answer:
        if self._connection.closed:
            self._connection = psycopg.connect(self._dsn, autocommit=True)
        names = ", ".join('"' + name.replace('"', '""') + '"' for name in path)
        try:
            with self._connection.transaction(force_rollback=True):
                self._connection.execute(f"{_TIMEOUT}; SET LOCAL search_path = {names}; SELECT setseed(0.5)".encode())
                return self._answer(text)
        except psycopg.Error as error:
            return Answer(error.sqlstate or "08006", str(error.diag.message_primary))

    def _answer(self, text: str) -> Answer:
        result = self._connection.pgconn.exec_(text.encode())
        if result.error_message:
            state = result.error_field(psycopg.pq.DiagnosticField.SQLSTATE) or b"XX000"
            message = result.error_field(psycopg.pq.DiagnosticField.MESSAGE_PRIMARY) or b""
            return Answer(state.decode(), message.decode("utf-8", "replace"))
        columns = tuple(((result.fname(i) or b"").decode(), result.ftype(i)) for i in range(result.nfields))
        rows = tuple(tuple(result.get_value(r, c) for c in range(result.nfields)) for r in range(result.ntuples))
        return Answer(None, "", columns, rows)
