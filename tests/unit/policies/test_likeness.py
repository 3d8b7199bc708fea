import pytest

from policies.compile.redaction import redacted
from policies.likeness import Reach, filled, likeness, reach


@pytest.mark.parametrize(
    ("sent", "counted"),
    [
        ("SELECT a FROM t WHERE id = 12", "select a from t where id = $1"),
        ("select a -- why\n from t /* b */ where x = 'y';", "SELECT a FROM t WHERE x = $1"),
        ("select * from t where id in (1, 2, 3)", "select * from t where id in ($1, $2, $3)"),
        ("select * from t where id in (1, 2, 3)", "select * from t where id in ($1 /*, ... */)"),
        ("select * from t where a > -5 limit -1", "select * from t where a > $1 limit $2"),
        ("select interval '1 day', date '2020-01-01'", "select interval $1, date $2"),
        ("select 'a'\n'b', E'\\n', B'01', 1.5e3", "select $1, $2, $3, $4"),
        ("select true, null, x is null from t", "select $1, $2, x is null from t"),
        ("select a from t where id = $1", "select a from t where id = $7"),
        ("insert into t values (1, 'a'), (2, 'b')", "insert into t values ($1, $2), ($3, $4)"),
    ],
)
def test_alike(sent: str, counted: str) -> None:
    assert likeness(sent) == likeness(counted)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("select a from t", "select b from t"),
        ("select a from s.t", "select a from t"),
        ('select "A" from t', "select b from t"),
        ("select a - 5 from t", "select a from t"),
        ("select a, 5 from t", "select a from t"),
        ("select f(1) from t", "select g(1) from t"),
        ("select a from t where b = 1", "select a from t where b > 1"),
        ("select 'unclosed", "select 'unclosed too"),
    ],
)
def test_not_alike(one: str, other: str) -> None:
    assert likeness(one) != likeness(other)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("BEGIN", Reach.NOTHING),
        ("SET search_path = a", Reach.NOTHING),
        ("DEALLOCATE ALL", Reach.NOTHING),
        ("select set_config($1, pg_catalog.current_setting($2), $3)", Reach.NOTHING),
        ("select set_config($1, shop.secret(), $3)", Reach.DATA),
        ("select set_config('a.b', (select ssn from customers), false)", Reach.DATA),
        ("select shop.set_config(1)", Reach.DATA),
        ("select relname from pg_catalog.pg_class where oid = $1", Reach.CATALOGS),
        ("with x as (select * from pg_type) select * from x", Reach.CATALOGS),
        ("select pg_get_expr(adbin, adrelid), format_type(1, 2) from pg_attrdef", Reach.CATALOGS),
        ("select pg_read_file($1) from pg_class limit $2", Reach.DATA),
        ("select query_to_xml($1, true, true, $2) from pg_class limit $2", Reach.DATA),
        ("select nobodys_function() from pg_class", Reach.DATA),
        ("select * from pg_class, shop.customers", Reach.DATA),
        ("select * from customers", Reach.DATA),
        ("select pg_read_file($1)", Reach.DATA),
        ("delete from shop.customers", Reach.DATA),
        ("copy shop.customers to stdout", Reach.DATA),
        ("select interval $1", Reach.DATA),
        ("SET a = 1; select * from customers", Reach.DATA),
        ("", Reach.DATA),
    ],
)
def test_what_a_statement_can_get_at(sql: str, expected: Reach) -> None:
    assert reach(sql) is expected


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a FROM t WHERE b = 'secret' AND c IN (1, 2) LIMIT 5",
        "INSERT INTO t VALUES (1, 'ä', -2.5), (2, NULL, true)",
        "SELECT 'a', b FROM s.t WHERE x > -5",
    ],
)
def test_redacted_texts_are_like_what_they_were(sql: str) -> None:
    assert likeness(redacted(sql)) == likeness(sql)
    assert likeness(filled(redacted(sql))) == likeness(sql)
    assert filled(sql) == sql
