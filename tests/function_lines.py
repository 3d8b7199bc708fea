"""The table of built-in functions against real servers: what pg_proc holds, in the table's own form.

``python -m tests.function_lines DSN15 DSN18`` writes the table anew to its output: classes stay, new functions bear the
class ``unreviewed``, with which the table doesn't load until somebody has looked at them.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable

import psycopg

from policies.compile.function_table import table_lines

Key = tuple[str, str, str]  # name, arguments, result

# Defaults are marked with =, the last argument of a variadic function with three dots.
_QUERY = """
SELECT CASE n.nspname WHEN 'pg_catalog' THEN '' ELSE n.nspname || '.' END || p.proname,
  coalesce((SELECT string_agg(CASE WHEN p.provariadic <> 0 AND i = p.pronargs THEN '...' ELSE '' END || t.typname
      || CASE WHEN i > p.pronargs - p.pronargdefaults THEN '=' ELSE '' END, ',' ORDER BY i)
    FROM unnest(p.proargtypes) WITH ORDINALITY AS a(o, i) JOIN pg_type AS t ON t.oid = a.o), ''),
  coalesce((SELECT string_agg(t.typname, '+' ORDER BY i)
    FROM unnest(p.proallargtypes, p.proargmodes) WITH ORDINALITY AS a(o, m, i) JOIN pg_type AS t ON t.oid = a.o
    WHERE m IN ('o', 'b', 't')), r.typname)
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace JOIN pg_type AS r ON r.oid = p.prorettype
WHERE p.oid < 16384 AND n.nspname IN ('pg_catalog', 'information_schema')
"""


def functions_of(dsn: str) -> set[Key]:
    with psycopg.connect(dsn) as connection:
        return {(name, arguments, result) for name, arguments, result in connection.execute(_QUERY).fetchall()}


def listed_for(version: str) -> set[Key]:
    """The lines of the table that are said to be functions of this major version."""
    return {(n, a, r) for n, a, r, versions, _ in (x.split("\t") for x in table_lines()) if version in versions.split()}


def renewed(dsns: Iterable[str]) -> list[str]:
    """The table's lines for these servers, those of pg_catalog first, by name."""
    classes = {(n, a, r): kind for n, a, r, _, kind in (line.split("\t") for line in table_lines())}
    found: dict[Key, set[str]] = defaultdict(set)
    for dsn in dsns:
        with psycopg.connect(dsn) as connection:
            version = str(connection.info.server_version // 10_000)
        for key in functions_of(dsn):
            found[key].add(version)
    ordered = sorted(found, key=lambda key: ("." in key[0], *key))
    return ["\t".join((*key, " ".join(sorted(found[key])), classes.get(key, "unreviewed"))) for key in ordered]


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in renewed(sys.argv[1:]))
