"""The catalogs that no restricted principal reads, each by the reason for it: reviewed data.

Nothing is refused because it stands here: what isn't open or filtered is refused. The lists give the refusal its
reason, and let a test find what a new PostgreSQL adds before anybody has looked at it.
"""

from __future__ import annotations

from collections.abc import Mapping

_STATISTICS = """
pg_stat_all_indexes pg_stat_all_tables pg_stat_database pg_stat_database_conflicts pg_stat_io pg_stat_slru
pg_stat_sys_indexes pg_stat_sys_tables pg_stat_user_functions pg_stat_user_indexes pg_stat_user_tables pg_stat_wal
pg_stat_xact_all_tables pg_stat_xact_sys_tables pg_stat_xact_user_functions pg_stat_xact_user_tables
pg_statio_all_indexes pg_statio_all_sequences pg_statio_sys_indexes pg_statio_sys_sequences pg_statio_sys_tables
pg_statio_user_indexes pg_statio_user_sequences pg_statistic pg_statistic_ext_data pg_stats_ext pg_stats_ext_exprs
"""
_SESSIONS = """
pg_locks pg_prepared_xacts pg_stat_gssapi pg_stat_progress_analyze pg_stat_progress_basebackup
pg_stat_progress_cluster pg_stat_progress_copy pg_stat_progress_create_index pg_stat_progress_vacuum pg_stat_ssl
"""
_PASSWORDS = """
pg_authid pg_shadow pg_user_mapping pg_user_mappings _pg_user_mappings user_mapping_options user_mappings
"""
_SERVER = """
pg_aios pg_backend_memory_contexts pg_config pg_db_role_setting pg_file_settings pg_hba_file_rules
pg_ident_file_mappings pg_parameter_acl pg_replication_origin pg_replication_origin_status pg_replication_slots
pg_shmem_allocations pg_shmem_allocations_numa pg_stat_archiver pg_stat_bgwriter pg_stat_checkpointer
pg_stat_recovery_prefetch pg_stat_replication pg_stat_replication_slots pg_stat_subscription
pg_stat_subscription_stats pg_stat_wal_receiver pg_subscription_rel pg_wait_events foreign_data_wrapper_options
foreign_data_wrappers foreign_server_options foreign_servers _pg_foreign_data_wrappers _pg_foreign_servers
"""
# Names, definitions and dependencies of hidden tables and columns, which no guard takes out as yet.
_DEFINITIONS = """
pg_policies pg_publication_tables pg_rules pg_seclabel pg_shdepend pg_shseclabel attributes
check_constraint_routine_usage column_column_usage column_domain_usage column_options column_udt_usage
data_type_privileges element_types _pg_foreign_table_columns _pg_foreign_tables foreign_table_options foreign_tables
role_usage_grants routine_column_usage routine_routine_usage routine_sequence_usage routine_table_usage routines
triggered_update_columns triggers usage_privileges user_defined_types view_column_usage view_routine_usage
view_table_usage
"""
_OBJECTS = "pg_largeobject"

REASONS: Mapping[str, frozenset[str]] = {
    "Statistics tell about rows that a policy hides.": frozenset(_STATISTICS.split()),
    "It tells about other sessions and what they work on.": frozenset(_SESSIONS.split()),
    "It holds passwords.": frozenset(_PASSWORDS.split()),
    "It tells about the server itself: its files, settings, replication and addresses.": frozenset(_SERVER.split()),
    "It names and defines objects that a policy hides; pg_catalog's own tables are filtered.": frozenset(
        _DEFINITIONS.split()
    ),
    "Large objects hold data that no policy can name.": frozenset(_OBJECTS.split()),
}
REVIEWED_REFUSED: frozenset[str] = frozenset(name for names in REASONS.values() for name in names)


def reason(name: str) -> str:
    """Why the catalog is refused; one that nobody has reviewed has the plainest reason."""
    return next((text for text, names in REASONS.items() if name in names), "It is not on the list of catalogs.")
