"""Where statements are compared: the canary shop with some oddities, its sanitized copy, a running pgwarden.

`twin` is a second door to the copy: through pgwarden, under the analyst's filters and with masks that change nothing.
It tells whether an answer is what the copy gives once statements are rewritten. `reversed` is the copy with all rows
in the opposite order: it tells whether an answer depends on which row comes first. On the skewed ones the planner takes
every other table for much bigger than it is, and knows no keys: they tell whether an answer depends on which table is
read first, and on joins that are left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import yaml

from policies.load import load_texts
from policies.resolve import resolve
from proxy.embedded import EmbeddedServer
from proxy.installation import find_system, find_wheel
from proxy.net.introspect import read_catalog
from proxy.wire.scram import make_verifier
from tests.fix_canaries import fill, sanitize
from tests.fix_pgwarden import Pgwarden, password_of, run_pgwarden
from tests.fix_servers import TestServer, started
from tests.security.canaries import Canaries
from tests.security.canary_shop import connect, policy_text
from tests.security.raw_client import RawClient

HERE = Path(__file__).parent
OURS, COPY, TWIN, REVERSED = "shop", "copy", "twin", "reversed"
SKEWED = ("skewed_0", "skewed_1")
TIMEOUT = "3s"  # of one statement
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "100",
    "autovacuum": "off",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "max_wal_size": "512MB",
}
# Each row is written anew, by its key: sanitizing has scattered them, and the order of rows is that of errors.
_REWRITE = """
DO $$
DECLARE own regclass; columns text; first name;
BEGIN
    FOR own, columns, first IN
        SELECT c.oid, string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum),
               (array_agg(a.attname ORDER BY a.attnum))[1]
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relkind = 'r' AND c.relnamespace = 'shop'::regnamespace
          AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
        GROUP BY c.oid
    LOOP
        EXECUTE format('CREATE TEMP TABLE kept AS SELECT %s FROM ONLY %s', columns, own);
        EXECUTE format('TRUNCATE ONLY %s', own);
        EXECUTE format('INSERT INTO %s (%s) SELECT %s FROM kept ORDER BY %I {}, ctid {}', own, columns, columns, first);
        DROP TABLE kept;
    END LOOP;
END $$;
ANALYZE
"""
# Without keys no join is left out for being of no consequence; views keep those that they need.
_SKEW = """
DELETE FROM pg_statistic;
UPDATE pg_class SET reltuples = reltuples * 100000
WHERE relkind = 'r' AND relnamespace = 'shop'::regnamespace AND oid::bigint % 2 = {};
DO $$
DECLARE own regclass; key name;
BEGIN
    FOR own, key IN
        SELECT conrelid, conname FROM pg_constraint WHERE contype = 'p' AND connamespace = 'shop'::regnamespace
    LOOP
        BEGIN
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', own, key);
        EXCEPTION WHEN dependent_objects_still_exist THEN
            CONTINUE;
        END;
    END LOOP;
END $$
"""
_ODD_ROWS, _HIDDEN_ODD_ROWS = 12, 6


@dataclass(frozen=True, slots=True)
class Stand:
    """`open(door)` connects to `OURS` (pgwarden as the analyst), `COPY`, `REVERSED`, `TWIN`, or as ``root``."""

    version: str
    dsn: str
    copy_dsn: str
    canaries: Canaries
    gateway: Pgwarden

    def open(self, door: str) -> RawClient:
        match door:
            case "shop":
                return connect(self.gateway.dsn("ada"))
            case "root":
                return connect(self.gateway.dsn("root"))
            case "twin":
                return connect(self.gateway.dsn("twin", database=TWIN))
            case "reversed" | "skewed_0" | "skewed_1":
                return connect(f"{self.copy_dsn}_{door}")
            case _:
                return connect(self.copy_dsn)


@contextmanager
def server_of(kind: str, folder: Path) -> Iterator[TestServer]:
    """A server of its own: ``18`` is the wheel's, ``15`` the one that the system has installed."""
    installation = find_wheel() if kind == "18" else find_system()
    if installation is None:
        raise LookupError(f"there is no PostgreSQL {kind}")
    with EmbeddedServer(folder / "server", installation, settings=SETTINGS) as embedded:
        yield started(embedded, installation.version)


@contextmanager
def open_stand(server: TestServer, folder: Path) -> Iterator[Stand]:
    """Two databases on the server and a pgwarden before them."""
    canaries = Canaries()
    name = server.empty()
    dsn, copy_dsn = server.dsn(name), server.dsn(f"{name}_copy")
    with psycopg.connect(dsn, autocommit=True) as connection:
        fill(connection, canaries)
        _fill_odd(connection, canaries)
    _copy(server, name, f"{name}_copy")
    text = policies()
    policy = resolve(load_texts({"policies.yaml": text.encode()}, {}), "ada", "shop")
    assert policy is not None
    with psycopg.connect(copy_dsn, autocommit=True) as connection:
        sanitize(connection, asyncio.run(read_catalog(dsn, database="shop")), policy)
        connection.execute(_REWRITE.format("", "").encode())
    _copy(server, f"{name}_copy", f"{name}_copy_reversed")
    with psycopg.connect(f"{copy_dsn}_reversed", autocommit=True) as connection:
        connection.execute(_REWRITE.format("DESC", "DESC").encode())
    for odd, door in enumerate(SKEWED):
        _copy(server, f"{name}_copy_reversed", f"{name}_copy_{door}")
        with psycopg.connect(f"{copy_dsn}_{door}", autocommit=True) as connection:
            connection.execute(_SKEW.format(odd).encode())
    databases = {OURS: {"upstream": dsn}, TWIN: {"upstream": copy_dsn}}
    audit = {"directory": "journal", "store": server.dsn(server.empty()), "sql_text": "digest"}
    with run_pgwarden(folder, server, policies=text, databases=databases, audit=audit) as gateway:
        yield Stand(server.version, dsn, copy_dsn, canaries, gateway)


def _copy(server: TestServer, name: str, copy: str) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {copy} TEMPLATE {name}".encode())
        for database in (name, copy):
            admin.execute(f"ALTER DATABASE {database} SET search_path = shop, public".encode())
            admin.execute(f"ALTER DATABASE {database} SET statement_timeout = '{TIMEOUT}'".encode())
            admin.execute(f"ALTER DATABASE {database} SET timezone = 'UTC'".encode())


def _fill_odd(connection: psycopg.Connection[tuple[object, ...]], canaries: Canaries) -> None:
    connection.execute((HERE / "odd_schema.sql").read_text("utf-8"))
    insert = 'INSERT INTO shop."Odd Table" VALUES (%s, %s, %s, %s, %s, %s, %s, ROW(%s, %s), %s, DEFAULT, %s, %s)'
    note = "INSERT INTO shop.notes VALUES (%s, %s, %s, %s, %s)"
    with connection.cursor() as cursor:
        cursor.executemany(insert.encode(), [*_own_odd(canaries), *_hidden_odd(canaries)])
        cursor.executemany(note.encode(), list(_notes(canaries)))
    connection.execute("ANALYZE")


def _own_odd(canaries: Canaries) -> Iterator[tuple[Any, ...]]:
    for n in range(1, _ODD_ROWS + 1):
        period = None if n % 5 == 0 else f"[2024-0{n % 9 + 1}-01,2024-10-{n + 10})"
        span = "empty" if n % 6 == 0 else f"[{n},{n + n % 4 + 1})"
        text = None if n % 4 == 3 else f"word {n % 4}"
        yield (
            n, 1, text, n * 7 % 10, n * 10.25, period, span, f"Street {n % 3}", f"LS{n}", f"code{n % 5}",
            canaries.text(f"own odd {n}") + f"{n % 3:02}", canaries.text(f"own odd order {n}"),
        )  # fmt: skip


def _hidden_odd(canaries: Canaries) -> Iterator[tuple[Any, ...]]:
    for n in range(_HIDDEN_ODD_ROWS):
        text: Callable[[str], str] = lambda what, n=n: canaries.text(f"hidden odd {n} {what}")  # type: ignore[misc]  # noqa: E731
        number = canaries.number(f"hidden odd {n} span")
        yield (
            canaries.number(f"hidden odd {n} id"), 2, text("text"), canaries.number(f"hidden odd {n} number") // 2,
            canaries.amount(f"hidden odd {n} size"), f"[2140-01-01,{canaries.day(f'hidden odd {n} day', 2141, 2)})",
            f"[{number},{number + 1})", text("street"), text("zip"), text("code"), text("secret"), text("order"),
        )  # fmt: skip


def _notes(canaries: Canaries) -> Iterator[tuple[Any, ...]]:
    for n in range(1, 31):
        yield n, n % 24 + 1, 1, canaries.text(f"own note {n}"), n % 7
    for n in range(4):
        hidden = int(canaries.values[f"hidden customer {n} id"])
        yield canaries.number(f"hidden note {n}"), hidden, 2, canaries.text(f"hidden note {n} body"), n


def policies() -> str:
    """The policies of tests/security, those of the oddities, and the twin's."""
    text = policy_text() + (HERE / "odd_policies.yaml").read_text("utf-8")
    found = yaml.safe_load(text)
    verifier = make_verifier(password_of("twin"), 4096, b"0123456789abcdef")
    twin = {"user": "twin", "tenant": "acme", "roles": ["twin"], "attributes": {"tenant_id": 1}}
    found["principals"].append({**twin, "auth": {"scram": verifier}})
    analyst = [p for p in found["policies"] if "analyst" in p["subjects"]["roles"]]
    found["policies"] += [_twin_of(policy, found["tags"]) for policy in analyst]
    dumped: str = yaml.safe_dump(found, sort_keys=False, allow_unicode=True)
    return dumped


def _twin_of(policy: dict[str, Any], tags: dict[str, list[str]]) -> dict[str, Any]:
    """The same rules where they aren't done with; every mask gives the value itself."""
    twin = {**policy, "name": f"twin of {policy['name']}", "subjects": {"roles": ["twin"]}}
    twin.pop("columns", None)
    columns = [c for rule in policy.get("masks", ()) for c in tags.get(rule.get("tag"), [rule.get("column")])]
    if columns:
        twin["masks"] = [{"column": c, "mask": {"kind": "sql", "expression": "{column}"}} for c in columns]
    return twin
