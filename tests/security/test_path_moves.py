"""Whatever moves the server's search_path, or fails to, statements are decided under the path that holds there.

`t` is masked in one schema and open in the other, which clients choose by the path alone.
"""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.fix_pgwarden import Pgwarden, run_pgwarden
from tests.fix_servers import TestServer
from tests.security.canary_shop import connect
from tests.security.raw_client import SYNC, RawClient, Value, bind, close, execute, parse, query

CANARY = b"cnrypath"
POLICY = """
principals:
  - {user: ada, roles: [analyst], auth: {scram: "@ada@"}}
policies:
  - name: analysts
    subjects: {roles: [analyst]}
    statements: [select, insert, update, delete, cursor, prepare, temp_tables, copy_to, explain]
    tables: {allow: ["plain.*", "secret.*"]}
    masks: [{column: secret.t.a, mask: {kind: redact}}]
"""
SETUP = """CREATE SCHEMA plain; CREATE SCHEMA secret;
CREATE TABLE plain.t (a text); CREATE TABLE secret.t (a text);
CREATE TABLE plain.d (a int UNIQUE DEFERRABLE INITIALLY DEFERRED); INSERT INTO plain.d VALUES (1);
INSERT INTO plain.t VALUES ('plain'); INSERT INTO secret.t VALUES ('cnrypath');
GRANT USAGE ON SCHEMA plain, secret TO PUBLIC; GRANT ALL ON ALL TABLES IN SCHEMA plain, secret TO PUBLIC;"""

TO_SECRET, TO_PLAIN = (query(f"SET search_path TO {name}") for name in ("secret", "plain"))
CONFIG = "SELECT set_config('search_path', '{}', false)"
VIOLATE = query("INSERT INTO plain.d VALUES (1)")
RUN = bind() + execute() + SYNC
WALKS = {
    "suspended": [TO_PLAIN, parse(CONFIG.format("secret")) + bind() + execute(limit=1) + SYNC],
    "suspended, then an error": [
        TO_PLAIN,
        parse(CONFIG.format("secret")) + bind() + execute(limit=1) + SYNC,
        query("SELECT 1/0"),
    ],
    "suspended and closed": [
        TO_PLAIN,
        parse(CONFIG.format("secret")) + bind() + execute(limit=1) + close(b"P", "") + SYNC,
    ],
    "suspended in a block": [
        TO_PLAIN,
        query("BEGIN"),
        parse(CONFIG.format("secret"), "s") + bind(name="s", portal="p") + execute("p", 1) + SYNC,
    ],
    "failed commit": [TO_SECRET, query("BEGIN"), TO_PLAIN, VIOLATE, query("COMMIT")],
    "failed commit in one go": [TO_SECRET + query("BEGIN") + TO_PLAIN + VIOLATE + query("COMMIT")],
    "failed commit of one text": [
        TO_SECRET,
        query("BEGIN; SET search_path TO plain; INSERT INTO plain.d VALUES (1); COMMIT"),
    ],
    "failed commit by message": [TO_SECRET, query("BEGIN"), TO_PLAIN, VIOLATE, parse("COMMIT") + RUN],
    "failed commit and chain": [TO_SECRET, query("BEGIN"), TO_PLAIN, VIOLATE, query("COMMIT AND CHAIN")],
    "failed without a block": [TO_SECRET, query("SET search_path TO plain; INSERT INTO plain.d VALUES (1)")],
    "failed at sync": [
        TO_SECRET,
        parse("SET search_path TO plain") + bind() + execute() + parse("INSERT INTO plain.d VALUES (1)") + RUN,
    ],
    "failed after a savepoint": [
        TO_SECRET,
        query("BEGIN; SAVEPOINT x"),
        TO_PLAIN,
        VIOLATE,
        query("RELEASE x"),
        query("COMMIT"),
    ],
    "constraints checked early": [
        TO_SECRET,
        query("BEGIN"),
        TO_PLAIN,
        VIOLATE,
        query("SET CONSTRAINTS ALL IMMEDIATE"),
        query("COMMIT"),
    ],
    "several": [TO_PLAIN, query(f"{CONFIG.format('secret')}; {CONFIG.format('plain')}; SELECT 1/0")],
    "local outside of a block": [TO_SECRET, query("SET LOCAL search_path TO plain")],
    "local by function outside": [TO_SECRET, query("SELECT set_config('search_path', 'plain', true)")],
    "rolled back to": [
        TO_SECRET,
        query("BEGIN; SAVEPOINT x; SET search_path TO plain; ROLLBACK TO x"),
        query("BEGIN"),
        query("COMMIT"),
        query("ROLLBACK"),
    ],
    "commit of a failed block": [TO_SECRET, query("BEGIN"), TO_PLAIN, query("SELECT 1/0"), query("COMMIT")],
    "no row": [TO_SECRET, query("BEGIN"), parse(CONFIG.format("plain")) + bind() + SYNC + execute() + SYNC],
    "bound before the path moved": [
        query("BEGIN"),
        TO_PLAIN,
        parse("SELECT a FROM t", "s") + bind(name="s", portal="p") + SYNC,
        TO_SECRET,
        bind(name="s", portal="q") + execute("q") + SYNC,
        execute("p") + SYNC,
    ],
}

# What pgwarden doesn't let through moves nothing.
REFUSED = {
    "run again at its end": [
        TO_PLAIN,
        query("BEGIN"),
        parse(CONFIG.format("secret"), "s") + bind(name="s", portal="p") + execute("p") + SYNC,
        TO_PLAIN,
        execute("p") + SYNC,
    ],
    "run again at its end in one go": [
        TO_PLAIN,
        query("BEGIN"),
        parse(CONFIG.format("secret"), "s")
        + bind(name="s", portal="p")
        + execute("p")
        + SYNC
        + TO_PLAIN
        + execute("p")
        + SYNC,
    ],
    "prepared in SQL": [
        TO_PLAIN,
        query(f"PREPARE s AS {CONFIG.format('secret')}"),
        query("EXECUTE s"),
    ],
    "by a cursor": [TO_PLAIN, query(f"BEGIN; DECLARE c CURSOR FOR {CONFIG.format('secret')}; FETCH c")],
    "explained": [TO_PLAIN, query(f"EXPLAIN ANALYZE {CONFIG.format('secret')}")],
    "copied": [TO_PLAIN, query(f"COPY ({CONFIG.format('secret')}) TO STDOUT")],
}


@pytest.fixture(scope="module")
def two_paths(server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pgwarden]:
    with run_pgwarden(tmp_path_factory.mktemp("paths"), server, policies=POLICY, is_started=False) as instance:
        with psycopg.connect(server.dsn(instance.database), autocommit=True) as owner:
            owner.execute(SETUP)
        instance.start()
        yield instance
        assert instance.stop() == 0
        assert instance.faults() == []


@pytest.mark.parametrize("name", WALKS)
def test_the_path_is_followed(two_paths: Pgwarden, name: str) -> None:
    """What names mean behind each walk is what they mean at a server without pgwarden, which shows all."""
    with connect(two_paths.dsn("ada")) as client, connect(two_paths.server.dsn(two_paths.database)) as direct:
        found, expected = walked(client, WALKS[name]), walked(direct, WALKS[name])
        assert CANARY not in client.seen
    masked = [[(b"REDACTED",) if row == (CANARY,) else row for row in rows] for rows in expected]
    assert found == masked


@pytest.mark.parametrize("name", REFUSED)
def test_no_other_way_moves_it(two_paths: Pgwarden, name: str) -> None:
    with connect(two_paths.dsn("ada")) as client:
        inside, *outside = walked(client, REFUSED[name])
        assert CANARY not in client.seen
    assert outside == [[(b"plain",)]] * 2
    assert inside in ([], outside[0])


def walked(client: RawClient, walk: list[bytes]) -> list[list[tuple[Value, ...]]]:
    for frames in walk:
        client.send(frames)
        for _ in range(ends_in(frames)):
            client.receive()
    inside = client.simple("SELECT a FROM t").rows
    client.simple("ROLLBACK")
    return [inside, client.simple("SELECT a FROM t").rows, client.extended("SELECT a FROM t").rows]


def ends_in(frames: bytes) -> int:
    """How many of the messages are answered by ReadyForQuery."""
    count, at = 0, 0
    while at < len(frames):
        count += frames[at : at + 1] in (b"Q", b"S")
        at += 1 + int.from_bytes(frames[at + 1 : at + 5], "big")
    return count
