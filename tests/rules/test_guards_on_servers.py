"""Queries of every shape through guards, on real servers, against a copy from which the hidden data was removed."""

# ruff: noqa: E501 - one query a line

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import psycopg
import pytest

from policies.catalog import Catalog
from policies.compile import Compiler
from policies.load import load_folder
from policies.model import EffectivePolicy
from policies.resolve import resolve
from proxy.net.introspect import read_catalog
from tests.fix_servers import TestServer
from tests.rules.guard_world import LONG, POLICY, Copies, create


@pytest.fixture(scope="module")
def world(server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, EffectivePolicy, Catalog]:
    database = server.empty()
    dsn = server.dsn(database)
    create(dsn)
    folder = tmp_path_factory.mktemp("policies")
    (folder / "p.yaml").write_text(POLICY)
    policy = resolve(load_folder(folder, {}), "ada", database)
    assert policy is not None
    return dsn, policy, asyncio.run(read_catalog(dsn, database=database))


@pytest.fixture
def copies(world: tuple[str, EffectivePolicy, Catalog]) -> Iterator[Copies]:
    dsn, policy, catalog = world
    with (
        psycopg.connect(dsn, autocommit=True, options="-c search_path=app") as guarded,
        psycopg.connect(dsn, autocommit=True, options="-c search_path=clean") as clean,
    ):
        yield Copies(guarded, clean, Compiler(), policy, catalog)


JOINS = """
SELECT p.id, n.id, n.body FROM people p JOIN notes n ON n.person = p.id
SELECT p.id, n.id FROM people p LEFT JOIN notes n ON n.person = p.id AND n.points > 5
SELECT p.id, n.id FROM people p RIGHT JOIN notes n ON n.person = p.id
SELECT p.id, n.id FROM people p FULL JOIN open n ON n.id = p.id
SELECT * FROM people CROSS JOIN parent WHERE people.id < 4
SELECT * FROM people NATURAL JOIN notes
SELECT * FROM people NATURAL LEFT JOIN notes ORDER BY id
SELECT * FROM notes NATURAL JOIN open
SELECT * FROM notes NATURAL FULL JOIN open
SELECT id, points, a.body FROM people JOIN notes a USING (id)
SELECT j.* FROM people JOIN notes USING (id) AS j
SELECT j.id, points FROM people JOIN notes USING (id, points) AS j
SELECT x, y FROM (people JOIN open USING (id)) AS j(x, y)
SELECT p.id, l.label FROM people p, LATERAL (SELECT label FROM open o WHERE o.id = p.id) l
SELECT p.id, l.* FROM people p LEFT JOIN LATERAL (SELECT n.body, p.name FROM notes n WHERE n.person = p.id) l ON true
SELECT p.id, u FROM people p, unnest(p.tags) u
SELECT p.id, u.* FROM people p CROSS JOIN LATERAL ROWS FROM (unnest(p.tags), generate_series(1, 3)) WITH ORDINALITY AS u(a, b, c)
SELECT p.id, d.* FROM people p, jsonb_to_record(p.doc) AS d(k int, a jsonb)
SELECT p.id, d.key FROM people p, jsonb_each(p.doc) d
SELECT a.id FROM people a JOIN people b ON a.id < b.id AND a.name = b.name
SELECT a.id FROM people a JOIN people b ON a.points = b.points
SELECT q.a, q.b FROM people AS q(a, b) WHERE q.a > 3
"""
SUBQUERIES = """
SELECT id, (SELECT count(*) FROM notes n WHERE n.person = p.id) FROM people p
SELECT id FROM people p WHERE EXISTS (SELECT FROM notes n WHERE n.person = p.id AND n.points > 4)
SELECT id FROM notes n WHERE NOT EXISTS (SELECT * FROM people p WHERE p.id = n.person)
SELECT id FROM notes WHERE person IN (SELECT id FROM people WHERE name = '(hidden)')
SELECT id FROM notes WHERE person NOT IN (SELECT id FROM people)
SELECT id FROM notes WHERE (person, points) IN (SELECT id, id FROM people)
SELECT id FROM notes WHERE person > ALL (SELECT id FROM people WHERE id < 5)
SELECT id, ARRAY(SELECT n.points FROM notes n WHERE n.person = p.id ORDER BY 1) FROM people p
SELECT ROW(id, name) < ROW(5, 'x') FROM people
SELECT (id, name) IS DISTINCT FROM (5, NULL), name IS NOT DISTINCT FROM '(hidden)' FROM people
SELECT (SELECT p) FROM people p
SELECT s.p FROM (SELECT p FROM people p) s
SELECT (s.p).id FROM (SELECT p FROM people p) s
SELECT count(*) FROM hidden
SELECT FROM hidden
SELECT FROM people
SELECT count(*), count(h) FROM hidden h
SELECT h FROM hidden h
TABLE people
TABLE hidden
SELECT * FROM (TABLE notes) t
SELECT * FROM (VALUES (1, 'a'), (3, 'b')) v(id, x) JOIN people USING (id)
"""
CTES = """
WITH a AS (SELECT id, name FROM people) SELECT * FROM a
WITH a AS MATERIALIZED (SELECT * FROM people) SELECT id, name FROM a WHERE id > 3
WITH a AS NOT MATERIALIZED (SELECT id, name FROM people) SELECT * FROM a x JOIN a y USING (id)
WITH people AS (SELECT 1 AS id) SELECT * FROM people
WITH a(x, y) AS (SELECT id, name FROM people) SELECT y, max(x) FROM a GROUP BY y
WITH RECURSIVE r AS (SELECT min(id) AS id FROM people UNION ALL SELECT p.id FROM r JOIN people p ON p.id = r.id + 2) SELECT * FROM r
WITH RECURSIVE r(id, up) AS (SELECT id, id - 2 FROM people WHERE id < 4 UNION SELECT p.id, p.id - 2 FROM people p JOIN r ON p.id - 2 = r.id) SEARCH DEPTH FIRST BY id SET path SELECT id, path FROM r ORDER BY path
WITH RECURSIVE r(id) AS (SELECT 1 UNION ALL SELECT p.id FROM people p, r WHERE p.id <= r.id + 2) CYCLE id SET is_cycle USING path SELECT id, is_cycle FROM r
WITH a AS (SELECT * FROM people) SELECT a FROM a
"""
SETS = """
SELECT id, name FROM people UNION SELECT id, body FROM notes
SELECT name FROM people UNION ALL SELECT label FROM open ORDER BY 1
SELECT id FROM notes EXCEPT SELECT id FROM people
SELECT id FROM notes INTERSECT ALL SELECT id FROM people
(SELECT id, name AS x FROM people ORDER BY id DESC LIMIT 2) UNION ALL (SELECT id, label FROM open ORDER BY id LIMIT 1) ORDER BY x, id
SELECT DISTINCT name, points FROM people
SELECT DISTINCT ON (tenant) id, name FROM people ORDER BY tenant, id DESC
SELECT DISTINCT p FROM notes p
"""
GROUPS = """
SELECT p.id, p.name, count(n.id) FROM people p LEFT JOIN notes n ON n.person = p.id GROUP BY p.id
SELECT p.*, count(n.id) FROM open p LEFT JOIN notes n ON n.person = p.id GROUP BY p.id
SELECT id, name, work FROM people GROUP BY id HAVING count(*) = 1 AND max(points) IS NULL ORDER BY share, id
SELECT n.*, count(*) FROM notes n JOIN open o ON o.id = n.id GROUP BY n.id ORDER BY n.points
SELECT n, count(*) FROM notes n JOIN open o ON o.id = n.id GROUP BY n.id
SELECT * FROM notes GROUP BY id
SELECT x, y FROM notes AS a(x, y) GROUP BY x
SELECT n.id, body, rank() OVER (ORDER BY n.person) FROM notes n GROUP BY 1
SELECT id, (SELECT n.points + o.id FROM open o WHERE o.id = n.person) FROM notes n GROUP BY id
SELECT name, count(*) FROM people GROUP BY name
SELECT name, tenant, count(*), grouping(name, tenant) FROM people GROUP BY ROLLUP (name, tenant)
SELECT points, tenant, sum(id) FROM people GROUP BY CUBE (points, tenant)
SELECT name, tenant, sum(id) FROM people GROUP BY GROUPING SETS ((name), (tenant), ())
SELECT array_agg(id ORDER BY name, id), string_agg(name, ',' ORDER BY id) FILTER (WHERE id > 3) FROM people
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY id), mode() WITHIN GROUP (ORDER BY name) FROM people
SELECT count(DISTINCT name), max(name), bool_and(points IS NULL) FROM people
SELECT array_agg(p ORDER BY id) FROM people p
SELECT p FROM notes p GROUP BY p
SELECT count(p) FROM people p
SELECT count(n), count(*) FROM open o LEFT JOIN notes n ON n.id = o.id + 15
SELECT n FROM open o LEFT JOIN notes n ON n.id = o.id + 15
SELECT n IS NULL, n IS NOT NULL FROM open o LEFT JOIN notes n ON n.id = o.id + 15
"""
ROWS = """
SELECT p FROM people p ORDER BY id
SELECT p FROM seen p ORDER BY p.id
SELECT row_to_json(n), to_jsonb(n) FROM notes n
SELECT to_jsonb(o) FROM open AS o(a, b)
SELECT to_jsonb(q) FROM parts AS q(a, b)
SELECT (q).label FROM parts q
SELECT (q).* FROM parts AS q(a, b)
SELECT q.* FROM parts AS q(a, b)
SELECT json_agg(q ORDER BY q.a) FROM parts AS q(a, b)
SELECT q IN (ROW(1, 'l1'), '(8,l8)') FROM parts q
SELECT array_agg(q ORDER BY id) FROM parts q
SELECT q.id FROM parts q WHERE q IN (SELECT r FROM parts r)
SELECT q.id FROM parts q WHERE q NOT IN (SELECT r FROM parts r WHERE r.id > 20) AND q <> ALL (SELECT r FROM parts r WHERE id = 8)
SELECT (array_agg(q ORDER BY q.id))[2].id, pg_typeof(max(q.id)) FROM parts q
SELECT count(*) FROM parts q JOIN parts r ON q = r
SELECT pg_typeof(q)::text = 'parts' FROM parts q
SELECT (home).city, (work).zip, (p.work).city FROM people p
SELECT (p.home).*, (work).* FROM people p
SELECT id FROM people WHERE (home).city LIKE 'canary%' OR (work).city = 'town1'
SELECT share + 1, share::int FROM people
SELECT to_json(work), home::text FROM people
SELECT x.* FROM docs d, XMLTABLE('/a' PASSING d.xml COLUMNS v text PATH '.') x
SELECT xpath('/a/text()', xml) FROM docs
"""
FAMILIES = """
SELECT * FROM ONLY parent
SELECT * FROM parent *
SELECT * FROM parent
SELECT * FROM ONLY (parent) AS a(b)
SELECT * FROM child
SELECT * FROM parts_2
SELECT count(*) FROM parts
SELECT tableoid::regclass::text ~ 'parts_1$', * FROM parts
SELECT c.relname, p.id FROM parts p JOIN pg_class c ON c.oid = p.tableoid
SELECT p.id, p.tableoid = q.tableoid FROM parts p JOIN parent q ON q.id = p.id
SELECT id FROM parts TABLESAMPLE bernoulli (100)
SELECT q.a FROM ONLY parent AS q(a) TABLESAMPLE bernoulli (100) ORDER BY 1
SELECT id FROM open TABLESAMPLE system (100) REPEATABLE (3)
SELECT body FROM notes AS n TABLESAMPLE system (50 + 50) REPEATABLE (1 + 1) WHERE n.id < 5
SELECT v.x, (SELECT count(*) FROM parts TABLESAMPLE bernoulli (v.x)) FROM (VALUES (0), (100)) v(x)
"""
NAMES = f"""
SELECT p."name" AS "select", "p".id "from" FROM "people" p
SELECT U&"n\\0061me", U&"p".id FROM U&"p\\0065ople" U&"p"
SELECT U&"n!0061me" UESCAPE '!' FROM people
SELECT "from", "Ünï" FROM "SELECT"
SELECT "SELECT".id FROM "SELECT"
SELECT {LONG}, id FROM {LONG}
SELECT {LONG}nnnn FROM {LONG}nnnnnn
SELECT PEOPLE.ID, pEoPlE.nAmE FROM PeOpLe
SELECT name name, id AS "order" FROM people ORDER BY "order"
SELECT id AS name FROM people ORDER BY name DESC
SELECT name AS id, id AS x FROM people ORDER BY id, x
SELECT -id AS name, name AS n FROM people ORDER BY people.name, id
"""
WINDOWS = """
SELECT id, rank() OVER (PARTITION BY name ORDER BY id), lag(name) OVER w FROM people WINDOW w AS (ORDER BY id)
SELECT id, sum(id) OVER (ORDER BY id ROWS BETWEEN 1 + 1 PRECEDING AND CURRENT ROW EXCLUDE TIES) FROM people
SELECT id, sum(id) OVER (ORDER BY share RANGE BETWEEN 3 PRECEDING AND 3 FOLLOWING) FROM people
SELECT id, first_value(p) OVER (ORDER BY id) FROM notes p
SELECT id FROM people ORDER BY tenant FETCH FIRST 2 ROWS WITH TIES
SELECT id, name FROM people ORDER BY points NULLS FIRST, id OFFSET 2 ROWS FETCH NEXT (1 + 1) ROWS ONLY
SELECT id FROM people ORDER BY name, id LIMIT 3
SELECT id FROM people ORDER BY id USING >
SELECT id FROM people WHERE name ~ '^\\(hid' AND id BETWEEN 2 AND 9
SELECT id / points FROM people
SELECT 1 / (id - 3) FROM people
SELECT 1 / (id - 4) FROM people
SELECT name::int FROM people
"""
SINCE_17 = """
SELECT p.id, j.* FROM people p, JSON_TABLE(p.doc, '$' COLUMNS (k int PATH '$.k', NESTED PATH '$.a[*]' COLUMNS (e int PATH '$'))) j
SELECT JSON_VALUE(doc, '$.k' RETURNING int), JSON_QUERY(doc, '$.a'), JSON_EXISTS(doc, '$.z') FROM people
"""


def _lines(*texts: str) -> list[str]:
    return [line for text in texts for line in text.splitlines() if line]


ALL = _lines(JOINS, SUBQUERIES, CTES, SETS, GROUPS, ROWS, FAMILIES, NAMES, WINDOWS)


@pytest.mark.parametrize("query", ALL)
def test_a_query_gives_what_the_clean_copy_gives(copies: Copies, query: str) -> None:
    guarded, clean = copies.pair(query)
    assert guarded == clean
    assert "canary" not in str(guarded)


@pytest.mark.parametrize("query", _lines(SINCE_17))
def test_queries_of_later_versions(copies: Copies, query: str) -> None:
    guarded, clean = copies.pair(query)
    assert guarded == clean
    assert (guarded == "42601") is (copies.catalog.server_version < 170_000)
