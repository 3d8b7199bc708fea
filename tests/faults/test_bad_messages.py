"""Messages that are wrong, or right at the wrong moment: pgwarden answers as the server itself does."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import psycopg
import pytest

from tests.fix_pgwarden import Pgwarden, run_pgwarden
from tests.fix_servers import TestServer
from tests.security.canary_shop import connect
from tests.security.raw_client import (
    FLUSH,
    SYNC,
    RawClient,
    bind,
    close,
    describe,
    execute,
    frame,
    parse,
    query,
    string,
)

ONE = "SELECT 1"
MANY = "SELECT g FROM generate_series(1, 5) g"
COPY = query("CREATE TEMP TABLE c (x int)"), query("COPY c FROM STDIN")
DATA, DONE, FAIL = frame(b"d", b"1\n2\n"), frame(b"c"), frame(b"f", string("no"))
TERMINATE = frame(b"X")


def raw_bind(
    portal: str, name: str, formats: tuple[int, ...], values: tuple[bytes, ...], results: tuple[int, ...]
) -> bytes:
    """A Bind whose counts need not fit together."""
    sent = b"".join(struct.pack("!i", len(value)) + value for value in values)
    heads = struct.pack(f"!h{len(formats)}h", len(formats), *formats) + struct.pack("!h", len(values))
    return frame(
        b"B", string(portal), string(name), heads, sent, struct.pack(f"!h{len(results)}h", len(results), *results)
    )


EXCHANGES: dict[str, tuple[bytes, ...]] = {
    "bind to a missing statement": (bind(name="nowhere"), SYNC, query(ONE)),
    "bind to a missing unnamed statement": (bind(), execute(), SYNC),
    "execute a missing portal": (execute("nowhere"), SYNC),
    "describe what is missing": (describe(b"S", "nowhere"), SYNC, describe(b"P", "nowhere"), SYNC),
    "close what is missing": (close(b"S", "nowhere"), close(b"P", "nowhere"), SYNC),
    "parse a taken name": (parse(ONE, "s"), parse("SELECT 2", "s"), SYNC, bind(name="s"), execute(), SYNC),
    "names longer than the server's": (
        parse(ONE, "n" * 63 + "a"), SYNC, parse("SELECT 2", "n" * 63 + "b"), SYNC, bind(name="n" * 63),
        execute(), SYNC,
    ),
    "bind to a closed statement": (parse(ONE, "s"), close(b"S", "s"), bind(name="s"), SYNC),
    "a portal's name is taken": (
        query("BEGIN"), parse(ONE, "a"), parse(MANY, "b"), bind(name="a", portal="p"), bind(name="b",
        portal="p"), SYNC,
        query("ROLLBACK"),
    ),
    "a portal outlives its statement": (
        query("BEGIN"), parse(MANY, "s"), bind(name="s", portal="p"), close(b"S", "s"), execute("p", 2),
        execute("p"), SYNC,
        query("COMMIT"),
    ),
    "a portal ends with its transaction": (parse(ONE), bind(portal="p"), SYNC, execute("p"), SYNC),
    "a portal closed twice": (parse(ONE), bind(portal="p"), close(b"P", "p"), close(b"P", "p"), execute("p"), SYNC),
    "several portals in turn": (
        query("BEGIN"), parse(MANY, "s"), bind(name="s", portal="p"), bind(name="s", portal="q"), execute("p", 2),
        execute("q", 1), query(ONE), execute("p", 2), SYNC, execute("q"), execute("p"), execute("p"), SYNC,
        query("COMMIT"),
    ),
    "a limit below zero": (parse(MANY), bind(), execute(limit=-1), SYNC),
    "a finished portal once more": (
        parse(ONE), bind(), execute(), execute(), SYNC, parse("SHOW TimeZone"), bind(),
        SYNC,
    ),
    "too few parameters": (parse("SELECT $1::int"), bind(), SYNC),
    "too many parameters": (parse("SELECT $1::int"), bind((b"1", b"2")), SYNC),
    "more parameter formats than parameters": (parse("SELECT $1::int"), raw_bind("", "", (0, 0), (b"1",), ()), SYNC),
    "more result formats than columns": (parse(ONE), bind(result=(0, 0, 0)), execute(), SYNC),
    "an unknown parameter format": (parse("SELECT $1::int"), raw_bind("", "", (7,), (b"1",), ()), SYNC),
    "an unknown result format": (parse(ONE), bind(result=7), execute(), SYNC),
    "a parameter that doesn't parse": (parse("SELECT $1::int"), bind((b"x",)), SYNC),
    "a binary parameter of a wrong size": (
        parse("SELECT $1::int"), raw_bind("", "", (1,), (b"abc",), ()), execute(),
        SYNC,
    ),
    "an unknown parameter type": (parse("SELECT $1", types=(999999,)), SYNC),
    "two statements to prepare": (parse("SELECT 1; SELECT 2"), SYNC),
    "a statement that doesn't parse": (parse("SELEC"), bind(), execute(), SYNC, query("SELEC 1")),
    "an empty statement": (parse(""), bind(), describe(), execute(), SYNC, query(""), query(" ; ")),
    "what follows an error is skipped": (
        parse("SELECT 1/0"), bind(), execute(), parse(ONE), query(ONE), FLUSH, SYNC, query(ONE),
    ),
    "a query between extended messages": (parse(ONE), bind(), query("SELECT 2"), execute(), SYNC),
    "an error after a commit in one text": (query("SELECT 1; SELECT 1/0; SELECT 3"), query(ONE)),
    "a failed block": (query("BEGIN"), query("SELECT 1/0"), query(ONE), parse(ONE), SYNC, query("COMMIT")),
    "syncs without anything": (SYNC,) * 3_000,
    "copy messages outside of a copy": (DATA, DONE, FAIL, query(ONE), DATA, SYNC),
    "copy data after CopyFail": (*COPY, DATA, FAIL, DATA, DONE, query(ONE)),
    "copy data after CopyDone": (*COPY, DATA, DONE, DATA, FAIL, query("SELECT count(*) FROM c")),
    "bad copy data": (*COPY, frame(b"d", b"x\n"), DATA, DONE, query(ONE)),
    "copy in a pipeline": (
        COPY[0], parse("COPY c FROM STDIN"), bind(), execute(), DATA, DONE, SYNC, query("SELECT count(*) FROM c"),
    ),
    "bad copy data in a pipeline": (
        COPY[0], parse("COPY c FROM STDIN"), bind(), execute(), frame(b"d", b"x\n"), DONE, parse(ONE), SYNC,
        query(ONE),
    ),
    "sync and flush inside a copy": (
        COPY[0], parse("COPY c FROM STDIN"), bind(), execute(), SYNC, FLUSH, DATA, SYNC, DONE, SYNC, query(ONE),
    ),
    "a query inside a copy": (*COPY, DATA, query(ONE)),
    "a query behind bad copy data": (*COPY, frame(b"d", b"x\n"), query(ONE)),
    "copy out in a pipeline": (
        parse("COPY (SELECT 1) TO STDOUT"), bind(), execute(), parse(ONE), bind(), execute(), SYNC, query(ONE),
    ),
    "a message type that doesn't exist": (query(ONE), frame(b"z")),
    "a password in the middle": (query(ONE), frame(b"p", string("x"))),
    "deallocated by SQL": (parse(ONE, "s"), SYNC, query("DEALLOCATE s"), bind(name="s"), SYNC, query("EXECUTE s")),
    "all deallocated by SQL": (
        parse(ONE, "s"), parse(ONE), SYNC, query("DEALLOCATE ALL"), bind(name="s"), SYNC, bind(),
        SYNC,
    ),
    "all discarded": (parse(ONE, "s"), SYNC, query("DISCARD ALL"), bind(name="s"), SYNC, query("SELECT 1 AS x")),
    "prepared by SQL, bound by the protocol": (
        query("PREPARE s AS SELECT 7"), bind(name="s"), describe(), execute(), SYNC, close(b"S", "s"), SYNC,
        query("EXECUTE s"),
    ),
    "declared by SQL, executed by the protocol": (
        query("BEGIN"), query(f"DECLARE p CURSOR FOR {MANY}"), describe(b"P", "p"), execute("p", 2), SYNC,
        query("FETCH p"),
        close(b"P", "p"), SYNC, query("FETCH p"), query("ROLLBACK"),
    ),
    "bound by the protocol, fetched by SQL": (
        query("BEGIN"), parse(MANY), bind(portal="p"), execute("p", 1), SYNC, query("FETCH 2 FROM p"),
        execute("p"), SYNC,
        query("CLOSE p"), execute("p"), SYNC, query("ROLLBACK"),
    ),
    "a cursor that isn't there": (query("FETCH nowhere"), query("CLOSE nowhere"), query("EXECUTE nowhere")),
}  # fmt: skip

# Bodies that don't add up: the server reports an error and goes on, pgwarden ends the session with the same SQLSTATE.
MALFORMED: dict[str, bytes] = {
    "a text with a NUL inside": frame(b"Q", b"SELECT 1\0 2\0"),
    "a text without its end": frame(b"Q", b"SELECT 1"),
    "a Bind that ends early": frame(b"B", b"\0\0\0\5"),
    "a describe of neither": frame(b"D", b"X", b"\0"),
    "a close of neither": frame(b"C", b"X", b"\0"),
}


@pytest.fixture(scope="module")
def both(server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pgwarden]:
    """One instance for all of them: it must outlive them without an exception."""
    with run_pgwarden(tmp_path_factory.mktemp("bad"), server) as instance:
        yield instance
        with psycopg.connect(instance.dsn(), autocommit=True) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        assert instance.stop() == 0
        assert instance.faults() == []


Heard = list[tuple[str, str]]


def exchange(dsn: str, frames: tuple[bytes, ...]) -> Heard:
    """All in one go, then Terminate: what comes until the other end closes, without what may come at any time."""
    with connect(dsn) as client:
        client.send(*frames, TERMINATE)
        return list(_heard(client))


def _heard(client: RawClient) -> Iterator[tuple[str, str]]:
    while True:
        kind, body = client._frame()
        if not kind:
            return
        if kind == b"E":
            fields = dict((part[:1], part[1:]) for part in body.split(b"\0") if part)
            yield "E", f"{fields[b'S'].decode()} {fields[b'C'].decode()}"
        elif kind in b"CZD":
            yield kind.decode(), body.hex()
        elif kind not in b"NSA":
            yield kind.decode(), ""


@pytest.mark.parametrize("name", EXCHANGES)
@pytest.mark.parametrize("user", ["admin", "wes"])
def test_the_answer_is_the_servers(both: Pgwarden, user: str, name: str) -> None:
    expected = exchange(both.direct_dsn, EXCHANGES[name])
    assert exchange(both.dsn(user), EXCHANGES[name]) == expected


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_malformed_ends_the_session_with_the_servers_code(both: Pgwarden, name: str) -> None:
    def first_error(heard: Heard) -> str:
        return next(told for kind, told in heard if kind == "E").partition(" ")[2]

    sent = (query(ONE), parse(ONE), MALFORMED[name])
    told = exchange(both.dsn(), sent)
    assert told[-1] == ("E", "FATAL 08P01")
    assert first_error(exchange(both.direct_dsn, (*sent, SYNC))) == first_error(told)


def test_texts_that_are_not_utf_8(both: Pgwarden) -> None:
    sent = (query(b"SELECT '\xff'"), parse(b"SELECT '\xff'"), SYNC)
    expected = exchange(both.direct_dsn, sent)
    assert [told for kind, told in expected if kind == "E"] == ["ERROR 22021"] * 2
    assert exchange(both.dsn("admin"), sent) == expected
    assert exchange(both.dsn("wes"), sent) == expected


def test_function_calls(both: Pgwarden) -> None:
    """The open policy lets them through; elsewhere nothing can tell what they would do."""
    call = frame(b"F", struct.pack("!IhhihH", 1299, 0, 0, 0, 0, 0)[:8] + struct.pack("!h", 0))  # now()
    missing = frame(b"F", struct.pack("!Ihhh", 1, 0, 0, 0))
    expected = exchange(both.direct_dsn, (call, missing, query(ONE)))
    assert ("V", "") in expected
    assert exchange(both.dsn(), (call, missing, query(ONE))) == expected
    refused = exchange(both.dsn("wes"), (call, query(ONE)))
    assert refused[0] == ("E", "ERROR 0A000")
    assert ("D", "00010000000131") in refused


def test_a_length_below_its_own(both: Pgwarden) -> None:
    """The server just hangs up; a client of pgwarden is told why."""
    sent = (query(ONE), b"Q\0\0\0\3")
    assert exchange(both.dsn(), sent) == [*exchange(both.direct_dsn, sent), ("E", "FATAL 08P01")]
