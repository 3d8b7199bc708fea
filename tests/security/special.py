"""Ways that have tests of their own: they need other connections, other policies or a change while they run."""

# ruff: noqa: E501 - a way reads best on one line

from __future__ import annotations

from dataclasses import dataclass

from tests.security.vector import Defence


@dataclass(frozen=True, slots=True)
class Special:
    """`file`: under tests."""

    name: str
    way: str
    defence: Defence
    file: str
    test: str


_SESSIONS, _RELOADS = "security/test_sessions.py", "security/test_reloads.py"
_RAW_USES, _LEAKS, _LAUNDERING = (
    "security/test_raw_uses.py",
    "rules/test_leaks_on_servers.py",
    "rules/test_laundering_on_servers.py",
)
_KEYS = "drivers/test_keys.py"

SPECIAL = (
    Special("startup_search_path", "search_path in the startup packet", Defence.SETTINGS, _SESSIONS, "test_startup_parameters"),
    Special("startup_options", "-c settings in the options of the startup packet", Defence.SETTINGS, _SESSIONS, "test_startup_parameters"),
    Special("startup_role", "role and session_authorization at startup", Defence.SETTINGS, _SESSIONS, "test_startup_parameters"),
    Special("startup_strings", "standard_conforming_strings = off at startup", Defence.SETTINGS, _SESSIONS, "test_startup_parameters"),
    Special("startup_encoding", "client_encoding SJIS, GBK, LATIN1 at startup", Defence.SETTINGS, _SESSIONS, "test_startup_parameters"),
    Special("startup_formats", "DateStyle German, bytea_output escape at startup", Defence.SETTINGS, _SESSIONS, "test_startup_parameters"),
    Special("replication", "a replication connection", Defence.PROTOCOL, _SESSIONS, "test_startup_parameters"),
    Special("wrong_password", "a wrong password", Defence.PROTOCOL, _SESSIONS, "test_failed_logins"),
    Special("unknown_user", "an unknown user", Defence.PROTOCOL, _SESSIONS, "test_failed_logins"),
    Special("upstream_user", "the upstream's own user", Defence.PROTOCOL, _SESSIONS, "test_failed_logins"),
    Special("unknown_database", "a database of the server that pgwarden doesn't name", Defence.PROTOCOL, _SESSIONS, "test_failed_logins"),
    Special("other_sessions_queries", "another session's text in pg_stat_activity", Defence.CATALOGS, _SESSIONS, "test_other_sessions_stay_unseen"),
    Special("foreign_notifications", "NOTIFY of another session", Defence.STATEMENTS, _SESSIONS, "test_notifications_of_others_stay_unheard"),
    Special("prepared_before_reload", "a statement prepared before its column was masked", Defence.PROTOCOL, _RELOADS, "test_prepared_statements_follow_the_policy"),
    Special("portal_across_reload", "a portal half read when the policy changes", Defence.PROTOCOL, _RELOADS, "test_prepared_statements_follow_the_policy"),
    Special("held_cursor_across_reload", "a cursor WITH HOLD opened before its column was masked", Defence.PROTOCOL, _RELOADS, "test_cursors_and_sql_prepared_statements_end_with_their_policy"),
    Special("sql_prepared_across_reload", "PREPARE before the column was masked, EXECUTE after it", Defence.PROTOCOL, _RELOADS, "test_cursors_and_sql_prepared_statements_end_with_their_policy"),
    Special("prepared_before_block", "a statement prepared before its table was blocked", Defence.PROTOCOL, _RELOADS, "test_prepared_statements_follow_the_policy"),
    Special("columns_swapped", "columns renamed under a prepared statement", Defence.STREAM, _RELOADS, "test_columns_swapped_under_a_prepared_statement"),
    Special("table_replaced", "a table dropped and made anew with other columns", Defence.STREAM, _RELOADS, "test_a_table_replaced_behind_the_proxy"),
    Special("temp_table_across_reload", "temporary tables, settings and what functions left, made before a column was masked", Defence.PROTOCOL, _RELOADS, "test_an_open_session_that_left_its_mark_ends_when_it_is_narrowed"),
    Special("names_across_reload", "cursors, prepared statements and portals of the same names under two policies", Defence.PROTOCOL, _RELOADS, "test_what_stands_under_a_name_follows_the_policy"),
    Special("policy_change_in_a_pipeline", "a policy that narrows in the middle of a pipeline", Defence.PROTOCOL, _RELOADS, "test_a_policy_that_narrows_in_the_middle_of_a_pipeline"),
    Special("random_pipelines", "random orders of messages, names and savepoints", Defence.PROTOCOL, "security/test_pipelines.py", "test_random_pipelines"),
    Special("cancel_with_a_wrong_secret", "CancelRequest for another session", Defence.PROTOCOL, "drivers/test_psycopg.py", "test_a_cancel_with_a_wrong_secret_does_nothing"),
    Special("operators_of_the_clients_path", "comparisons of citext under a search_path without its schema", Defence.SETTINGS, "rules/test_paths_on_servers.py", "test_a_path_without_the_types_schema_is_refused"),
    Special("statistics_prefix", "LIKE patterns that the planner tries on pg_statistic's values", Defence.FENCE, "rules/test_statistics_on_servers.py", "test_no_pattern_fails_on_hidden_values"),
    Special("every_error_oracle", "each function and cast that can fail, with the fence and without it", Defence.FENCE, _LEAKS, "test_an_error_oracle_works_without_the_fence_and_fails_with_it"),
    Special("parameter_row_types", "a row type that PREPARE or Parse declares by its number", Defence.RELATIONS, "rules/test_parameter_types_on_servers.py", "test_a_row_type_is_known_by_its_number"),
    Special("raw_use_beyond_its_uses", "a column that may be compared raw, used in any other way", Defence.SOURCE, _RAW_USES, "test_every_other_use_is_what_the_mask_alone_gives"),
    Special("raw_groups_order", "groups of raw values, whose order would tell", Defence.SOURCE, _RAW_USES, "test_groups_come_in_no_order_of_their_values"),
    Special("renamed_table", "a table renamed, moved or replaced behind the policy's back", Defence.LINEAGE, _LAUNDERING, "test_a_renamed_table_keeps_its_rules"),
    Special("renamed_column", "a masked column under a new name", Defence.LINEAGE, _LAUNDERING, "test_a_renamed_column_keeps_its_rules"),
    Special("swapped_columns", "two columns that swap their names", Defence.LINEAGE, _LAUNDERING, "test_swapped_columns_are_both_masked"),
    Special("detached_partition", "a partition that left its parent", Defence.LINEAGE, _LAUNDERING, "test_a_detached_partition_keeps_its_parents_rules"),
    Special("copied_table", "CREATE TABLE AS by an administrator, under a name that a wildcard allows", Defence.LINEAGE, _LAUNDERING, "test_newcomers_with_look_alikes_are_refused"),
    Special("views_made_later", "views, materialized views and functions made later", Defence.LINEAGE, _LAUNDERING, "test_views_functions_and_materialized_views_made_later"),
    Special("comments_of_a_known_shape", "a text of a known shape whose comments, of either kind, hold quotes, ends of comments and statements", Defence.GUARD, "drivers/test_workloads.py", "test_comments_can_not_hide_a_filter"),
    Special("another_users_key", "another user's API key, its id, its hash or a part of it as a password", Defence.PROTOCOL, _KEYS, "test_who_may_not_have_a_key_and_who_does_not_get_in"),
    Special("revoked_key", "an API key that was revoked, by a new login and in sessions that it opened", Defence.PROTOCOL, _KEYS, "test_a_key_is_made_used_revoked_and_all_of_it_recorded"),
    Special("rates_around_replication", "statements over a replication connection, where nothing may be left of a quota", Defence.PROTOCOL, "playbooks/test_allowances.py", "test_a_replication_connection_without_anything_left_ends"),
)  # fmt: skip
