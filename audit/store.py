"""The only SQL against the side store: schema, writing, reading, retention. Knows no journal files and no
policies.

Each task runs under its own narrow role, whatever the login of the DSN may do: the writer can INSERT and
SELECT, the reader sees one tenant, the auditor sees all. Only migrations and retention run with the login's
own rights.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import asyncpg

from audit.copy_fields import COPY_END, COPY_START
from audit.copy_rows import row_of
from audit.errors import StoreError, StoreUnreachableError
from audit.migrations import load_migrations, steps_between
from audit.query import Filters
from audit.record import Record, microseconds_of
from audit.store_rows import COLUMNS, ChainedRecord, chained_record_of
from audit.store_selection import newest

Role = Literal["pgwarden_writer", "pgwarden_reader", "pgwarden_auditor"]
if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

RETENTION_DAYS = 90
_CONNECT_S = 5.0
_COMMAND_S = 60.0
_MIGRATION_S = 6 * 3600.0  # an index over years of records takes its time; they wait in the journals
_MIGRATION_LOCK = 0x70677764  # any number, the same for all pgwardens
_FETCH_ROWS = 1000
_DAY_US = 86_400_000_000
_FIRST_DAY = datetime(1970, 1, 1, tzinfo=UTC)

_MAKE_BATCH = "CREATE TEMPORARY TABLE IF NOT EXISTS pgwarden_batch (LIKE pgwarden.records) ON COMMIT DELETE ROWS"
_MOVE_BATCH = """
    INSERT INTO pgwarden.records
    SELECT * FROM pg_temp.pgwarden_batch ORDER BY chain, sequence
    ON CONFLICT DO NOTHING"""
_OTHER_RECORD = """
    SELECT batch.chain, batch.sequence FROM pg_temp.pgwarden_batch AS batch JOIN pgwarden.records AS own USING (at, id)
    WHERE (batch.chain, batch.sequence, batch.hash) <> (own.chain, own.sequence, own.hash) ORDER BY 1, 2 LIMIT 1"""
# What it has said to have stored outlives its machine: the journal lets go of it then. Other levels are left alone.
_STORE_SURELY = """
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"""
# A plan for these very values, and no time lost on compiling one: see store_selection.
ASK = """
    SELECT set_config('pgwarden.tenant', $1, false), set_config('plan_cache_mode', 'force_custom_plan', false),
           set_config('jit', 'off', false)"""
_CHAIN = """
    SELECT * FROM pgwarden.records
    WHERE ($1::text IS NULL OR chain = $1) AND sequence >= $2 ORDER BY chain, sequence, at, id"""

_DROP = "SELECT * FROM pgwarden.drop_partitions(least($1::timestamptz, now()) - $2::interval)"

# What a connection that is gone, refused or about to go says. Everything else isn't cured by waiting alone.
_UNREACHABLE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InternalClientError,  # what it says of a connection whose server took leave while nothing was asked
)


class Store:
    """One side store. Every method raises StoreUnreachableError or StoreError; neither quotes data."""

    def __init__(self, dsn: str, *, connect_timeout_s: float = _CONNECT_S) -> None:
        self._dsn = dsn
        self._connect_timeout_s = connect_timeout_s
        self._writer: Connection | None = None
        self._has_batch = False  # the writer's connection has its temporary table
        self._may_repeat = True  # after a new connection: an answer may have been lost with the one before
        self._partitions: dict[tuple[int, int], str] = {}
        self._not_straight: set[str] = set()  # partitions that the writer reaches by way of the whole table only
        self._is_reachable = False

    @property
    def is_reachable(self) -> bool:
        """Whether the last thing asked of the store was answered."""
        return self._is_reachable

    async def migrate(self, target: int | None = None) -> int:
        """Brings the schema to a version (None: the newest) and gives it. Several may call it at once.

        Each step is a transaction of its own, so a failing one leaves the version before it.
        """
        async with self.connected() as connection:
            await connection.execute("SELECT pg_advisory_lock($1)", _MIGRATION_LOCK)
            version = await _schema_version(connection)
            for step in steps_between(load_migrations(), version, target):
                async with connection.transaction():
                    await connection.execute(step.script, timeout=_MIGRATION_S)
                    await connection.execute("UPDATE pgwarden.schema_version SET version = $1", step.version)
                version = step.version
            self._partitions.clear()
            return version

    async def ensure_partitions(self, now: datetime, months_ahead: int = 2) -> list[str]:
        """Makes the partitions of this month and the next ones; gives their names."""
        async with self.writing() as connection:
            return [await self._ensure_month(connection, month) for month in _months_from(now, months_ahead)]

    async def copy_records(self, records: Sequence[ChainedRecord]) -> int:
        """Stores records, each once however often it is sent; gives how many were new."""
        stream = bytearray().join((COPY_START, *map(row_of, records), COPY_END))
        return await self.copy_stream(stream, len(records), {one.record.at // _DAY_US for one in records})

    async def copy_stream(self, stream: bytearray, count: int, days: Collection[int]) -> int:
        """The same from a whole stream of binary COPY with so many rows of COLUMNS. `days`: since 1970, on which the
        rows' records were made.

        Whether a record is there already is the primary key's to say. Where none is likely to be, the rows go straight
        into their partition, in one round trip and all or none; if one was there after all, they all are merged.
        """
        if not count:
            return 0
        async with self.writing() as connection:
            partitions = {await self._partition(connection, month) for month in {_month_of(day) for day in days}}
            straight = partitions - self._not_straight
            if not self._may_repeat and len(partitions) == len(straight) == 1:
                (partition,) = straight
                if await self._copied(connection, partition, stream):
                    return count
            new = await self._merged(connection, stream, count)
            self._may_repeat = new < count
        return new

    async def _copied(self, connection: Connection, partition: str, stream: bytearray) -> bool:
        """Whether all rows are stored now; else none is."""
        try:
            await connection.copy_to_table(
                partition, schema_name="pgwarden", columns=COLUMNS, source=_buffer(stream), format="binary"
            )
        except asyncpg.UniqueViolationError:  # another shipper, or an answer to COMMIT that never came
            return False
        except (asyncpg.InsufficientPrivilegeError, asyncpg.FeatureNotSupportedError):
            self._not_straight.add(partition)  # somebody made it by hand, or keeps rows in it apart
            return False
        return True

    async def _merged(self, connection: Connection, stream: bytearray, count: int) -> int:
        """Stores the rows that aren't there yet; gives how many of `count` those were.

        Raises StoreError where what is there isn't the same: the journal must keep its own.
        """
        if not self._has_batch:
            await connection.execute(_MAKE_BATCH)
            self._has_batch = True
        await connection.execute("BEGIN")
        await connection.copy_to_table(
            "pgwarden_batch", schema_name="pg_temp", columns=COLUMNS, source=_buffer(stream), format="binary"
        )
        moved = int((await connection.execute(_MOVE_BATCH)).rsplit(" ", 1)[1])
        other = await connection.fetchrow(_OTHER_RECORD) if moved < count else None
        await connection.execute("COMMIT")
        if other is not None:
            place = f"record {other['sequence']} of {other['chain']}"
            raise StoreError(f"{place} isn't stored: the store holds another one with its id and time")
        return moved

    async def ping(self) -> None:
        """Asks the store for a sign of life over the writer's connection."""
        async with self.writing() as connection:
            await connection.execute("SELECT 1")

    async def query(self, filters: Filters) -> list[Record]:
        """The newest matching records, newest first. With a tenant, row-level security stands behind the
        filter."""
        role: Role = "pgwarden_reader" if filters.tenant is not None else "pgwarden_auditor"
        async with self.connected(role) as connection:
            await connection.execute(ASK, filters.tenant or "")
            selection = newest(filters)
            rows = await connection.fetch(selection.sql, *selection.arguments)
        return [chained_record_of(row).record for row in rows]

    async def read_chain(self, chain: str | None = None, from_sequence: int = 1) -> AsyncIterator[ChainedRecord]:
        """All records of a chain (None: of every chain) in the chain's order, without holding them in
        memory."""
        async with self.connected("pgwarden_auditor") as connection, connection.transaction(readonly=True):
            async for row in connection.cursor(_CHAIN, chain, from_sequence, prefetch=_FETCH_ROWS):
                yield chained_record_of(row)

    async def dropped_until(self) -> int | None:
        """The end of the last month that retention has dropped, in microseconds since 1970 UTC; None if it has none."""
        async with self.connected("pgwarden_auditor") as connection:
            end: datetime | None = await connection.fetchval("SELECT max(ends_at) FROM pgwarden.dropped_partitions")
        return None if end is None else microseconds_of(end)

    async def has_dropped(self) -> bool:
        """Whether retention has ever dropped a month: then chains may begin later than their first record."""
        async with self.connected("pgwarden_auditor") as connection:
            return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM pgwarden.dropped_partitions)"))

    async def apply_retention(self, now: datetime, keep_days: int = RETENTION_DAYS) -> list[str]:
        """Drops the months whose last record is older than `keep_days`; gives the partitions' names.

        Our clock and the store's must agree that they are: one that was set wrong drops nothing.
        """
        async with self.connected() as connection:
            rows = await connection.fetch(_DROP, now, timedelta(days=keep_days))
        self._partitions.clear()
        return [row[0] for row in rows]

    async def close(self) -> None:
        """Ends the writer's connection."""
        writer, self._writer = self._writer, None
        if writer is not None and not writer.is_closed():
            writer.terminate()

    async def _partition(self, connection: Connection, month: tuple[int, int]) -> str:
        """The month's partition, which is made if need be."""
        return self._partitions.get(month) or await self._ensure_month(connection, month)

    async def _ensure_month(self, connection: Connection, month: tuple[int, int]) -> str:
        first_day = datetime(*month, 1, tzinfo=UTC)
        name: str = await connection.fetchval("SELECT pgwarden.ensure_partition($1)", first_day)
        self._partitions[month] = name
        return name

    @asynccontextmanager
    async def connected(self, role: Role | None = None) -> AsyncIterator[Connection]:
        """A connection for one task, under the role it needs."""
        async with self._translated():
            connection = await self._connect(role)
            try:
                yield connection
            finally:
                connection.terminate()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Connection]:
        """The writer's lasting connection; after any error it is thrown away, its state being unknown."""
        async with self._translated():
            if self._writer is None or self._writer.is_closed():
                self._has_batch, self._may_repeat = False, True
                self._not_straight.clear()
                self._writer = await self._connect("pgwarden_writer")
            try:
                yield self._writer
            except BaseException:
                await self.close()
                self._partitions.clear()
                raise

    @asynccontextmanager
    async def _translated(self) -> AsyncIterator[None]:
        try:
            yield
        except _UNREACHABLE as error:
            self._is_reachable = False
            raise StoreUnreachableError(f"the store can't be reached ({type(error).__name__})") from error
        except asyncpg.PostgresError as error:
            self._is_reachable = True
            raise StoreError(f"the store refuses: {type(error).__name__} ({error.sqlstate})") from error
        self._is_reachable = True

    async def _connect(self, role: Role | None) -> Connection:
        if not self._dsn:  # else asyncpg would look for a server on this machine
            raise StoreUnreachableError("no store is named here (audit.store)")
        connection: Connection = await asyncpg.connect(
            self._dsn,
            timeout=self._connect_timeout_s,
            command_timeout=_COMMAND_S,
            server_settings={"application_name": "pgwarden audit", "TimeZone": "UTC"},
        )
        if role is not None:
            try:
                await connection.execute(f"SET ROLE {role}; {_STORE_SURELY}")
            except BaseException:
                connection.terminate()
                raise
        return connection


async def _schema_version(connection: Connection) -> int:
    """The version in force; makes the place where it is kept if there is none."""
    await connection.execute("CREATE SCHEMA IF NOT EXISTS pgwarden")
    await connection.execute("CREATE TABLE IF NOT EXISTS pgwarden.schema_version (version integer NOT NULL)")
    version: int | None = await connection.fetchval("SELECT version FROM pgwarden.schema_version")
    if version is None:
        await connection.execute("INSERT INTO pgwarden.schema_version VALUES (0)")
    return version or 0


def _month_of(day: int) -> tuple[int, int]:
    at = _FIRST_DAY + timedelta(days=day)
    return at.year, at.month


def _buffer(stream: bytearray) -> Any:
    """One message of the protocol; that a source may be a buffer is documented, but not typed."""
    return memoryview(stream)


def _months_from(now: datetime, months_ahead: int) -> list[tuple[int, int]]:
    first = now.astimezone(UTC).year * 12 + now.astimezone(UTC).month - 1
    return [(month // 12, month % 12 + 1) for month in range(first, first + months_ahead + 1)]
