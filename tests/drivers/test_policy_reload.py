"""Connections that live through a change of policies: drivers' prepared statements follow it, and what can't follow
ends with an error that the driver calls retryable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pg8000.native
import psycopg
import psycopg2
import psycopg2.errors
import pytest
from psycopg import errors
from sqlalchemy import create_engine, text

from tests.drivers.test_pg8000 import arguments
from tests.fix_pgwarden import MakePgwarden, Pgwarden, policy_text, until

PHONE = "SELECT phone FROM shop.customers WHERE id = "
BEFORE, AFTER = "***********0613", "*************13"
Ask = Callable[[], str]


@pytest.fixture
def instance(make_pgwarden: MakePgwarden) -> Pgwarden:
    return make_pgwarden()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def narrow(instance: Pgwarden) -> None:
    """Two digits fewer of each phone, in force when this returns."""
    with psycopg.connect(instance.dsn("ada"), autocommit=True) as connection:

        def is_narrower() -> bool:
            return connection.execute(PHONE.encode() + b"1").fetchone() == (AFTER,)

        instance.write_policies(policy_text().replace("keep_last: 4", "keep_last: 2"))
        until(is_narrower, "the narrower policy")


def test_prepared_statements_follow(instance: Pgwarden, stack: ExitStack) -> None:
    asked = [made(instance.dsn("wes"), stack) for made in (_psycopg, _psycopg_binary, _pg8000, _sqlalchemy)]
    for _ in range(2):
        assert [ask() for ask in asked] == [BEFORE] * len(asked)
    narrow(instance)
    for _ in range(2):
        assert [ask() for ask in asked] == [AFTER] * len(asked)


def _psycopg(dsn: str, stack: ExitStack) -> Ask:
    connection = stack.enter_context(psycopg.connect(dsn, autocommit=True, prepare_threshold=0))
    return lambda: connection.execute(PHONE.encode() + b"%s", (1,)).fetchall()[0][0]


def _psycopg_binary(dsn: str, stack: ExitStack) -> Ask:
    connection = stack.enter_context(psycopg.connect(dsn, autocommit=True, prepare_threshold=0))
    return lambda: connection.cursor(binary=True).execute(PHONE.encode() + b"%s", (1,)).fetchall()[0][0]


def _pg8000(dsn: str, stack: ExitStack) -> Ask:
    connection = stack.enter_context(closing(pg8000.native.Connection(**arguments(dsn))))
    prepared = connection.prepare(PHONE + ":id")
    return lambda: prepared.run(id=1)[0][0]


def _sqlalchemy(dsn: str, stack: ExitStack) -> Ask:
    engine = create_engine(dsn.replace("postgresql://", "postgresql+psycopg://"), pool_pre_ping=True)
    stack.callback(engine.dispose)

    def ask() -> str:
        with engine.connect() as connection:
            return str(connection.execute(text(PHONE + ":id"), {"id": 1}).scalar_one())

    return ask


def test_cursors_end_with_a_serialization_failure(instance: Pgwarden) -> None:
    """Their rows were made under the older policy. Who tries the transaction again sees the newer one."""
    sql = "SELECT phone FROM shop.customers ORDER BY id"
    with psycopg.connect(instance.dsn("wes")) as newer, closing(psycopg2.connect(instance.dsn("wes"))) as older:
        named = newer.cursor("parts")
        named.execute(sql.encode())
        assert named.fetchone() == (BEFORE,)
        held = older.cursor("held", withhold=True)
        held.execute(sql)
        assert held.fetchone() == (BEFORE,)
        older.commit()
        narrow(instance)
        with pytest.raises(errors.SerializationFailure):
            named.fetchone()
        named.close()
        newer.rollback()
        with pytest.raises(psycopg2.errors.SerializationFailure):
            held.fetchone()
        older.rollback()
        with newer.cursor("again") as again:
            assert again.execute(sql.encode()).fetchone() == (AFTER,)
        held.close()
        with older.cursor("again") as again_held:
            again_held.execute(sql)
            assert again_held.fetchone() == (AFTER,)


def test_sqls_prepared_statements_say_that_their_plan_is_outdated(instance: Pgwarden) -> None:
    with psycopg.connect(instance.dsn("wes"), autocommit=True) as connection:
        for phone, change in ((BEFORE, narrow), (AFTER, None)):
            connection.execute(f"PREPARE one (int) AS {PHONE} $1".encode())
            assert connection.execute("EXECUTE one (1)").fetchone() == (phone,)
            if change:
                change(instance)
                with pytest.raises(errors.FeatureNotSupported, match="cached plan must not change result type"):
                    connection.execute("EXECUTE one (1)")
                connection.execute("DEALLOCATE one")


def test_copies_see_the_newer_policy(instance: Pgwarden) -> None:
    with psycopg.connect(instance.dsn("wes"), autocommit=True) as connection:
        copy_text = f"COPY ({PHONE} 1) TO STDOUT".encode()
        for phone in (BEFORE, AFTER):
            with connection.cursor().copy(copy_text) as copy:
                assert b"".join(copy) == phone.encode() + b"\n"
            if phone == BEFORE:
                narrow(instance)
