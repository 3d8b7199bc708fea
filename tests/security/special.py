"""Ways that have tests of their own: they need other connections, other policies or a change while they run."""

# ruff: noqa: E501 - a way reads best on one line

from __future__ import annotations

from dataclasses import dataclass

from tests.security.vector import Defence


@dataclass(frozen=True, slots=True)
class Special:
    name: str
    way: str
    defence: Defence
    file: str
    test: str


_SESSIONS, _RELOADS = "test_sessions.py", "test_reloads.py"
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
)  # fmt: skip
