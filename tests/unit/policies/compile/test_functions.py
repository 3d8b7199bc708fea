"""Functions by allow-list, in every notation in which one can be called."""

from dataclasses import replace

import pytest

from tests.compile_world import World


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_catalog.pg_read_file('/etc/passwd')",
        "SELECT ('/etc/passwd'::text).pg_read_file",
        "SELECT (x).pg_read_file FROM (SELECT '/etc/passwd'::text) s(x)",
        "SELECT x.pg_read_file FROM unnest(ARRAY['/etc/passwd'::text]) AS x",
        "SELECT 1 FROM unnest(ARRAY['/etc/passwd'::text]) AS x WHERE EXISTS (SELECT 1 FROM"
        " (SELECT x.pg_read_file) y, (SELECT 1 AS pg_read_file) x)",
        "SELECT query_to_xml('select 1', true, true, '')",
        "SELECT * FROM query_to_xml('select 1', true, true, '')",
        "SELECT * FROM ROWS FROM (generate_series(1, 2), pg_read_file('x'))",
        "SELECT evil('x')",
        "SELECT public.evil('x')",
        "SELECT ('x'::text).evil",
        "SELECT c.evil FROM customers c",
        "SELECT pg_sleep(1)",
        "SELECT lo_get(1)",
        "SELECT nextval('shop.orders_id_seq')",
        "SELECT set_config('search_path', 'x', false) FROM orders",
        "SELECT set_config('role', 'x', false)",
        "SELECT dblink('x', 'y')",
        "SELECT id <~~> 1 FROM orders",
        "SELECT 1 WHERE 1 OPERATOR(public.<~~>) ANY (SELECT id FROM orders)",
        "SELECT id FROM orders ORDER BY id USING OPERATOR(public.<~~>)",
        "SELECT array_agg(id ORDER BY id USING <~~>) FROM orders",
        "SELECT row_number() OVER (ORDER BY id USING <~~>) FROM orders",
        "SELECT 1 WHERE 1 <~~> ANY (ARRAY[1])",
        "SELECT id <~~> ALL (SELECT 1) FROM orders",
        "SELECT count(*) FILTER (WHERE pg_read_file('x') = '') FROM orders",
        "SELECT row_number() OVER (ORDER BY pg_read_file('x')) FROM orders",
        "SELECT * FROM orders ORDER BY pg_read_file('x')",
        "SELECT * FROM orders LIMIT length(pg_read_file('x'))",
        "SELECT XMLELEMENT(name a, pg_read_file('x'))",
    ],
)
def test_what_is_not_reviewed_does_not_run(world: World, sql: str) -> None:
    assert world.refused(sql)[0] == "42501"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT lower('X'), pg_catalog.upper('x'), count(*) FROM orders",
        "SELECT ('x').upper, c.row_to_json FROM customers c",
        "SELECT shop.safe_report('x')",
        "SELECT x.pg_read_file FROM (SELECT 1 AS pg_read_file) x",
        "SELECT (x).id FROM customers x",
        "SELECT current_setting('server_version')",
        "SELECT set_config('application_name', 'x', false)",
        "SELECT current_user, current_date, now()",
    ],
)
def test_reviewed_and_granted_ones_run(world: World, sql: str) -> None:
    world.allowed(sql)


def test_current_setting_reads_readable_settings_only(world: World) -> None:
    for argument in ("'pgwarden.secret'", "'data_directory'", "'DATA_DIRECTORY', true"):
        assert world.refused(f"SELECT current_setting({argument})") == ("42501", "pgwarden/settings")
    for argument in ("$1", "'data_' || 'directory'", "status", "$1::varchar, true"):
        text = world.allowed(f"SELECT current_setting({argument}) FROM orders").text
        first = argument.removesuffix(", true")
        assert f"current_setting((SELECT given.name FROM (SELECT CAST(({first}) AS pg_catalog.text) AS name)" in text
    assert world.refused("SELECT current_setting(setting_name => $1)")[0] == "0A000"


def test_set_config_takes_parameters_for_harmless_settings_only(world: World) -> None:
    world.allowed("SELECT set_config('jit', $1, false)")
    for call in (
        "'jit', id::text",
        "'application_name', (SELECT $1)",
        "'search_path', $1",
        "'datestyle', $1",
        "'role', $1",
        "$1, 'x'",
        "$1, $2",
        "'client_encoding', $1",
    ):
        assert world.refused(f"SELECT set_config({call}, false) FROM orders") == ("42501", "pgwarden/settings"), call


def test_a_star_under_functions_lets_no_dangerous_built_in_run(tmp_path) -> None:  # type: ignore[no-untyped-def]
    policy = """
principals: [{user: ada, roles: [a]}]
policies:
  - name: p
    subjects: {any: true}
    statements: [select]
    tables: {allow: ["shop.*"]}
    functions: {allow: ["*"]}
"""
    world = World(tmp_path, policy)
    world.allowed("SELECT evil('x')")
    assert world.refused("SELECT pg_read_file('x')")[0] == "42501"
    assert world.refused("SELECT ('x'::text).pg_read_file")[0] == "42501"


def test_look_ups_by_oid_go_through_the_guarded_catalogs(world: World) -> None:
    text = world.allowed("SELECT relname, pg_get_constraintdef(oid, true) FROM pg_class").text
    assert 'WHERE "pgwarden 0" = CAST((oid) AS pg_catalog.oid)' in text
    # A row of the guarded catalog itself was looked up already.
    for source in ("pg_constraint k", "(SELECT oid FROM pg_constraint) k", "pg_constraint k JOIN pg_class c ON true"):
        assert "pgwarden 0" not in world.allowed(f"SELECT pg_get_constraintdef(k.oid) FROM {source}").text
    for source in ("pg_constraint k(oid)", "(SELECT 1 AS oid) k", "(SELECT oid FROM pg_constraint UNION SELECT 1) k"):
        assert "pgwarden 0" in world.allowed(f"SELECT pg_get_constraintdef(k.oid) FROM {source}").text
    arguments = "pg_catalog.pg_attribute.attrelid, pg_catalog.pg_attribute.attnum"
    sql = f"SELECT col_description({arguments}) FROM pg_catalog.pg_attribute"
    assert '"pgwarden 1" = (pg_attribute.attnum)' in world.allowed(sql).text
    assert world.refused("SELECT pg_get_constraintdef(constraint_oid => 1)")[0] == "0A000"


def _with_functions(world: World, functions: dict[str, frozenset[str]]) -> World:
    world.catalog = replace(world.catalog, version=2, user_functions=functions)
    return world


def test_a_users_overload_is_not_the_built_in(world: World) -> None:
    """Whatever its arguments are: the server would choose it for them, wherever on the path it stands."""
    _with_functions(world, {"lower": frozenset({"public"}), "count": frozenset({"pg_catalog"})})
    assert world.refused("SELECT lower(name) FROM customers")[0] == "42501"
    assert world.refused("SELECT c.lower FROM customers c")[0] == "42501"
    assert world.refused("SELECT public.lower(name) FROM customers")[0] == "42501"
    assert "OFFSET 0" not in world.allowed("SELECT pg_catalog.upper(name) FROM customers WHERE id = 1").text
    world.allowed("SELECT pg_catalog.lower(name) FROM customers")
    for name in ("count", "pg_catalog.count"):  # one that a user made in pg_catalog
        assert world.refused(f"SELECT {name}(*) FROM customers")[0] == "42501"


def test_a_granted_function_lends_its_name_to_no_built_in(tmp_path) -> None:  # type: ignore[no-untyped-def]
    policy = """
principals: [{user: ada, roles: [a]}]
policies:
  - name: p
    subjects: {any: true}
    statements: [select]
    tables: {allow: ["shop.*"]}
    functions: {allow: ["*"]}
"""
    world = _with_functions(World(tmp_path, policy), {"pg_read_file": frozenset({"shop"}), "ok": frozenset({"shop"})})
    world.allowed("SELECT shop.pg_read_file('x'), ok(1)")
    assert world.refused("SELECT pg_read_file('x')")[0] == "42501"


def test_the_number_of_arguments_chooses_among_overloads(world: World) -> None:
    world.allowed("SELECT ts_rewrite('a'::tsquery, 'a'::tsquery, 'b'::tsquery)")
    for call in (
        "ts_rewrite('a', 'SELECT t, s FROM shop.salaries')",
        "ts_rewrite('a', VARIADIC 'x')",
        "ts_rewrite(query => 'a')",
    ):
        assert world.refused(f"SELECT {call}")[0] == "42501", call
    world.allowed("SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY total) FROM orders")
    world.allowed("SELECT make_interval(days => 3), concat_ws(',', 'a', 'b', 'c', VARIADIC '{d}')")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("pg_read_file('x')", "reads or lists files"),
        ("query_to_xml('x', true, true, '')", "runs SQL"),
        ("pg_catalog.setval('x', 1)", "changes the state"),
        ("pg_stat_get_live_tuples(1)", "statistics"),
        ("int4pl(1, 2)", "plumbing"),
    ],
)
def test_a_refusal_names_what_the_function_does(world: World, call: str, words: str) -> None:
    refusal = world.decide(f"SELECT {call}").refusal
    assert refusal is not None
    assert words in refusal.message
    assert refusal.hint
    assert "functions.allow" not in refusal.hint  # no policy can allow them there
