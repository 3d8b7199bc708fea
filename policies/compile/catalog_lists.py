"""The catalogs that are open to everybody, and the columns of those that are rewritten: reviewed data.

Columns of PostgreSQL 14 to 18; a later version's new columns stay out until they are reviewed.
"""

from __future__ import annotations


def words(text: str) -> list[str]:
    return text.split()


# No names or contents of users' tables, no passwords, no paths. Comments on shared objects are the operator's words.
OPEN_CATALOG = frozenset(
    words("""
    pg_aggregate pg_am pg_amop pg_amproc pg_auth_members pg_available_extension_versions pg_available_extensions
    pg_cast pg_collation pg_conversion pg_database pg_default_acl pg_enum pg_event_trigger pg_extension
    pg_foreign_data_wrapper
    pg_group pg_language pg_namespace pg_opclass pg_operator pg_opfamily pg_publication pg_publication_namespace
    pg_range pg_roles pg_shdescription pg_tablespace pg_timezone_abbrevs pg_timezone_names pg_transform pg_ts_config
    pg_ts_config_map pg_ts_dict pg_ts_parser pg_ts_template pg_user
    """)
)
OPEN_INFORMATION = frozenset(
    words("""
    administrable_role_authorizations applicable_roles character_sets collation_character_set_applicability
    collations domain_constraints domain_udt_usage domains enabled_roles information_schema_catalog_name parameters
    role_routine_grants role_udt_grants routine_privileges schemata sql_features sql_implementation_info sql_parts
    sql_sizing transforms udt_privileges
    """)
)

# Shown without a row: nothing of them is a client's, and pg_dump asks whether there is any. Column, type and the first
# version that has it.
EMPTY = {
    "pg_largeobject_metadata": (("oid", "oid", 0), ("lomowner", "oid", 0), ("lomacl", "aclitem[]", 0)),
    "pg_seclabels": (
        ("objoid", "oid", 0),
        ("classoid", "oid", 0),
        ("objsubid", "int4", 0),
        ("objtype", "text", 0),
        ("objnamespace", "oid", 0),
        ("objname", "text", 0),
        ("provider", "text", 0),
        ("label", "text", 0),
    ),
    # Its connection strings hold passwords.
    "pg_subscription": (
        ("oid", "oid", 0),
        ("subdbid", "oid", 0),
        ("subskiplsn", "pg_lsn", 150000),
        ("subname", "name", 0),
        ("subowner", "oid", 0),
        ("subenabled", "bool", 0),
        ("subbinary", "bool", 0),
        ("substream", '"char"', 0),
        ("subtwophasestate", '"char"', 150000),
        ("subdisableonerr", "bool", 150000),
        ("subpasswordrequired", "bool", 160000),
        ("subrunasowner", "bool", 160000),
        ("subfailover", "bool", 170000),
        ("subconninfo", "text", 0),
        ("subslotname", "name", 0),
        ("subsynccommit", "text", 0),
        ("subpublications", "text[]", 0),
        ("suborigin", "text", 160000),
    ),
}

PG_CLASS = words(
    """
oid relname relnamespace reltype reloftype relowner relam relfilenode reltablespace relpages reltuples relallvisible
relallfrozen reltoastrelid relhasindex relisshared relpersistence relkind relnatts relchecks relhasrules
relhastriggers relhassubclass relrowsecurity relforcerowsecurity relispopulated relreplident relispartition
relrewrite relfrozenxid relminmxid relacl reloptions relpartbound
"""
)
PG_ATTRIBUTE_16 = words(
    """
attrelid attname atttypid attstattarget attlen attnum attndims attcacheoff atttypmod attbyval attalign attstorage
attcompression attnotnull atthasdef atthasmissing attidentity attgenerated attisdropped attislocal attinhcount
attcollation attacl attoptions attfdwoptions attmissingval
"""
)
PG_ATTRIBUTE_18 = words(
    """
attrelid attname atttypid attlen attnum attcacheoff atttypmod attndims attbyval attalign attstorage attcompression
attnotnull atthasdef atthasmissing attidentity attgenerated attisdropped attislocal attinhcount attcollation
attstattarget attacl attoptions attfdwoptions attmissingval
"""
)
# What pg_attribute says of a dropped column; beyond that, nothing of what it was.
DROPPED = {
    "attname": "pg_catalog.concat('........pg.dropped.', t.attnum, '........')::pg_catalog.name",
    "atttypid": "0::pg_catalog.oid",
    "attlen": "(-1)::pg_catalog.int2",
    "atttypmod": "-1",
    "attndims": "0::pg_catalog.int2",  # int4 before 16
    "attbyval": "false",
    "attalign": "'i'::pg_catalog.\"char\"",
    "attstorage": "'p'::pg_catalog.\"char\"",
    "attcompression": "''::pg_catalog.\"char\"",
    "attnotnull": "false",
    "atthasdef": "false",
    "atthasmissing": "false",
    "attidentity": "''::pg_catalog.\"char\"",
    "attgenerated": "''::pg_catalog.\"char\"",
    "attisdropped": "true",
    "attcollation": "0::pg_catalog.oid",
    "attstattarget": "NULL::pg_catalog.int2",
    "attacl": "NULL",
    "attoptions": "NULL",
    "attfdwoptions": "NULL",
}

PG_PROC = words(
    """
oid proname pronamespace proowner prolang procost prorows provariadic prosupport prokind prosecdef proleakproof
proisstrict proretset provolatile proparallel pronargs pronargdefaults prorettype proargtypes proallargtypes
proargmodes proargnames proargdefaults protrftypes prosrc probin prosqlbody proconfig proacl
"""
)
PG_STAT_ACTIVITY = words(
    """
datid datname pid leader_pid usesysid usename application_name client_addr client_hostname client_port backend_start
xact_start query_start state_change wait_event_type wait_event state backend_xid backend_xmin query_id query
backend_type
"""
)
PG_STATIO = words(
    """
heap_blks_read heap_blks_hit idx_blks_read idx_blks_hit toast_blks_read toast_blks_hit tidx_blks_read tidx_blks_hit
"""
)
PG_CURSORS = words("name statement is_holdable is_binary is_scrollable creation_time")
PG_PREPARED_STATEMENTS = words(
    "name statement prepare_time parameter_types result_types from_sql generic_plans custom_plans"
)
PG_SEQUENCES = words(
    """
schemaname sequencename sequenceowner data_type start_value min_value max_value increment_by cycle cache_size
last_value
"""
)

INFORMATION_COLUMNS = words(
    """
    table_catalog table_schema table_name column_name ordinal_position column_default is_nullable data_type
    character_maximum_length character_octet_length numeric_precision numeric_precision_radix numeric_scale
    datetime_precision interval_type interval_precision character_set_catalog character_set_schema
    character_set_name collation_catalog collation_schema collation_name domain_catalog domain_schema domain_name
    udt_catalog udt_schema udt_name scope_catalog scope_schema scope_name maximum_cardinality dtd_identifier
    is_self_referencing is_identity identity_generation identity_start identity_increment identity_maximum
    identity_minimum identity_cycle is_generated generation_expression is_updatable
    """
)

VIEW_COLUMNS = words(
    """
    table_catalog table_schema table_name view_definition check_option is_updatable is_insertable_into
    is_trigger_updatable is_trigger_deletable is_trigger_insertable_into
    """
)
