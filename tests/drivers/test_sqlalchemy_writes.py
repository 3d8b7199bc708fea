"""SQLAlchemy over its PostgreSQL drivers: answers as on the sanitized copy, the unit of work, batches with RETURNING,
server-side cursors, temporary tables, reflection of everything, the asynchronous engine.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator

import pytest
from sqlalchemy import (
    Column,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    bindparam,
    create_engine,
    delete,
    func,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, selectinload
from sqlalchemy.pool import NullPool

from tests.drivers.sanitized import COUNTS, on_the_copy
from tests.drivers.test_sqlalchemy import Customer, Order
from tests.fix_pgwarden import Pgwarden

DRIVERS = ["psycopg", "psycopg2", "pg8000"]
GRANTED = ["admin", "wes"]
ORDERS = Table(
    "orders",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("tenant_id", Integer),
    Column("customer_id", Integer),
    Column("status", String),
    Column("total", postgresql.NUMERIC),
    Column("note", Text),
    Column("ordered_at", postgresql.TIMESTAMP(timezone=True)),
    schema="shop",
)
WHEN = datetime.datetime(2025, 6, 1, 12, tzinfo=datetime.UTC)


def engine_of(dsn: str, driver: str = "psycopg", **options: object) -> Engine:
    return create_engine(dsn.replace("postgresql://", f"postgresql+{driver}://"), **options)


@pytest.fixture(params=GRANTED)
def user(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=DRIVERS)
def engine(request: pytest.FixtureRequest, pgwarden: Pgwarden, user: str) -> Iterator[Engine]:
    made = engine_of(pgwarden.dsn(user), request.param)
    yield made
    made.dispose()


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("who", ["admin", "ada", "wes"])
def test_rows(pgwarden: Pgwarden, who: str, driver: str) -> None:
    question = "SELECT * FROM shop.customers WHERE id BETWEEN :low AND 900 ORDER BY id"
    answers = []
    for dsn, sql in (
        (pgwarden.dsn(who), question),
        (pgwarden.direct_dsn, on_the_copy(who, question)),
    ):
        engine = engine_of(dsn, driver, poolclass=NullPool)
        with engine.connect() as connection:
            answers.append(connection.execute(text(sql.replace("::", "\\:\\:")), {"low": 5}).mappings().all())
    assert answers[0] == answers[1]
    assert len(answers[0]) > 400


def test_batches_with_returning(engine: Engine) -> None:
    """insertmanyvalues: many rows in one INSERT ... SELECT FROM (VALUES ...) ORDER BY ... RETURNING."""
    rows = [{"tenant_id": 1, "customer_id": 1, "ordered_at": WHEN, "note": f"note {n}"} for n in range(1500)]
    with engine.connect() as connection:
        returned = connection.execute(
            insert(ORDERS).returning(ORDERS.c.id, ORDERS.c.note, sort_by_parameter_order=True), rows
        )
        found = returned.all()
        assert [note for _, note in found] == [row["note"] for row in rows]
        ids = [number for number, _ in found]
        changed = connection.execute(
            update(ORDERS).where(ORDERS.c.id == bindparam("key")).values(total=bindparam("sum")),
            [{"key": number, "sum": 7} for number in ids[:20]],
        )
        assert changed.rowcount == 20
        sums = select(func.sum(ORDERS.c.total), func.count()).where(ORDERS.c.id.in_(ids))
        assert connection.execute(sums).one() == (140, 1500)
        gone = connection.execute(delete(ORDERS).where(ORDERS.c.id.in_(ids)).returning(ORDERS.c.id))
        assert sorted(gone.scalars()) == sorted(ids)
        connection.rollback()


def test_conflicts(engine: Engine) -> None:
    statement = postgresql.insert(ORDERS).values(id=1, tenant_id=1, customer_id=1, ordered_at=WHEN, note="twice")
    with engine.connect() as connection:
        returned = connection.execute(statement.on_conflict_do_nothing().returning(ORDERS.c.id))
        assert returned.all() == []
        with pytest.raises(IntegrityError), connection.begin_nested():
            connection.execute(statement)
        connection.rollback()


def test_the_unit_of_work(engine: Engine) -> None:
    with Session(engine) as session:
        orders = [Order(customer_id=1, total=number) for number in range(3)]
        with pytest.raises(DBAPIError), session.begin_nested():  # tenant_id is missing
            session.add_all(orders)
            session.flush()
        customer = session.scalars(
            select(Customer).options(selectinload(Customer.orders)).where(Customer.orders.any()).order_by(Customer.id)
        ).first()
        assert customer is not None
        order = customer.orders[0]
        before = order.total
        order.total += 1
        session.flush()
        session.refresh(order)
        assert order.total == before + 1
        session.execute(update(Order).where(Order.id == order.id).values(total=0))
        assert order.total == 0
        session.rollback()
        assert order.total == before


def test_the_orms_bulk_statements(engine: Engine) -> None:
    with Session(engine) as session:
        ids = session.scalars(select(Order.id).order_by(Order.id).limit(10)).all()
        session.execute(update(Order), [{"id": number, "total": 11} for number in ids])
        totals = session.scalars(select(Order.total).where(Order.id.in_(ids))).all()
        assert totals == [11] * 10
        assert session.scalars(delete(Order).where(Order.id < 0).returning(Order.id)).all() == []
        session.rollback()


def test_rows_come_by_server_side_cursors(engine: Engine, user: str) -> None:
    statement = select(Customer.id, Customer.email).order_by(Customer.id)
    with engine.connect() as connection:
        streamed = connection.execution_options(stream_results=True, max_row_buffer=100).execute(statement).all()
        assert streamed == connection.execute(statement).all()
        parts = connection.execution_options(yield_per=500).execute(statement).partitions()
        assert [len(part) for part in parts] == [500] * (COUNTS[user] // 500) + [COUNTS[user] % 500][
            : COUNTS[user] % 500
        ]


def test_a_temporary_table(engine: Engine) -> None:
    table = Table("kept", MetaData(), Column("id", Integer), Column("email", Text), prefixes=["TEMPORARY"])
    with engine.connect() as connection:
        table.create(connection)
        source = select(Customer.id, Customer.email).where(Customer.id < 100)
        connection.execute(insert(table).from_select(["id", "email"], source))
        found = connection.execute(select(table).order_by(table.c.id)).all()
        assert found == connection.execute(source.order_by(Customer.id)).all()
        assert found
        assert inspect(connection).get_temp_table_names() == ["kept"]
        table.drop(connection)
        connection.rollback()


def test_reflection_of_everything(pgwarden: Pgwarden, engine: Engine) -> None:
    """Whole metadata at once; an analyst's is the server's without what is blocked."""
    seen, expected = MetaData(schema="shop"), MetaData(schema="shop")
    seen.reflect(engine, views=True)
    direct = engine_of(pgwarden.direct_dsn, poolclass=NullPool)
    expected.reflect(direct, views=True)
    hidden = set() if engine.url.username == "admin" else {"shop.salaries"}
    assert set(seen.tables) == set(expected.tables) - hidden
    for name, table in seen.tables.items():
        original = expected.tables[name]
        columns = {
            column.name: repr(column.type) for column in original.columns if column.name != "card_number" or not hidden
        }
        assert {column.name: repr(column.type) for column in table.columns} == columns
        assert {index.name for index in table.indexes} == {index.name for index in original.indexes}
    through, bare = inspect(engine), inspect(direct)
    assert through.get_enums("shop") == bare.get_enums("shop")
    assert through.get_sequence_names("shop") == bare.get_sequence_names("shop")
    if not hidden:  # a definition may quote what is hidden
        definition = bare.get_view_definition("customer_totals", "shop")
        assert through.get_view_definition("customer_totals", "shop") == definition
    keys, expected_keys = through.get_multi_foreign_keys("shop"), bare.get_multi_foreign_keys("shop")
    if hidden:
        del expected_keys["shop", "salaries"]
    assert keys == expected_keys
    assert through.has_table("orders", "shop")
    assert through.has_table("salaries", "shop") == (not hidden)


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_the_asynchronous_engine(pgwarden: Pgwarden, user: str, driver: str) -> None:
    made = create_async_engine(pgwarden.dsn(user).replace("postgresql://", f"postgresql+{driver}://"))
    try:
        async with AsyncSession(made) as session:
            counted = await session.scalar(select(func.count()).select_from(Customer))
            assert counted == COUNTS[user]
            order = (await session.scalars(select(Order).order_by(Order.id).limit(1))).one()
            order.total += 5
            await session.flush()
            rows = [{"tenant_id": 1, "customer_id": 1, "ordered_at": WHEN, "note": str(n)} for n in range(60)]
            returned = await session.execute(insert(ORDERS).returning(ORDERS.c.note), rows)
            assert sorted(returned.scalars()) == sorted(row["note"] for row in rows)
            await session.rollback()
        async with made.connect() as connection:
            emails = await connection.stream(select(Customer.email).order_by(Customer.id))
            found = [email async for (email,) in emails]
            assert len(found) == COUNTS[user]
            assert all("***@" in email for email in found) == (user != "admin")
    finally:
        await made.dispose()
