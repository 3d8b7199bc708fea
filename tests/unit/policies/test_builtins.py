"""The lists of built-ins against pg_proc of real servers: nothing is allowed, and nothing missed, by accident."""

from __future__ import annotations

import re

import psycopg
import pytest
from catalog_servers import catalog_dsn

from policies.compile.builtins import (
    ALLOWED,
    ALLOWED_ON_VISIBLE,
    CHANNEL_FUNCTIONS,
    SAFE_FUNCTIONS,
    SETTING_READABLE,
    SETTING_READERS,
    SETTING_WRITERS,
    SETTINGS_SETTABLE,
)
from policies.compile.refused_builtins import REVIEWED_REFUSED, reason

__all__ = ["catalog_dsn"]

GRANTED = ALLOWED | frozenset(ALLOWED_ON_VISIBLE) | SETTING_READERS | SETTING_WRITERS
# Names that the grammar knows and pg_proc doesn't.
SYNTAX = {"current_catalog", "current_role", "user", "xmlconcat"}
VOLATILE = {
    "clock_timestamp", "gen_random_uuid", "uuidv4", "uuidv7", "random", "random_normal", "setseed", "timeofday",
    "array_sample", "array_shuffle", "pg_is_in_recovery", "pg_jit_available", "pg_partition_ancestors", "set_config",
    "pg_relation_size", "pg_table_size", "pg_indexes_size", "pg_total_relation_size",
    "pg_advisory_unlock_all",
}  # fmt: skip
DANGEROUS = (
    "^pg_(ls|read|stat_|sleep|advisory_(?!unlock_all$)|try_advisory|wal|logical|replication|create|drop|cancel|terminate|reload|rotate"
    "|export|notify|lock|show|get_(viewdef_|functiondef|function_sqlbody|sequence_data)|current_logfile)"
    "|^lo_|^(lowrite|loread|nextval|setval|currval|lastval|current_query|ts_stat|ts_rewrite)$|_to_xml|^txid_"
    "|^binary_upgrade|^dblink|^inet_(server|client)|^pg_input_|recv$|_send$|handler$|_in$|_out$"
)


def _names(dsn: str, condition: str = "true") -> set[str]:
    query = f"SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND {condition}"
    with psycopg.connect(dsn) as connection:
        return {row[0] for row in connection.execute(query).fetchall()}


def test_every_function_of_the_server_was_reviewed(catalog_dsn: str) -> None:
    unreviewed = _names(catalog_dsn, "oid < 16384") - GRANTED - REVIEWED_REFUSED - CHANNEL_FUNCTIONS
    assert not unreviewed, f"review and list: {sorted(unreviewed)}"


def test_allowed_names_exist(catalog_dsn: str) -> None:
    with psycopg.connect(catalog_dsn) as connection:
        version = connection.info.server_version
    if version >= 180000:
        assert GRANTED - _names(catalog_dsn) == SYNTAX | {"pg_timezone_abbrevs"}  # in two since 18


def test_nothing_is_both_allowed_and_refused() -> None:
    assert not (GRANTED | CHANNEL_FUNCTIONS) & REVIEWED_REFUSED
    assert not ALLOWED & set(ALLOWED_ON_VISIBLE)
    assert SAFE_FUNCTIONS <= ALLOWED


def test_no_allowed_name_looks_dangerous() -> None:
    # Texts of functions that the policy allows; they run nothing.
    shows_text = {"pg_get_function_sqlbody", "pg_get_functiondef"}
    assert not {name for name in GRANTED - shows_text if re.search(DANGEROUS, name)}


def test_volatile_functions_are_allowed_one_by_one(catalog_dsn: str) -> None:
    assert _names(catalog_dsn, "provolatile = 'v'") & GRANTED <= VOLATILE


def test_safe_functions_are_not_volatile(catalog_dsn: str) -> None:
    assert not _names(catalog_dsn, "provolatile = 'v'") & SAFE_FUNCTIONS


def test_no_allowed_function_takes_or_gives_internals(catalog_dsn: str) -> None:
    internal = "('internal'::regtype = ANY (proargtypes) OR prorettype IN ('internal'::regtype, 'trigger'::regtype))"
    assert not _names(catalog_dsn, f"prokind = 'f' AND {internal}") & GRANTED


def test_refusals_have_reasons() -> None:
    assert "files" in reason("pg_read_file")
    assert "SQL" in reason("query_to_xml")
    assert reason("brand_new") == "is not on the list of reviewed functions"


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("client_encoding", "UTF8", "LATIN1"),
        ("datestyle", "ISO, MDY", "German"),
        ("bytea_output", "hex", "escape"),
        ("standard_conforming_strings", "on", "off"),
        ("client_min_messages", "warning", "log"),
        ("statement_timeout", "30s", "30s; DROP TABLE x"),
        ("timezone", "Europe/London", "UTC'; --"),
        ("transaction_isolation", "Serializable", "none"),
    ],
)
def test_settings(name: str, good: str, bad: str) -> None:
    assert SETTINGS_SETTABLE[name](good)
    assert not SETTINGS_SETTABLE[name](bad)


def test_settings_that_would_widen_what_a_client_may_do() -> None:
    widening = {"role", "session_authorization", "search_path", "enable_seqscan"}
    assert not widening & set(SETTINGS_SETTABLE)
    assert not {"data_directory", "hba_file", "config_file", "primary_conninfo", "log_directory"} & SETTING_READABLE
