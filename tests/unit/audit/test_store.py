"""The store on a real PostgreSQL: what each role may do, and what survives the way there and back."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import asyncpg
import pytest
from audit_samples import START_US, intent, outcome
from audit_store import execute, fetch
from msgspec import structs

from audit.errors import StoreError, StoreUnreachableError
from audit.migrations import load_migrations, steps_between
from audit.query import Filters
from audit.record import NO_HASH, Record, Stage, Verdict, body_of, completed, hash_of, record_of
from audit.store import Store
from audit.store_costs import StoreCosts
from audit.store_rows import ChainedRecord

DAY_US = 86_400_000_000
START = datetime.fromtimestamp(START_US // 1_000_000, UTC)


def chained(*records: Record, chain: str = "test/0") -> list[ChainedRecord]:
    """The records as a journal would number and link them."""
    made, prev_hash = [], NO_HASH
    for number, record in enumerate(records, 1):
        body = body_of(completed(record, f"{number:032x}", START_US + number))
        own_hash = hash_of(prev_hash, body)
        made.append(ChainedRecord(chain, number, record_of(body, prev_hash, own_hash)))
        prev_hash = own_hash
    return made


@asynccontextmanager
async def acting_as(dsn: str, role: str, tenant: str | None = None) -> AsyncIterator["asyncpg.Connection"]:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f"SET ROLE {role}")
        if tenant is not None:
            await connection.execute("SELECT set_config('pgwarden.tenant', $1, false)", tenant)
        yield connection
    finally:
        connection.terminate()


async def test_records_come_back_as_they_were_hashed(store: Store) -> None:
    sent = chained(
        intent("s1", sql_text="select 'ä€😀\\ \t'", rule_ids=(), tables=("a.b", 'odd "name".{x,y}'), decision=None),
        outcome("s1", cost=Decimal("12.5"), rows=0, bytes_out=2**40),
        outcome("s2", cost=None, rows=None, masked_columns=("", "NULL")),
        intent("s3", end_user="grace", lane="bulk", queued_us=0, parameters=("7", None, "", "NULL", "{a,b}")),
        intent("s4", plan_units=7, raw_columns=("a.b.c",)),
    )
    assert await store.copy_records(sent) == 5
    back = [row async for row in store.read_chain("test/0")]
    assert back == sent
    for row in back:
        assert hash_of(bytes.fromhex(row.record.prev_hash), body_of(row.record)).hex() == row.record.hash


async def test_sending_again_changes_nothing(store: Store) -> None:
    sent = chained(intent("s1"), outcome("s1"), intent("s2"))
    assert await store.copy_records(sent[:2]) == 2
    assert await store.copy_records(sent) == 1
    assert await store.copy_records(sent) == 0
    assert [row async for row in store.read_chain()] == sent


async def test_rows_go_straight_once_nothing_can_be_there_already(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = chained(*(intent(f"s{number}") for number in range(6)))
    assert await store.copy_records(sent[:2]) == 2
    with monkeypatch.context() as patched:
        patched.setattr(store, "_merged", None)
        assert await store.copy_records(sent[2:4]) == 2
    assert await store.copy_records(sent[1:5]) == 1
    assert await store.copy_records(sent[1:5]) == 0
    assert await store.copy_records(sent[5:]) == 1
    assert [row async for row in store.read_chain()] == sent


async def test_a_batch_of_two_months_is_stored(store: Store) -> None:
    june = chained(intent("s1"))
    july = [
        replace(one, sequence=2, record=structs.replace(one.record, id="f" * 32, at=START_US + 30 * DAY_US))
        for one in june
    ]
    assert await store.copy_records(june) == 1
    assert await store.copy_records(july) == 1
    assert await store.copy_records(june + july) == 0
    assert (
        await store.copy_records(
            [
                replace(one, record=structs.replace(one.record, id=f"{number:032x}"))
                for number, one in enumerate(june + july, 50)
            ]
        )
        == 2
    )


@pytest.mark.parametrize(
    "statement",
    [
        "REVOKE INSERT ON pgwarden.records_2025_06 FROM pgwarden_writer",
        "ALTER TABLE pgwarden.records_2025_06 ENABLE ROW LEVEL SECURITY",
    ],
)
async def test_a_partition_that_takes_no_rows_itself_is_filled_by_the_table(
    store: Store, store_dsn: str, statement: str
) -> None:
    sent = chained(*(intent(f"s{number}") for number in range(4)))
    assert await store.copy_records(sent[:2]) == 2
    await execute(store_dsn, statement)
    assert await store.copy_records(sent[2:3]) == 1
    assert await store.copy_records(sent[3:]) == 1
    assert [row async for row in store.read_chain()] == sent


async def test_the_writer_reads_no_partition(store: Store, store_dsn: str) -> None:
    await store.copy_records(chained(intent("s1")))
    async with acting_as(store_dsn, "pgwarden_writer") as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("SELECT * FROM pgwarden.records_2025_06")


async def test_what_is_stored_outlives_the_store(store_dsn: str) -> None:
    """The journal lets go of it."""
    name = store_dsn.rsplit("/", 1)[1].partition("?")[0]
    await execute(store_dsn, f"ALTER DATABASE {name} SET synchronous_commit = off")
    store = Store(store_dsn)
    await store.migrate()
    await store.copy_records(chained(intent("s1")))
    assert store._writer is not None
    assert await store._writer.fetchval("SHOW synchronous_commit") == "on"
    await store.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE pgwarden.records SET sql_text = ''",
        "DELETE FROM pgwarden.records",
        "TRUNCATE pgwarden.records",
        "DROP TABLE pgwarden.records",
        "ALTER TABLE pgwarden.records DISABLE ROW LEVEL SECURITY",
        "SELECT pgwarden.drop_partitions(now())",
        "UPDATE pgwarden.records_2025_06 SET sql_text = ''",
        "DELETE FROM pgwarden.records_2025_06",
        "INSERT INTO pgwarden.tenant_logins VALUES ('x', 'y')",
        "DELETE FROM pgwarden.dropped_partitions",
    ],
)
async def test_the_writer_can_only_add(store: Store, store_dsn: str, statement: str) -> None:
    await store.copy_records(chained(intent("s1")))
    async with acting_as(store_dsn, "pgwarden_writer") as connection:
        assert await connection.fetchval("SELECT count(*) FROM pgwarden.records") == 1
        with pytest.raises(asyncpg.InsufficientPrivilegeError) as caught:
            await connection.execute(statement)
        assert caught.value.sqlstate == "42501"


async def test_the_shipping_connection_is_the_writer(store: Store) -> None:
    await store.ping()
    connection = store._writer
    assert connection is not None
    assert await connection.fetchval("SELECT current_user") == "pgwarden_writer"
    for statement in ("UPDATE pgwarden.records SET tenant = ''", "DELETE FROM pgwarden.records"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)


async def test_a_login_of_its_own_can_ship_without_any_other_right(store: Store, store_dsn: str) -> None:
    await execute(
        store_dsn,
        "DROP ROLE IF EXISTS test_shipper",
        "CREATE ROLE test_shipper LOGIN PASSWORD 'x' IN ROLE pgwarden_writer",
    )
    narrow = Store(store_dsn.replace(store_dsn.split("//")[1].split("@")[0], "test_shipper:x"))
    assert await narrow.copy_records(chained(intent("s1"))) == 1  # the month's partition is made for it
    with pytest.raises(StoreError, match="42501"):
        await narrow.apply_retention(START)
    with pytest.raises(StoreError, match="42501"):
        await narrow.query(Filters())
    await narrow.close()


async def test_a_reader_sees_its_tenant_alone(store: Store, store_dsn: str) -> None:
    await store.copy_records(chained(intent("s1"), intent("s2", tenant="globex"), intent("s3", tenant="")))
    for tenant, expected in (("acme", ["s1"]), ("globex", ["s2"]), ("", []), (None, []), ("nobody", [])):
        async with acting_as(store_dsn, "pgwarden_reader", tenant) as connection:
            rows = await connection.fetch("SELECT statement_id FROM pgwarden.records")
            assert [row[0] for row in rows] == expected, tenant
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute("INSERT INTO pgwarden.records SELECT * FROM pgwarden.records")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute("SELECT * FROM pgwarden.records_2025_06")


async def test_a_bound_login_cant_choose_its_tenant(store: Store, store_dsn: str) -> None:
    await store.copy_records(chained(intent("s1"), intent("s2", tenant="globex")))
    await execute(
        store_dsn,
        "DROP ROLE IF EXISTS test_globex, test_unbound",
        "CREATE ROLE test_globex LOGIN PASSWORD 'x' IN ROLE pgwarden_reader",
        "CREATE ROLE test_unbound LOGIN PASSWORD 'x' IN ROLE pgwarden_reader",
        "INSERT INTO pgwarden.tenant_logins VALUES ('test_globex', 'globex')",
    )
    for login, expected in (("test_globex", ["s2"]), ("test_unbound", [])):
        dsn = store_dsn.replace(store_dsn.split("//")[1].split("@")[0], f"{login}:x")
        async with acting_as(dsn, "pgwarden_reader", "acme") as connection:
            rows = await connection.fetch("SELECT statement_id FROM pgwarden.records")
            assert [row[0] for row in rows] == expected, login


async def test_row_level_security_binds_the_owner_too(store: Store, store_dsn: str) -> None:
    (row,) = await fetch(
        store_dsn,
        "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = 'pgwarden.records'::regclass",
    )
    assert tuple(row) == (True, True)


async def test_an_auditor_sees_all_and_changes_nothing(store: Store, store_dsn: str) -> None:
    await store.copy_records(chained(intent("s1"), intent("s2", tenant="globex")))
    async with acting_as(store_dsn, "pgwarden_auditor") as connection:
        assert await connection.fetchval("SELECT count(*) FROM pgwarden.records") == 2
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("DELETE FROM pgwarden.records")


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(), ["4", "3", "2", "1"]),
        (Filters(limit=2), ["4", "3"]),
        (Filters(tenant="globex"), ["2"]),
        (Filters(user="bob"), ["3"]),
        (Filters(user="ada", tenant="acme"), ["4", "1"]),
        (Filters(decision=Verdict.DENY), ["3"]),
        (Filters(since=START + timedelta(seconds=3)), ["4", "3"]),
        (Filters(until=START + timedelta(seconds=3)), ["2", "1"]),
        (Filters(table="orders"), ["4"]),
        (Filters(table="shop.orders"), ["4"]),
        (Filters(table="rders"), []),
        (Filters(table="shop.%"), []),
        (Filters(column="customers.email"), ["3", "2", "1"]),
        (Filters(column="phone"), ["4"]),
        (Filters(column="email", limit=2), ["3", "2"]),
        (Filters(column="customers.email", decision=Verdict.DENY), ["3"]),
        (Filters(column="email", until=START + timedelta(seconds=2)), ["1"]),
        (Filters(column="email", tenant="globex"), ["2"]),
        (Filters(column="email", user="eve"), ["2"]),
        (Filters(column="hone"), []),
        (Filters(table="customers"), ["3", "2", "1"]),
        (Filters(table="customers", column="email", user="bob"), ["3"]),
        (Filters(table="orders", column="email"), []),
        (Filters(table="orders", column="phone"), ["4"]),
        (Filters(workload="dbt"), ["4"]),
        (Filters(statement="2"), ["2"]),
        (Filters(user="x' OR true --"), []),
    ],
)
async def test_filters(store: Store, filters: Filters, expected: list[str]) -> None:
    at = [int((START + timedelta(seconds=second)).timestamp()) * 1_000_000 for second in range(5)]
    await store.copy_records(
        chained(
            intent("1", at=at[1]),
            intent("2", at=at[2], tenant="globex", user="eve"),
            intent("3", at=at[3], user="bob", decision=Verdict.DENY),
            intent("4", at=at[4], tables=("shop.orders",), masked_columns=("shop.customers.phone",), workload="dbt"),
            Record(stage=Stage.EVENT, at=at[0], shape="login"),
        )
    )
    filters = filters if filters.stage else replace(filters, stage=Stage.INTENT)
    assert [record.statement_id for record in await store.query(filters)] == expected


async def test_rare_lists_are_found_among_many_in_order_of_time(store: Store) -> None:
    """By the lists that there are, over months: what the planner guesses of a name counts for nothing."""
    month_us = 31 * DAY_US
    records = chained(
        *(intent(str(n), at=START_US + n * month_us // 20, tables=(f"shop.t{n % 7}", "shop.u")) for n in range(60)),
        intent("odd", at=START_US, tables=("shop.t3", 'shop."we, {ird}"'), masked_columns=()),
    )
    await store.copy_records(records)
    found = [record.statement_id for record in await store.query(Filters(table="t3", limit=5))]
    assert found == ["59", "52", "45", "38", "31"]
    every = await store.query(Filters(table="shop.t3", limit=100))
    assert len(every) == 10
    assert [record.at for record in every] == sorted((record.at for record in every), reverse=True)
    assert [record.statement_id for record in await store.query(Filters(table='"we, {ird}"'))] == ["odd"]


async def test_partitions_are_made_ahead_and_across_the_year(store: Store) -> None:
    names = await store.ensure_partitions(datetime(2025, 11, 30, 23, 59, tzinfo=UTC), months_ahead=3)
    assert names == ["records_2025_11", "records_2025_12", "records_2026_01", "records_2026_02"]
    assert await store.ensure_partitions(datetime(2025, 11, 1, tzinfo=UTC), months_ahead=0) == names[:1]


async def test_a_record_of_any_month_finds_its_partition(store: Store) -> None:
    months = [datetime(year, month, 28, 23, 59, 59, 999999, UTC) for year, month in ((2019, 12), (2020, 2), (2031, 1))]
    records = chained(*(intent(str(moment), at=int(moment.timestamp() * 1_000_000)) for moment in months))
    assert await store.copy_records(records) == 3


async def test_retention_drops_whole_months_and_remembers(store: Store) -> None:
    moments = [datetime(2025, month, 10, tzinfo=UTC) for month in (1, 2, 3, 6)]
    records = chained(*(intent(str(n), at=int(at.timestamp()) * 1_000_000) for n, at in enumerate(moments)))
    await store.copy_records(records)
    assert not await store.has_dropped()
    now = datetime(2025, 6, 15, tzinfo=UTC)
    assert await store.apply_retention(now) == ["records_2025_01", "records_2025_02"]
    assert [record.statement_id for record in await store.query(Filters())] == ["3", "2"]
    assert await store.has_dropped()
    assert await store.apply_retention(now) == []
    assert await store.copy_records(records[:1]) == 1  # a late one still finds a place


async def test_migrations_go_up_and_down_and_up(store_dsn: str) -> None:
    store = Store(store_dsn)
    newest = len(load_migrations())
    assert await store.migrate() == newest
    assert await store.migrate() == newest
    for version in [*range(newest - 1, -1, -1), *range(1, newest + 1)]:
        assert await store.migrate(version) == version
    assert await store.copy_records(chained(intent("s1"))) == 1
    await store.close()
    assert await store.migrate(0) == 0
    left = await fetch(store_dsn, "SELECT relname FROM pg_class WHERE relnamespace = 'pgwarden'::regnamespace")
    assert [row[0] for row in left] == ["schema_version"]


async def test_migrations_work_for_a_login_that_is_no_superuser(store_dsn: str) -> None:
    database = store_dsn.rsplit("/", 1)[1]
    await execute(
        store_dsn,
        "DROP ROLE IF EXISTS test_owner",
        "CREATE ROLE test_owner LOGIN PASSWORD 'x' CREATEROLE",
        f"GRANT CREATE, TEMPORARY ON DATABASE {database} TO test_owner WITH GRANT OPTION",
        # On PostgreSQL 16 and later a role that others made can only be handed on by who has its ADMIN option.
        "DO $$ BEGIN EXECUTE (SELECT coalesce(string_agg(format("
        "'GRANT %I TO test_owner WITH ADMIN OPTION', rolname), ';'), 'SELECT 1')"
        " FROM pg_roles WHERE rolname ~ '^pgwarden_'); END $$",
    )
    store = Store(store_dsn.replace(store_dsn.split("//")[1].split("@")[0], "test_owner:x"))
    await store.migrate()
    assert await store.copy_records(chained(intent("s1"))) == 1
    assert len(await store.query(Filters(tenant="acme"))) == 1
    assert len(await store.query(Filters())) == 1
    assert await StoreCosts(store).roll_up(100) == 1
    assert await store.apply_retention(START + timedelta(days=200)) == ["records_2025_06"]
    await store.close()
    assert await store.migrate(0) == 0
    await execute(store_dsn, "DROP OWNED BY test_owner CASCADE", "DROP ROLE test_owner")


def test_there_is_no_way_to_a_version_that_isnt_there() -> None:
    migrations = load_migrations()
    with pytest.raises(StoreError, match="newer than this program's"):
        steps_between(migrations, len(migrations) + 1, None)
    with pytest.raises(StoreError, match="no schema version"):
        steps_between(migrations, 0, len(migrations) + 1)


async def test_a_store_that_isnt_there_is_unreachable() -> None:
    store = Store("postgresql://nobody@127.0.0.1:1/nothing")
    with pytest.raises(StoreUnreachableError):
        await store.copy_records(chained(intent("s1")))
    assert not store.is_reachable


async def test_a_store_without_schema_refuses(store_dsn: str) -> None:
    store = Store(store_dsn)
    with pytest.raises(StoreError):
        await store.copy_records(chained(intent("s1")))
    await store.migrate()
    assert await store.copy_records(chained(intent("s1"))) == 1
    assert store.is_reachable
    await store.close()
