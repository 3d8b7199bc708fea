"""What certainly only reads; everything else doesn't."""

from __future__ import annotations

import pytest

from policies.compile.reading import only_reads


@pytest.mark.parametrize(
    "sql",
    [
        "select 1",
        "SELECT count(*), lower(name) FROM t JOIN u USING (id) WHERE x > 3 GROUP BY 2 ORDER BY 1 LIMIT 5",
        "with w as (select 1) select * from w",
        "values (1), (2)",
        "select pg_catalog.upper(x) from t",
        "table t",
    ],
)
def test_plain_reading(sql: str) -> None:
    assert only_reads(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "select 1; select 2",
        "select 1 into t",
        "select 1 from t for update",
        "select * from (select 1 from t for share) s",
        "with w as (insert into t values (1) returning 1) select * from w",
        "with w as (delete from t returning 1) select * from w",
        "select mine()",
        "select public.lower('x')",
        "select * from t where mine(x)",
        "insert into t values (1)",
        "select nextval('s')",
        "select 1 where",
        "select '" + "x" * 100_000 + "'",
    ],
)
def test_everything_else(sql: str) -> None:
    assert not only_reads(sql)
