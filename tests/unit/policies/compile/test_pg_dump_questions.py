"""The forms in which pg_dump asks: each passes as it stands, and nothing that only looks like it."""

from __future__ import annotations

import pytest

from tests.compile_world import World

SET_BY_NAME = "SELECT set_config(name, '{}', false) FROM pg_settings WHERE name = '{}'"


@pytest.mark.parametrize(
    "sql",
    [
        SET_BY_NAME.format("view, foreign-table", "restrict_nonsystem_relation_kind"),
        SET_BY_NAME.format("5s", "lock_timeout"),
        "SET row_security = off",
        "SET synchronize_seqscans TO off",
        "SELECT count(*) FROM pg_subscription",
        "SELECT oid, lomowner FROM pg_largeobject_metadata",
        "SELECT label FROM pg_catalog.pg_seclabels",
        "SELECT srvname, srvoptions FROM pg_foreign_server",
        "SELECT tableoid, oid FROM pg_cast",
        "SELECT pg_get_function_sqlbody(p.oid) FROM pg_proc p",
    ],
)
def test_allowed(world: World, sql: str) -> None:
    world.allowed(sql)


@pytest.mark.parametrize(
    "sql",
    [
        SET_BY_NAME.format("x", "role"),
        SET_BY_NAME.format("LATIN1", "client_encoding"),
        SET_BY_NAME.format("5s", "lock_timeout").replace("name =", "name <>"),
        SET_BY_NAME.format("5s", "lock_timeout") + " OR true",
        SET_BY_NAME.format("5s", "lock_timeout").replace("(name,", "(lower(name),"),
        SET_BY_NAME.format("5s", "lock_timeout").replace("pg_settings", "pg_settings, pg_class"),
        "SELECT set_config(name, setting, false) FROM pg_settings WHERE name = 'lock_timeout'",
        "SELECT set_config()",
        "SELECT pg_get_sequence_data(1::oid)",
        "SELECT (pg_get_sequence_data(seqrelid)).* FROM pg_sequence",
        "SELECT * FROM pg_get_sequence_data(1::oid) WITH ORDINALITY",
        "SELECT last_value FROM orders_id_seq",
        "SELECT last_value, is_called, log_cnt FROM orders_id_seq",
        "SELECT last_value, is_called FROM orders_id_seq, orders",
    ],
)
def test_refused(world: World, sql: str) -> None:
    assert world.refused(sql)[0] in ("42501", "0A000")


def test_a_catalogs_own_number_is_there_when_it_is_asked_for(world: World) -> None:
    own = "SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid AS tableoid, "
    assert own in world.allowed("SELECT c.tableoid, c.oid FROM pg_class c").text
    assert own in world.allowed("SELECT * FROM (SELECT c.tableoid, c.oid FROM pg_class c) AS x").text
    for shown in (
        "SELECT c.tableoid, c.* FROM pg_class c",
        "SELECT tableoid, c FROM pg_class c",
        "SELECT oid FROM pg_class",
    ):
        assert own not in world.allowed(shown).text


def test_sequences_are_told_as_never_used(world: World) -> None:
    one = world.allowed("SELECT last_value, is_called FROM orders_id_seq").text
    assert '"pgwarden 0" = CAST((111) AS pg_catalog.oid)' in one
    many = world.allowed(
        "SELECT s.seqrelid, last_value FROM pg_sequence s, pg_get_sequence_data(s.seqrelid) ORDER BY 1"
    ).text
    assert "LATERAL (SELECT" in many
    assert "CAST((s.seqrelid) AS pg_catalog.oid)) AS pg_get_sequence_data" in many
    assert "pg_get_sequence_data(" not in many
