"""What clients do, one function for each kind of traffic: a turn begins with a connection and ends without it.

A turn raises what it didn't expect. What the tally has as ended, refused or uncertain must be in the records so.
"""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import psycopg
from psycopg import errors

from tests.fix_pgwarden import Pgwarden, password_of
from tests.soak.plain_client import Place, PlainClient
from tests.soak.tally import Tally

_READERS: Final = ("ada", "sam", "wes", "admin")
_STATEMENTS_PER_TURN: Final = 20
_COLUMNS: Final = "(sku, name, category, price, weight_kg)"


@dataclass(frozen=True, slots=True)
class World:
    """Where clients connect, what they count in, and their dice (each client has its own)."""

    pgwarden: Pgwarden
    tally: Tally
    dice: random.Random

    def place(self, user: str) -> Place:
        return Place(self.pgwarden.host, self.pgwarden.port, user, password_of(user), "shop")

    def connect(self, user: str, **options: str) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.pgwarden.dsn(user, **options), autocommit=True)


Turn = Callable[[World], None]


def simple(world: World) -> None:
    """Query messages with new literals each time."""
    client = PlainClient(world.place(world.dice.choice(_READERS)))
    for _ in range(_STATEMENTS_PER_TURN):
        mark = world.tally.mark()
        number = world.dice.randrange(1, 50)
        client.query(f"SELECT id, name, email FROM shop.customers WHERE id <> {number} AND name <> '{mark}'")
        world.tally.end(mark)
    client.close()


def several(world: World) -> None:
    """Two statements in one Query."""
    with world.connect("ada") as connection:
        first, second = world.tally.mark(), world.tally.mark()
        connection.execute(f"SELECT '{first}'; SELECT count(*) FROM shop.orders WHERE '{second}' <> ''")
        world.tally.end(first)
        world.tally.end(second)


def extended(world: World) -> None:
    """Parse, Bind, Describe, Execute, Sync with parameters."""
    with world.connect(world.dice.choice(_READERS)) as connection:
        for _ in range(_STATEMENTS_PER_TURN):
            mark = world.tally.mark()
            sql = f"SELECT id, name FROM shop.products WHERE id = %s AND name <> '{mark}'"
            connection.execute(sql.encode(), [world.dice.randrange(1, 50)])
            world.tally.end(mark)


def prepared(world: World) -> None:
    """One statement prepared, executed many times."""
    with world.connect(world.dice.choice(_READERS)) as connection:
        mark = world.tally.mark()
        sql = f"SELECT id, name, email FROM shop.customers WHERE id = %s AND name <> '{mark}'"
        for number in range(_STATEMENTS_PER_TURN):
            connection.execute(sql.encode(), [number], prepare=True)
            world.tally.end(mark)


def pipelines(world: World) -> None:
    """Many statements on their way at once, one of which fails; those behind it are skipped, as the server does."""
    with world.connect("ada") as connection:
        marks = [world.tally.mark() for _ in range(6)]
        with connection.pipeline():
            for mark in marks:
                connection.execute(f"SELECT count(*) FROM shop.orders WHERE '{mark}' <> ''".encode(), [])
        for mark in marks:
            world.tally.end(mark)


def copying(world: World) -> None:
    """COPY to the client, read to its end, and COPY from it."""
    with world.connect("wes") as connection:
        mark = world.tally.mark()
        sql = f"COPY (SELECT id, name, email FROM shop.customers WHERE name <> '{mark}') TO STDOUT"
        with connection.cursor() as cursor, cursor.copy(sql.encode()) as copy:
            assert sum(1 for _ in copy) > 0
        world.tally.end(mark)
        with connection.cursor() as cursor, cursor.copy(f"COPY shop.products {_COLUMNS} FROM STDIN".encode()) as copy:
            for number in range(50):
                copy.write_row((f"{mark}-{number}", "x", "y", number, 1))


def cursors(world: World) -> None:
    """A cursor of DECLARE, fetched in parts and left open at the end of its transaction."""
    with world.connect("wes") as connection, connection.transaction():
        mark = world.tally.mark()
        with connection.cursor(name="slow") as cursor:
            cursor.execute(f"SELECT id, name, email FROM shop.customers WHERE name <> '{mark}'".encode())
            world.tally.end(mark)
            cursor.fetchmany(3)
            cursor.fetchmany(3)


def transactions(world: World) -> None:
    """Writes, a savepoint, an error behind it, and either end."""
    with world.connect("wes") as connection:
        marks = [world.tally.mark() for _ in range(3)]
        connection.execute("BEGIN")
        connection.execute(f"INSERT INTO shop.products {_COLUMNS} VALUES ('{marks[0]}', 'x', 'y', 1, 1)".encode())
        connection.execute("SAVEPOINT here")
        with suppress(errors.DivisionByZero):
            connection.execute(f"SELECT 1 / (length('{marks[1]}') * 0)".encode())
        connection.execute("ROLLBACK TO here")
        connection.execute(f"UPDATE shop.products SET price = price + 1 WHERE name = '{marks[2]}'".encode())
        connection.execute(world.dice.choice(["COMMIT", "ROLLBACK"]).encode())
        for mark in marks:
            world.tally.end(mark)


def mistakes(world: World) -> None:
    """Errors of the server's own, one after the other in one session."""
    with world.connect("ada") as connection:
        for _ in range(5):
            mark = world.tally.mark()
            try:
                connection.execute(f"SELECT 1 / (length('{mark}') * 0) FROM shop.orders LIMIT 1".encode())
            except errors.DivisionByZero:
                world.tally.end(mark)


def refusals(world: World) -> None:
    """What the policy forbids; the session goes on."""
    with world.connect("ada") as connection:
        for _ in range(5):
            mark = world.tally.mark()
            try:
                connection.execute(f"SELECT '{mark}' FROM shop.salaries".encode())
            except errors.InsufficientPrivilege:
                world.tally.refuse(mark)
            assert connection.execute("SELECT 1").fetchone() == (1,)


def cancels(world: World) -> None:
    """A statement that would take long, cancelled; the next one isn't hit."""
    with world.connect("admin") as connection:
        mark = world.tally.mark()
        timer = threading.Timer(world.dice.uniform(0.05, 0.3), connection.cancel)
        timer.start()
        try:
            connection.execute(f"SELECT pg_sleep(20), '{mark}'".encode())
        except errors.QueryCanceled:
            world.tally.end(mark)
        timer.join()
        assert connection.execute("SELECT 1").fetchone() == (1,)


def storms(world: World) -> None:
    """Many connections at once, one statement each; and one with a wrong password."""
    clients = [PlainClient(world.place(world.dice.choice(_READERS))) for _ in range(12)]
    for client in clients:
        mark = world.tally.mark()
        client.query(f"SELECT '{mark}'")
        world.tally.end(mark)
    for client in clients:
        client.close()
    with suppress(psycopg.OperationalError):
        psycopg.connect(world.pgwarden.dsn("ada", "wrong")).close()


def aborts(world: World) -> None:
    """Clients that vanish: in the middle of a message, of an answer, of a transaction, by a reset."""
    for sql in ("SELECT pg_sleep(0.3), '{}'", "SELECT repeat('x', 1000), '{}' FROM generate_series(1, 20000)"):
        mark = world.tally.mark()
        client = PlainClient(world.place("admin"))
        client.query("BEGIN")
        client.send(b"Q", sql.format(mark).encode() + b"\0")
        world.tally.leave(mark)
        time.sleep(world.dice.uniform(0, 0.1))
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.socket.close()
    half = PlainClient(world.place("ada"))
    half.socket.sendall(b"Q\0\0\1\0SELECT")
    half.socket.close()


def slow_readers(world: World) -> None:
    """Twelve MiB of rows for one who takes them in pieces, with pauses."""
    client = PlainClient(world.place("admin"), timeout_s=120.0)
    mark = world.tally.mark()
    client.send(b"Q", f"SELECT repeat('x', 1000), '{mark}' FROM generate_series(1, 12000)".encode() + b"\0")
    for number, (kind, _) in enumerate(client.messages()):
        if number % 1000 == 0:
            time.sleep(0.1)
        if kind == b"Z":
            break
    world.tally.end(mark)
    client.close()


def large_rows(world: World) -> None:
    """A row of 8 MiB, and a statement of one."""
    with world.connect("admin") as connection:
        mark = world.tally.mark()
        row = connection.execute(f"SELECT repeat('x', 8388608), '{mark}'".encode()).fetchone()
        assert row is not None
        assert len(str(row[0])) == 8_388_608
        world.tally.end(mark)
        assert connection.execute(b"SELECT length('" + b"y" * 1_000_000 + b"')").fetchone() == (1_000_000,)


# How often each is taken, against the others.
TURNS: Final[dict[Turn, int]] = {
    simple: 12,
    several: 4,
    extended: 12,
    prepared: 12,
    pipelines: 6,
    copying: 3,
    cursors: 4,
    transactions: 6,
    mistakes: 4,
    refusals: 4,
    cancels: 2,
    storms: 2,
    aborts: 3,
    slow_readers: 1,
    large_rows: 1,
}
