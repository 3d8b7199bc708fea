"""The table of built-in functions against pg_proc of real servers: nothing is missing, stale or allowed by accident."""

from __future__ import annotations

import re

import psycopg
import pytest
from catalog_servers import catalog_dsn

from policies.compile.builtins import (
    ALLOWED_ON_VISIBLE,
    CHANNEL_FUNCTIONS,
    SETTING_READERS,
    SETTING_WRITERS,
)
from policies.compile.function_table import (
    ALLOWED_CLASSES,
    REASONS,
    FunctionClass,
    is_allowed,
    is_pure,
    parse_line,
    refusal_of,
    signatures,
    table_lines,
)
from policies.compile.operator_table import SAFE_TYPE_NAMES
from policies.compile.rules.sequence_functions import SEQUENCE_FUNCTIONS
from tests.function_lines import functions_of, listed_for

__all__ = ["catalog_dsn"]

TABLE = [parse_line(line) for line in table_lines()]
CALLABLE = ALLOWED_CLASSES | {FunctionClass.GUARDED}
NAMES = {name for name, one in TABLE if one.kind in CALLABLE}
VOLATILE = {
    "clock_timestamp", "gen_random_uuid", "uuidv4", "uuidv7", "random", "random_normal", "setseed", "timeofday",
    "array_sample", "array_shuffle", "pg_is_in_recovery", "pg_jit_available", "pg_partition_ancestors", "set_config",
    "pg_relation_size", "pg_table_size", "pg_indexes_size", "pg_total_relation_size", "pg_advisory_unlock_all",
    "nextval", "currval", "lastval", "pg_notify",
    "ts_rewrite",  # in the form that is refused
}  # fmt: skip
# Texts of functions that the policy allows, keys for who may insert, NOTIFY for who may listen: each has its rule.
GUARDED_DANGERS = {"pg_get_function_sqlbody", "pg_get_functiondef", "nextval", "currval", "lastval", "pg_notify"}
DANGEROUS = (
    "^pg_(ls|read|stat_|sleep|advisory_(?!unlock_all$)|try_advisory|wal|logical|replication|create|drop|cancel"
    "|terminate|reload|rotate|export|notify|lock|show|get_(viewdef_|functiondef|function_sqlbody|sequence_data)"
    "|current_logfile|control|backup|hba|ident|promote|prepared|cursor|snapshot|xact|identify|describe|event_trigger"
    "|input|mcv|column_toast|relation_file|filenode|blocking|safe_snap|log_)"
    "|^lo_|^(lowrite|loread|nextval|setval|currval|lastval|current_query|ts_stat|currtid2?|query_to|dblink)"
    "|_to_xml|^txid_|^binary_upgrade|^inet_(server|client)|recv$|_send$|handler$|_in$|_out$|^brin_|^gin_|^amvalidate"
)
# What code that no call names, such as an operator's, may be: one of those to call, or plumbing.
SILENT = CALLABLE | {FunctionClass.PLUMBING}
SILENT_CODE = """
SELECT p.proname, u.what FROM (
  SELECT oprcode::oid, 'operator' FROM pg_operator UNION ALL SELECT castfunc, 'cast' FROM pg_cast
  UNION ALL SELECT f, 'aggregate' FROM pg_aggregate, unnest(ARRAY[aggtransfn, aggfinalfn, aggcombinefn, aggserialfn,
    aggdeserialfn, aggmtransfn, aggminvtransfn, aggmfinalfn]) AS a(f)
  UNION ALL SELECT amproc, 'index' FROM pg_amproc
  UNION ALL SELECT f, 'type' FROM pg_type, unnest(ARRAY[typinput, typoutput, typreceive, typsend, typmodin, typmodout,
    typsubscript]) AS t(f)
) AS u(f, what) JOIN pg_proc AS p ON p.oid = u.f WHERE p.oid < 16384
"""


def _rows(dsn: str, query: str) -> list[tuple[str, ...]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(query.encode()).fetchall()


def _names(dsn: str, condition: str) -> set[str]:
    query = f"SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND {condition}"
    return {row[0] for row in _rows(dsn, query)}


def test_the_table_is_what_the_server_has(catalog_dsn: str) -> None:
    """To renew it: tests/function_lines.py."""
    with psycopg.connect(catalog_dsn) as connection:
        version = str(connection.info.server_version // 10_000)
    listed, found = listed_for(version), functions_of(catalog_dsn)
    assert len(found) > 3000
    assert (sorted(found - listed), sorted(listed - found)) == ([], [])


def test_nobody_uses_what_was_not_reviewed() -> None:
    with pytest.raises(ValueError, match="unreviewed"):
        parse_line("brand_new\ttext\ttext\t19\tunreviewed")
    assert not is_allowed("brand_new", 1)
    assert refusal_of("brand_new", 1) == ("", "")


def test_guarded_functions_are_those_that_have_a_rule() -> None:
    """A name is guarded in all its forms: the rules go by name."""
    guarded = {name for name, one in TABLE if one.kind is FunctionClass.GUARDED}
    assert guarded == {
        *ALLOWED_ON_VISIBLE,
        *SETTING_READERS,
        *SETTING_WRITERS,
        *CHANNEL_FUNCTIONS,
        *SEQUENCE_FUNCTIONS,
    }
    assert {one.kind for name, one in TABLE if name in guarded} == {FunctionClass.GUARDED}


def test_no_allowed_name_looks_dangerous() -> None:
    assert {name for name in NAMES if re.search(DANGEROUS, name)} == GUARDED_DANGERS


def test_volatile_functions_are_allowed_one_by_one(catalog_dsn: str) -> None:
    assert _names(catalog_dsn, "provolatile = 'v'") & NAMES <= VOLATILE


def test_pure_functions_are_not_volatile(catalog_dsn: str) -> None:
    pure = {name for name, one in TABLE if one.kind is FunctionClass.PURE}
    assert not _names(catalog_dsn, "provolatile = 'v'") & pure


def test_no_allowed_function_takes_or_gives_internals() -> None:
    internal = {"internal", "cstring", "trigger", "event_trigger", "language_handler", "index_am_handler"}
    # Aggregates that are ordered sets declare their states elsewhere; none takes one.
    assert not [n for n, one in TABLE if one.kind in CALLABLE and not internal.isdisjoint(one.arguments + one.results)]


def test_one_piece_of_code_has_one_verdict(catalog_dsn: str) -> None:
    """Two names for the same C function: none may be the way round the other."""
    query = """
        SELECT p.prosrc, array_agg(DISTINCT p.proname::text)
        FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang
        WHERE l.lanname = 'internal' AND p.prokind = 'f' AND p.pronamespace = 'pg_catalog'::regnamespace GROUP BY 1
        HAVING count(DISTINCT p.proname) > 1"""
    kinds: dict[str, set[FunctionClass]] = {}
    for name, one in TABLE:
        kinds.setdefault(name, set()).add(one.kind)
    for source, names in _rows(catalog_dsn, query):
        found = set().union(*(kinds[name] for name in names))
        assert found <= SILENT or found.isdisjoint(CALLABLE), (source, names, found)


def test_operators_casts_aggregates_indexes_and_types_run_nothing_refused(catalog_dsn: str) -> None:
    kinds = {name: one.kind for name, one in TABLE}
    odd = {(name, what) for name, what in _rows(catalog_dsn, SILENT_CODE) if kinds[name] not in SILENT}
    # Looked after by rules/object_names, and types whose values a client can make of text alone.
    texts = {f"{t}_{d}" for t in ("pg_snapshot", "txid_snapshot", "pg_mcv_list") for d in ("in", "out", "recv", "send")}
    assert odd <= {("regclass", "cast")} | {(name, "type") for name in texts}


@pytest.mark.parametrize(
    ("name", "count", "expected"),
    [
        ("lower", 1, True),
        ("ts_rewrite", 3, True),
        ("ts_rewrite", 2, False),  # (tsquery, text) runs the text
        ("ts_rewrite", None, False),
        ("ts_stat", 1, False),
        ("concat_ws", 9, True),
        ("query_to_xml", 4, False),
        ("pg_read_file", 1, False),
        ("int4pl", 2, False),
        ("current_setting", 1, False),  # only through its rule
        ("dblink", 2, False),
    ],
)
def test_calls_are_judged_by_the_overloads_they_may_mean(name: str, count: int | None, expected: bool) -> None:
    assert is_allowed(name, count) is expected


def test_arguments_are_counted_as_the_server_does() -> None:
    (concat,) = signatures("concat_ws", 5)
    assert concat.is_variadic
    assert [one.arguments for one in signatures("make_interval", 1)] == [
        ("int4", "int4", "int4", "int4", "int4", "int4", "float8")
    ]
    assert len(signatures("substring", 3)) == 4
    assert signatures("lower", 7) == signatures("lower")
    assert signatures("nowhere") == ()
    assert signatures("_pg_expandarray", 1, "information_schema")


def test_pure_calls_are_those_whose_every_form_is() -> None:
    assert is_pure("lower", 1, SAFE_TYPE_NAMES)
    assert not is_pure("lower", 1, SAFE_TYPE_NAMES | {"anyrange"})
    # A long third argument makes the result of a hidden row too long for the server.
    assert not is_pure("replace", 3, SAFE_TYPE_NAMES)
    assert not is_pure("repeat", 2, SAFE_TYPE_NAMES)
    assert not is_pure("nowhere", 1, SAFE_TYPE_NAMES)


def test_refusals_say_why() -> None:
    assert "files" in refusal_of("pg_read_file", 1)[0]
    assert "SQL" in refusal_of("query_to_xml", 4)[0]
    assert refusal_of("lower", 1) == ("", "")
    assert set(REASONS) == set(FunctionClass) - ALLOWED_CLASSES
