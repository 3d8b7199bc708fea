"""Fences stand exactly where a client's condition can fail or run user code on a row that the guard hides."""

from dataclasses import replace

import pytest

from tests.compile_world import ENUM, World

POINT_ARRAY, INT8, FLOAT8, TIMESTAMP, TIMESTAMPTZ, JSONB, DATE = 1017, 20, 701, 1114, 1184, 3802, 1082


def _retype(world: World, name: str, oid: int, *, is_enum: bool = False) -> None:
    """Gives a column of customers another type."""
    relation = world.catalog.by_oid[101]
    columns = tuple(replace(c, type_oid=oid, is_enum=is_enum) if c.name == name else c for c in relation.columns)
    relations = tuple(replace(r, columns=columns) if r.oid == 101 else r for r in world.catalog.relations)
    world.catalog = replace(world.catalog, version=world.catalog.version + 1, relations=relations)


def _is_fenced(world: World, condition: str) -> bool:
    return "OFFSET 0" in world.allowed(f"SELECT id FROM customers WHERE {condition}").text


@pytest.mark.parametrize(
    "condition",
    [
        "id = 1",
        "id IN (1, 2) AND NOT name = 'x'",
        "id = ANY ($1)",
        "name LIKE 'x%'",
        "name IS NOT DISTINCT FROM 'x'",
        "id BETWEEN 1 AND 2",
        "name IS NULL OR id <> $1",
        "upper(name) = 'X'",
        "birth_date > now() - interval '30 days'",
        "CASE WHEN id = 1 THEN name ELSE 'x' END = 'y'",
        "coalesce(name, 'x') = 'y'",
        "EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = customers.id)",
        "id IN (SELECT customer_id FROM orders)",
    ],
)
def test_conditions_that_cannot_fail_enter_the_guard(world: World, condition: str) -> None:
    assert "OFFSET 0" not in world.allowed(f"SELECT id FROM customers WHERE {condition}").text


@pytest.mark.parametrize(
    "condition",
    [
        "1 / (id - 5) > 0",
        "name::int = 1",
        "CAST(name AS date) > now()",
        "name ~ '(a+)+$'",
        "name LIKE 'canary\\'",
        "name LIKE $1",
        "name ILIKE name",
        "substring(name, id) = 'x'",
        "id = (SELECT o.id FROM orders o WHERE o.customer_id = customers.id)",
        "tags[1] = 'x'",
        "id = 1 AND (balance * 1e300) > 0",
        "balance::float8 = 1.0",
        "EXISTS (SELECT 1 FROM orders WHERE 1 / (customers.id - 5) > 0)",
        "id OPERATOR(public.=) 1",
        "shop.safe_report(name)",
        "to_date(name, 'YYYY') > now()",
        "id IN (SELECT 1 / (c.id - 5) FROM orders c)",
    ],
)
def test_conditions_that_can_fail_stay_outside(world: World, condition: str) -> None:
    assert "OFFSET 0" in world.allowed(f"SELECT id FROM customers WHERE {condition}").text


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM customers c JOIN orders o ON 1 / (c.id - 5) > 0",
        "SELECT tenant_id FROM customers GROUP BY tenant_id HAVING 1 / (tenant_id - 5) > 0",
        "SELECT * FROM (SELECT 1 / (id - 5) AS x FROM customers) s WHERE x > 0",
        "WITH s AS (SELECT 1 / (id - 5) AS x FROM customers) SELECT * FROM s WHERE x > 0",
        "SELECT id FROM customers WHERE id = 1 UNION SELECT id FROM customers WHERE 1 / (id - 5) > 0",
        "SELECT o.id FROM orders o, customers c WHERE o.status = 'paid' AND c.id = o.customer_id",
        "SELECT id FROM contacts WHERE 1 / (id - 5) > 0",
    ],
)
def test_fences_cover_every_place_a_condition_can_come_from(world: World, sql: str) -> None:
    assert "OFFSET 0" in world.allowed(sql).text


def test_output_expressions_run_after_the_filter(world: World) -> None:
    sql = "SELECT 1 / (id - 5), date_trunc('month', birth_date) FROM customers GROUP BY 1, 2 ORDER BY 1 / (id - 5)"
    assert "OFFSET 0" not in world.allowed(sql).text


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 FROM customers AS s(a, b) WHERE a = 1",
        "SELECT 1 FROM (SELECT * FROM customers) AS s(a, b) WHERE a = 1",
        "WITH s(a, b) AS (SELECT * FROM customers) SELECT 1 FROM s WHERE a = 1",
        "SELECT 1 FROM (customers JOIN orders ON true) AS s(a, b) WHERE a = 1",
        "SELECT 1 FROM customers JOIN (SELECT '{}'::text[] AS tags) s USING (tags)",
        "SELECT 1 FROM customers NATURAL JOIN (SELECT '{}'::text[] AS tags) s",
        "SELECT 1 FROM (SELECT 1 AS x UNION ALL SELECT * FROM customers) s WHERE x = 1",
        "SELECT 1 FROM customers c JOIN customers d ON c = d",
        "SELECT 1 FROM customers c JOIN customers d ON c.* = d.*",
    ],
)
def test_types_are_known_by_name_only_where_columns_keep_theirs(world: World, sql: str) -> None:
    """A point's comparison isn't known to be safe, under whatever name it is."""
    _retype(world, "tags", POINT_ARRAY)
    assert "OFFSET 0" in world.allowed(sql).text


@pytest.mark.parametrize(
    "sql",
    [
        'SELECT 1 FROM customers, (SELECT \'a\' COLLATE "C" AS p, $1 COLLATE "POSIX" AS q) WHERE coalesce(name, p) = q',
        "SELECT (SELECT count(*) FROM customers, (SELECT 'a' COLLATE \"C\" AS p) s WHERE coalesce(name, p) = $1)",
        "SELECT 1 FROM customers WHERE name COLLATE \"C\" < 'x'",
    ],
)
def test_collations_may_meet_on_a_hidden_row(world: World, sql: str) -> None:
    assert "OFFSET 0" in world.allowed(sql).text


def test_an_order_by_collation_needs_no_fence(world: World) -> None:
    sql = "SELECT name FROM customers WHERE name = 'x' ORDER BY name COLLATE \"C\""
    assert "OFFSET 0" not in world.allowed(sql).text


def test_columns_with_a_collation_of_their_own_are_fenced(world: World) -> None:
    relation = world.catalog.by_oid[101]
    collated = tuple(replace(c, has_own_collation=c.name == "name") for c in relation.columns)
    relations = tuple(replace(r, columns=collated) if r.oid == 101 else r for r in world.catalog.relations)
    world.catalog = replace(world.catalog, version=2, relations=relations)
    assert "OFFSET 0" in world.allowed("SELECT id FROM customers WHERE name = 'x'").text
    assert "OFFSET 0" not in world.allowed("SELECT name FROM customers WHERE id = 1").text


@pytest.mark.parametrize(
    ("name", "oid", "condition"),
    [
        ("name", JSONB, "name ->> 'a' = 'x'"),
        ("name", JSONB, "name -> 'a' -> 0 ->> 'b' LIKE 'x%'"),
        ("name", JSONB, "name #>> '{a,b}' = 'x' AND name @> '{\"a\": 1}' AND name ? 'a'"),
        ("name", JSONB, "jsonb_extract_path_text(name, 'a', 'b') = 'x'"),
        ("name", TIMESTAMPTZ, "name::date = '2024-01-01'"),
        ("name", TIMESTAMPTZ, "extract(year FROM name) = 2024 AND date_part('month', name) = 1"),
        ("name", TIMESTAMPTZ, "name >= date_trunc('day', now()) - interval '7 days'"),
        ("name", TIMESTAMPTZ, "coalesce(name, now()) > now()"),
        ("name", TIMESTAMPTZ, "CAST(customers.name AS date) BETWEEN '2024-01-01' AND current_date"),
        ("id", INT8, "id % 2 = 0 AND id / 10 = 3 AND id & 4 <> 0"),
        ("id", INT8, "id::text LIKE '12%' AND id::numeric > 0.5 AND id::float8 < 1e9"),
        ("name", FLOAT8, "- name > 0 AND name::text = 'NaN'"),
        ("tags", 1009, "'x' = ANY (tags) AND tags && ARRAY['a', 'b'] AND tags @> '{c}'"),
    ],
)
def test_what_no_value_of_the_type_makes_fail_enters_the_guard(
    world: World, name: str, oid: int, condition: str
) -> None:
    _retype(world, name, oid)
    assert not _is_fenced(world, condition)


@pytest.mark.parametrize(
    ("name", "oid", "condition"),
    [
        ("name", JSONB, "'{\"a\": 1}'::json ->> (name ->> 'a') = 'x'"),
        ("name", JSONB, "(name ->> 'a')::int = 1"),
        ("name", JSONB, "name || '1' = '1'"),
        ("name", TIMESTAMPTZ, "name::timestamp > '2024-01-01'"),
        ("name", TIMESTAMPTZ, "date_trunc('year', name) > '2024-01-01'"),
        ("name", TIMESTAMPTZ, "extract(nonsense FROM name) = 1"),
        ("name", TIMESTAMP, "coalesce(name, now()) > now()"),
        ("name", TIMESTAMP, "coalesce(name, $1) > now()"),
        ("name", DATE, "date_part('year', name) = 2024"),
        ("name", DATE, "extract(hour FROM name) = 1"),
        ("name", DATE, "least(name, date '2024-01-01' + interval '1 day') > now()"),
        ("name", DATE, "CASE WHEN id = 1 THEN name ELSE localtimestamp END > now()"),
        ("id", INT8, "id % 0 = 0"),
        ("id", INT8, "id / -1 = 3"),
        ("id", INT8, "id % tenant_id = 0"),
        ("id", INT8, "id::int = 1"),
        ("id", INT8, "id + 1 = 2"),
        ("id", INT8, "id = pg_my_temp_schema()"),
        ("id", INT8, "id = ANY ('{1}'::_oid)"),
        ("id", INT8, "id IN (SELECT x.o FROM jsonb_to_recordset('[{\"o\": 1}]') AS x(o oid))"),
        ("id", INT8, "id = pg_typeof(1)"),
        ("tags", 1009, "tags[1] = 'x'"),
        ("tags", 1009, "tags || 'x' = '{x}'"),
        ("tags", 1231, "1e300::float8 = ANY (tags)"),
        ("name", 25, "replace(name, 'a', repeat('x', 100000000)) = ''"),
        ("name", 25, "name || repeat('x', 1000000000) = ''"),
        ("name", 25, f"name LIKE '{'%a' * 501}'"),
        ("name", 25, "md5(name) = 'x'"),
        ("name", 25, "name::varchar(2)::int = 1"),
        ("name", 18, "name = 'x'"),
    ],
)
def test_what_one_value_of_the_type_makes_fail_stays_outside(world: World, name: str, oid: int, condition: str) -> None:
    _retype(world, name, oid)
    assert _is_fenced(world, condition)


@pytest.mark.parametrize(
    "constant",
    [
        "sqrt(2)",
        "pi()",
        "2 ^ 10",
        "|/ 4",
        "- '4'",
        "abs($1)",
        "abs('5')",
        "'1'::money / '2'::money",
        "date_part('year', now())",
        "('(1,2)'::point)[0]",
        "ANY ('{1}'::_float8)",
        "(SELECT f FROM json_to_record('{\"f\": 1}') AS x(f float8))",
        "random()",
        "length(lseg '(1,1,2,2)')",
    ],
)
def test_a_numeric_too_large_for_a_float_meets_none(world: World, constant: str) -> None:
    """Nobody wrote the cast: the server makes it, and it fails for a hidden 1e400."""
    assert _is_fenced(world, f"balance = {constant}")


@pytest.mark.parametrize("constant", ["100 * 2", "10.5", "abs(-3)", "(2 + 3) * 1.5", "-4", "$1", "greatest(1, 2.5)"])
def test_a_numeric_and_a_number_need_no_fence(world: World, constant: str) -> None:
    assert not _is_fenced(world, f"balance = {constant}")


def test_what_the_output_is_made_of_meets_no_condition(world: World) -> None:
    sql = "SELECT balance::float8, sqrt(2), avg(balance) OVER () FROM customers WHERE balance > 10 ORDER BY |/ 4"
    assert "OFFSET 0" not in world.allowed(sql).text
    assert (
        "OFFSET 0"
        in world.allowed(sql.replace("|/ 4", "(SELECT max(balance) FROM customers WHERE balance > |/ 4)")).text
    )


def test_an_enum_is_a_number_unless_it_has_casts_of_its_own(world: World) -> None:
    _retype(world, "name", ENUM, is_enum=True)
    assert not _is_fenced(world, "name = 'paid' AND name::text = 'paid' AND name IN ('a', 'b')")
    world.catalog = replace(world.catalog, version=9, cast_types=frozenset({ENUM}))
    assert _is_fenced(world, "name::text = 'paid'")


def test_types_are_known_where_every_source_is(world: World) -> None:
    _retype(world, "name", JSONB)
    plain = "SELECT c.id FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.name ->> 'a' = 'x'"
    assert "OFFSET 0" not in world.allowed(plain).text
    for source in ("(SELECT id, '{}'::json AS name FROM customers) c", "customers AS c(id, name, x)"):
        assert "OFFSET 0" in world.allowed(f"SELECT c.id FROM {source} WHERE c.name ->> 'a' = 'x'").text
    shadowed = (
        "SELECT 1 FROM customers WHERE EXISTS (SELECT 1 FROM (SELECT '{}'::json AS name) s WHERE name ->> 'a' = '')"
    )
    assert "OFFSET 0" in world.allowed(shadowed).text


@pytest.mark.parametrize(
    "condition",
    [
        "name <> 'x' OR now()::text::int = 1",
        "name <> 'x' OR pg_backend_pid() / 0 = 1",
        "name <> 'x' OR 1 / $1 = 1",
        "name <> 'x' OR $1::text::int = 1",
        "name <> $1::text OR $1::int = 1",
        "name <> 'x' OR current_setting('TimeZone')::int = 1",
        "name <> 'x' OR now() - interval '178000000 years' > now()",
        "name <> 'x' OR now() - interval '999 years' * 9 > now()",
        "name <> 'x' OR date_trunc('x', now()) = now()",
        "name <> 'x' OR to_date('2024-02-30', 'YYYY-MM-DD') = current_date",
        "name <> 'x' OR 'x'::text::date = current_date",
        "CASE WHEN name = 'x' THEN current_user::int = 1 ELSE true END",
        "name = 'x' AND EXISTS (SELECT 1 FROM generate_series(1, random()::text::int))",
        "name = 'x' AND EXISTS (SELECT 1 FROM generate_series(1, 9, 0))",
        "ARRAY[tags, '{1,2}'] = '{}'",
        "birth_date IN (VALUES (birth_date), (now()))",
        "EXISTS (SELECT 1 FROM orders LIMIT customers.id)",
        "EXISTS (SELECT 1 FROM orders OFFSET customers.id)",
        "name <> 'x' OR EXISTS (SELECT 1 FROM orders LIMIT $1)",
        "name <> 'x' OR EXISTS (SELECT 1 FROM orders LIMIT -1)",
        "name <> 'x' OR EXISTS (SELECT 1 FROM orders TABLESAMPLE bernoulli (200))",
        "name LIKE 'x\\x'::char(2)",
        "name LIKE 'x\\\\'::name",
        "name LIKE '\\x255c'",
        "name LIKE 'a\\134'",
        "name LIKE ANY ('{\"x\\\\\\\\\"}')",
    ],
)
def test_what_is_left_for_the_run_may_fail_for_one_row(world: World, condition: str) -> None:
    assert _is_fenced(world, condition)


@pytest.mark.parametrize(
    "condition",
    [
        "name = 'x' OR birth_date >= date_trunc('month', current_date) - interval '1 month'",
        "name = 'x' OR birth_date = current_date - 7",
        "name = 'x' OR $1 IS NULL OR $1 = 5",
        "name = 'x' OR id = $1::int",
        "name = 'x' OR birth_date > to_timestamp('2024-01-31 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US')",
        "name = 'x' OR extract(year FROM birth_date) = extract(year FROM now())",
        "name = 'a' || $1 OR name LIKE '%a\\_b%'",
        "id = ANY (ARRAY[1, 2, $1])",
        "EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = customers.id LIMIT 1)",
    ],
)
def test_what_is_near_now_and_what_is_constant_needs_no_fence(world: World, condition: str) -> None:
    assert not _is_fenced(world, condition)
