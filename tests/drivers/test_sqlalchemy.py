"""SQLAlchemy with psycopg: reflection, Core and ORM."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
from sqlalchemy import Engine, ForeignKey, MetaData, Table, create_engine, func, inspect, select
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from tests.fix_pgwarden import Pgwarden


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"
    __table_args__ = {"schema": "shop"}  # noqa: RUF012
    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[int]
    name: Mapped[str]
    email: Mapped[str]
    balance: Mapped[Decimal]
    orders: Mapped[list[Order]] = relationship(back_populates="customer", order_by="Order.id")


class Order(Base):
    __tablename__ = "orders"
    __table_args__ = {"schema": "shop"}  # noqa: RUF012
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("shop.customers.id"))
    total: Mapped[Decimal]
    customer: Mapped[Customer] = relationship(back_populates="orders")


def engine_of(dsn: str) -> Engine:
    return create_engine(dsn.replace("postgresql://", "postgresql+psycopg://"))


@pytest.fixture(params=["admin", "ada"])
def engine(request: pytest.FixtureRequest, pgwarden: Pgwarden) -> Iterator[Engine]:
    made = engine_of(pgwarden.dsn(request.param))
    yield made
    made.dispose()


@pytest.fixture
def direct(pgwarden: Pgwarden) -> Iterator[Engine]:
    made = engine_of(pgwarden.direct_dsn)
    yield made
    made.dispose()


def test_reflection(pgwarden: Pgwarden, engine: Engine, direct: Engine) -> None:
    """As the server says; an analyst misses what is blocked and nothing else."""
    seen, expected = inspect(engine), inspect(direct)
    is_analyst = engine.url.username == "ada"
    hidden = {"salaries"} if is_analyst else set()
    assert set(seen.get_table_names("shop")) == set(expected.get_table_names("shop")) - hidden
    assert seen.get_schema_names() == expected.get_schema_names()
    assert seen.get_view_names("shop") == expected.get_view_names("shop")
    for table in ("customers", "orders", "order_items"):
        assert _columns(seen, table) == _columns(expected, table)
        assert seen.get_pk_constraint(table, "shop") == expected.get_pk_constraint(table, "shop")
        assert seen.get_foreign_keys(table, "shop") == expected.get_foreign_keys(table, "shop")
        assert {i["name"] for i in seen.get_indexes(table, "shop")} == {
            i["name"] for i in expected.get_indexes(table, "shop")
        }
        assert seen.get_unique_constraints(table, "shop") == expected.get_unique_constraints(table, "shop")
    assert ("card_number" in [name for name, *_ in _columns(seen, "payments")]) != is_analyst


def _columns(inspector: object, table: str) -> list[tuple[str, str, bool]]:
    columns = inspector.get_columns(table, "shop")  # type: ignore[attr-defined]
    return [(column["name"], str(column["type"]), column["nullable"]) for column in columns]


def test_a_reflected_table_can_be_asked(engine: Engine) -> None:
    customers = Table("customers", MetaData(), schema="shop", autoload_with=engine)
    with engine.connect() as connection:
        counted = connection.execute(select(func.count()).select_from(customers)).scalar_one()
        row = connection.execute(select(customers).where(customers.c.id == 1)).mappings().one()
    assert counted == (4000 if engine.url.username == "admin" else 2224)
    assert ("***" in row["email"]) == (engine.url.username == "ada")
    assert row["tags"] == ([] if engine.url.username == "ada" else row["tags"])


def test_the_mapper_loads_objects_and_their_relations(engine: Engine) -> None:
    with Session(engine) as session:
        found = session.scalars(
            select(Customer).join(Customer.orders).where(Order.total > 100).order_by(Customer.id).distinct().limit(20)
        ).all()
        assert len(found) == 20
        assert all(order.customer is customer for customer in found for order in customer.orders)
        if engine.url.username == "ada":
            assert {customer.tenant_id for customer in found} == {1}
            assert all("***@" in customer.email for customer in found)


def test_the_mapper_writes_as_administrator_and_not_as_analyst(engine: Engine) -> None:
    with Session(engine) as session:
        order = session.scalars(select(Order).order_by(Order.id).limit(1)).one()
        order.total += 1
        if engine.url.username == "ada":
            with pytest.raises(ProgrammingError, match="analysts/statements"):
                session.flush()
        else:
            session.flush()
        session.rollback()
        assert session.scalar(select(func.count()).select_from(Order)) is not None
