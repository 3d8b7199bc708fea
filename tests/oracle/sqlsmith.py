"""SELECTs of sqlsmith over the sanitized copy's schema: a grammar that isn't ours."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import psycopg

from policies.compile.function_table import ALLOWED_NAMES
from tests.oracle.pipe import Path as Way
from tests.oracle.pipe import Statement

PROGRAM: Final = Path("/usr/bin/sqlsmith")
_SAMPLE: Final = re.compile(r"tablesample (?:system|bernoulli) \([0-9.]+\)")
_ONE_ROW: Final = re.compile(r"(\(select \w+ from [\w.]+)( limit 1 offset \d+)")
_LIMIT_S: Final = 600


# It quotes no names, and takes any function that it finds: it shall only see what a policy allows and what gives the
# same at every call.
_SIMPLER: Final = (
    'DROP TABLE shop."Odd Table" CASCADE',
    'ALTER TABLE shop.notes DROP COLUMN "Order"',
    # Of the server, not of the copy; or refused as a whole.
    "DROP VIEW IF EXISTS shop.activity, shop.statistics, shop.leaking, shop.leaking_each, shop.everybody_view",
    "CREATE SCHEMA smith",
    """CREATE VIEW smith.pg_proc AS SELECT p.* FROM pg_catalog.pg_proc p
       WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname = ANY ({}) AND p.provolatile = 'i'""",
    "CREATE VIEW smith.pg_operator AS SELECT o.* FROM pg_catalog.pg_operator o"
    " WHERE o.oprnamespace = 'pg_catalog'::regnamespace AND NOT EXISTS (SELECT FROM pg_catalog.pg_type t"
    " WHERE t.oid IN (o.oprleft, o.oprright, o.oprresult) AND t.typtype = 'p')",
)


def prepared(copy_dsn: str) -> str:
    """The URL of a database that is the copy without what sqlsmith can't write, and with allowed functions only."""
    url = urlsplit(copy_dsn)
    name = f"{url.path[1:]}_smith"
    with psycopg.connect(url._replace(path="/postgres").geturl(), autocommit=True) as admin:
        # Of the copy itself pgwarden may be reading the catalog, and a template mustn't be in use.
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {url.path[1:]}_reversed".encode())
        admin.execute(f"ALTER DATABASE {name} SET search_path = smith, pg_catalog".encode())
    dsn = url._replace(path=f"/{name}").geturl()
    names = "ARRAY[" + ", ".join(f"'{function}'" for function in sorted(ALLOWED_NAMES)) + "]"
    with psycopg.connect(dsn, autocommit=True) as connection:
        for change in _SIMPLER:
            connection.execute(change.format(names).encode())
    return dsn


def generated(dsn: str, seed: int, count: int) -> list[Statement]:
    """SELECTs only, in the order in which sqlsmith makes them; each sent on one of the three ways."""
    url = urlsplit(dsn)
    target = f"host={url.hostname} port={url.port} user={url.username} password={url.password} dbname={url.path[1:]}"
    command = [str(PROGRAM), f"--target={target}", f"--seed={seed}", "--exclude-catalog", "--dry-run"]
    done = subprocess.run(
        [*command, f"--max-queries={count}"], capture_output=True, text=True, timeout=_LIMIT_S, check=False
    )
    texts = [text.strip() for text in done.stdout.rpartition("...done.\n")[2].split(";\n")]
    # Our own views aren't on the copy.
    selects = [_settled(text) for text in texts if text.startswith("select") and "smith." not in text]
    ways = tuple(Way)
    return [Statement(number, sql, ways[number % len(ways)], is_loose=True) for number, sql in enumerate(selects)]


def _settled(sql: str) -> str:
    """Without random samples, and with an order where a subquery takes one row."""
    return _ONE_ROW.sub(r"\1 order by 1\2", _SAMPLE.sub("", sql))
