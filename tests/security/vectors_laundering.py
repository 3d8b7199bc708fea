"""Hidden data under other names: views of every make, functions behind views, catalogs behind views."""

# ruff: noqa: E501 - a statement reads best on one line
# fmt: off

from __future__ import annotations

from tests.security.vector import BLOCKED, CLEAN, DENIED, NO_TABLE, SAME, UNPROVEN, Defence, Vector

V, FN, CAT = Defence.VIEWS, Defence.FUNCTIONS, Defence.CATALOGS

LAUNDERING = (
    Vector("view_renamed_columns", V, SAME, "SELECT * FROM shop.reach"),
    Vector("view_renamed_column_guess", V, SAME, "SELECT who FROM shop.reach WHERE by_mail LIKE 'cnry%'"),
    Vector("view_renamed_again", V, SAME, "SELECT r.c FROM shop.reach AS r(a, c) ORDER BY 1"),
    Vector("view_under_cte", V, SAME, "WITH reach AS (SELECT by_mail FROM shop.reach) SELECT upper(by_mail) FROM reach"),
    Vector("view_in_subquery", V, SAME, "SELECT id FROM shop.orders o WHERE customer_id IN (SELECT who FROM shop.reach WHERE length(by_mail) > 3)"),
    Vector("view_joined_to_itself", V, SAME, "SELECT a.who FROM shop.reach a JOIN shop.reach b ON a.by_mail = b.by_mail WHERE a.who < b.who"),
    Vector("view_barrier", V, SAME, "SELECT * FROM shop.kept_apart"),
    Vector("view_barrier_error_oracle", V, SAME, "SELECT count(*) FROM shop.kept_apart WHERE 1 / (id - @[hidden customer 2 id]) < 2"),
    Vector("view_whole_row_of_view", V, SAME, "SELECT (whole).email, whole::text FROM shop.whole_rows"),
    Vector("view_whole_row_json", V, SAME, "SELECT to_jsonb(w) FROM shop.whole_rows w"),
    Vector("view_distinct", V, SAME, "SELECT * FROM shop.distinct_reach"),
    Vector("view_union", V, SAME, "SELECT * FROM shop.all_reach WHERE mail IS NOT NULL"),
    Vector("view_over_partitions", V, SAME, "SELECT * FROM shop.day_actors"),
    Vector("view_recursive", V, SAME, "SELECT * FROM shop.above"),
    Vector("view_of_blocked_column", V, DENIED, "SELECT paid_with FROM shop.cards"),
    Vector("view_of_blocked_column_count", V, DENIED, "SELECT count(*) FROM shop.cards"),
    Vector("view_of_other_schema", V, DENIED, "SELECT * FROM shop.vault_view"),
    Vector("view_of_function", FN, DENIED, "SELECT * FROM shop.leaking"),
    Vector("view_of_function_over_rows", FN, DENIED, "SELECT name FROM shop.leaking_each"),
    Vector("view_of_set_returning_function", FN, DENIED, "SELECT email FROM shop.everybody_view"),
    Vector("set_returning_function", FN, DENIED, "SELECT email FROM shop.everybody()"),
    Vector("view_of_statistics", CAT, CLEAN, "SELECT * FROM shop.statistics"),
    Vector("view_of_activity", CAT, CLEAN, "SELECT * FROM shop.activity"),
    Vector("view_definition_in_catalogs", CAT, CLEAN, "SELECT viewname, definition FROM pg_views WHERE schemaname = 'shop'"),
    Vector("view_refused_without_detail", V, BLOCKED, "SELECT 1 FROM shop.payroll WHERE amount > 100"),
    Vector("view_sampled", V, UNPROVEN, "SELECT * FROM shop.reach TABLESAMPLE SYSTEM (50)"),
    Vector("view_as_type", V, CLEAN, "SELECT (NULL::shop.reach).by_mail"),
    Vector("view_only", V, SAME, "SELECT * FROM ONLY shop.reach"),
    Vector("view_that_is_not_there", V, NO_TABLE, "SELECT * FROM shop.reach_2"),
    Vector("view_into_copy", V, SAME, "COPY (SELECT by_mail FROM shop.reach ORDER BY who) TO STDOUT", user="wes"),
    Vector("view_into_temporary_table", V, CLEAN, "CREATE TEMP TABLE kept AS SELECT * FROM shop.reach", user="wes"),
    Vector("view_updated_through", V, CLEAN, "UPDATE shop.reach SET by_mail = 'x' RETURNING *", user="wes"),
)
