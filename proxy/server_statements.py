"""Which statements a server has run: from pg_stat_statements, or from its log. Compares nothing."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from policies.compile.parse import ParseError, parse
from proxy.reconciliation import Observed, Ran

_HIDDEN: Final = "<insufficient privilege>"
_WHERE: Final = """
    SELECT quote_ident(n.nspname) AS schema FROM pg_catalog.pg_extension e
    JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'"""
_STATEMENTS: Final = """
    SELECT coalesce(r.rolname, 'a dropped role') AS login, s.query AS sql, s.calls
    FROM {schema}.pg_stat_statements s LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.userid
    WHERE s.dbid = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
      AND s.toplevel AND s.calls > 0"""
_INFO: Final = "SELECT stats_reset, dealloc FROM {schema}.pg_stat_statements_info"
# PostgreSQL's csvlog (manual, 20.8.4): the columns that we read.
_AT, _USER, _DATABASE, _MESSAGE = 0, 1, 2, 13
_PLAIN: Final = re.compile(r"(?:statement|execute [^:]*): (?P<sql>.*)", re.DOTALL)
_AUDIT: Final = "AUDIT: "
_AUDIT_SQL: Final = 7  # AUDIT: SESSION, statement, substatement, class, command, object type, object, statement, values


class UnreadableError(Exception):
    """The server's statistics or log can't be had; the text says what to do."""


def read_statistics(dsn: str) -> Observed:
    """Of the database that the DSN names, needs PostgreSQL 14. Raises UnreadableError."""
    try:
        with psycopg.connect(dsn, autocommit=True, row_factory=dict_row, application_name="pgwarden reconcile") as link:
            return _read(link)
    except psycopg.Error as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnreadableError(f"the server's statistics can't be read: {reason}") from None


def _read(link: psycopg.Connection[dict[str, Any]]) -> Observed:
    place = link.execute(_WHERE).fetchone()
    if place is None:
        raise UnreadableError("this database has no pg_stat_statements: CREATE EXTENSION pg_stat_statements makes it")
    own = link.info.backend_pid and link.execute("SELECT current_user AS login").fetchone()
    rows = link.execute(_STATEMENTS.format(schema=place["schema"]).encode()).fetchall()
    info = link.execute(_INFO.format(schema=place["schema"]).encode()).fetchone()
    if any(row["sql"] == _HIDDEN for row in rows):
        who = own["login"] if own else "this login"
        raise UnreadableError(f"{who} may not read others' statements: GRANT pg_read_all_stats TO it, or name another")
    assert info is not None, "the view has one row"
    ran = tuple(Ran(row["login"], row["sql"], row["calls"]) for row in rows if "pg_stat_statements" not in row["sql"])
    return Observed(info["stats_reset"].astimezone(UTC), ran, info["dealloc"])


@dataclass(frozen=True, slots=True)
class _Line:
    at: datetime
    login: str
    database: str
    message: str


def read_logs(files: Iterable[Path], database: str) -> Observed:
    """Of csvlog or jsonlog files with log_statement or pgaudit's session log. Raises UnreadableError."""
    counts: Counter[tuple[str, str]] = Counter()
    since: datetime | None = None
    for file in files:
        for line in _lines(file):
            since = line.at if since is None else min(since, line.at)
            if line.database == database:
                counts.update((line.login, sql) for sql in _statements(line.message))
    if since is None:
        raise UnreadableError("the log has no line that can be read")
    return Observed(since, tuple(Ran(login, sql, calls) for (login, sql), calls in counts.items()))


def _lines(file: Path) -> Iterator[_Line]:
    try:
        with open(file, encoding="utf-8", errors="replace", newline="") as stream:
            yield from _json_lines(stream) if file.suffix == ".json" else _csv_lines(stream)
    except (OSError, csv.Error, ValueError, KeyError, IndexError) as error:
        wanted = "csvlog (*.csv) or jsonlog (*.json) was expected"
        raise UnreadableError(f"{file} can't be read as a server's log: {wanted} ({type(error).__name__})") from None


def _csv_lines(stream: Iterable[str]) -> Iterator[_Line]:
    for row in csv.reader(stream):
        yield _Line(_moment(row[_AT]), row[_USER], row[_DATABASE], row[_MESSAGE])


def _json_lines(stream: Iterable[str]) -> Iterator[_Line]:
    for text in stream:
        if text.strip():
            row = json.loads(text)
            yield _Line(_moment(row["timestamp"]), row.get("user", ""), row.get("dbname", ""), row.get("message", ""))


def _moment(text: str) -> datetime:
    """``2025-06-15 15:06:40.123 UTC``; log_timezone must be UTC, as a zone's letters mean several times."""
    moment, _, zone = text.rpartition(" ")
    if zone not in ("UTC", "GMT"):
        raise UnreadableError(f"the log's times are in {zone}: set log_timezone to UTC")
    return datetime.fromisoformat(moment).replace(tzinfo=UTC)


def _statements(message: str) -> list[str]:
    """Those that a line tells of, each for itself."""
    if message.startswith(_AUDIT):
        fields = next(csv.reader(io.StringIO(message.removeprefix(_AUDIT))))
        sql = fields[_AUDIT_SQL] if len(fields) > _AUDIT_SQL else ""
    else:
        found = _PLAIN.match(message)
        sql = found["sql"] if found else ""
    if ";" not in sql:
        return [sql] if sql.strip() else []
    try:
        encoded = sql.encode()
        return [encoded[one.start : one.end].decode() for one in parse(sql)]
    except ParseError:
        return [sql]
