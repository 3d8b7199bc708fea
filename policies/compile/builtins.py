"""Which of PostgreSQL's own functions, operators and settings a restricted statement may use: reviewed data.

Reviewed by name against pg_proc of PostgreSQL 15 and 18; a name that stands nowhere here is refused. It
knows nothing of a statement, a catalog or a policy. A user's function under one of these names is the
compiler's affair: compare `Catalog.user_functions` and `Catalog.user_operators` first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_AGGREGATES = """
any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp every
json_agg json_agg_strict json_object_agg json_object_agg_strict json_object_agg_unique
json_object_agg_unique_strict jsonb_agg jsonb_agg_strict jsonb_object_agg jsonb_object_agg_strict
jsonb_object_agg_unique jsonb_object_agg_unique_strict max min mode percentile_cont percentile_disc
range_agg range_intersect_agg regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx
regr_sxy regr_syy stddev stddev_pop stddev_samp string_agg sum var_pop var_samp variance xmlagg
"""
_WINDOW = """
cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank row_number
"""
# Cast functions under the names of their types. Not regclass and its like: they look names up.
_CASTS = """
bit bool box bpchar bytea char cidr circle date datemultirange float4 float8 int2 int4 int4multirange int8
int8multirange interval lseg macaddr macaddr8 money name numeric nummultirange oid path point polygon text
time timestamp timestamptz timetz tsmultirange tstzmultirange varbit varchar
"""
_MATH = """
abs acos acosd acosh asin asind asinh atan atan2 atan2d atand atanh bit_count cbrt ceil ceiling cos cosd
cosh cot cotd degrees div erf erfc exp factorial floor gamma gcd lcm lgamma ln log log10 min_scale mod
num_nonnulls num_nulls pi pow power radians random random_normal round scale setseed sign sin sind sinh sqrt
tan tand tanh trim_scale trunc width_bucket generate_series generate_subscripts crc32 crc32c numeric_inc
int4inc
"""
_TEXT = """
ascii bit_length btrim casefold char_length character_length chr concat concat_ws convert convert_from
convert_to decode encode format get_bit get_byte initcap is_normalized left length like like_escape lower
lpad ltrim md5 normalize notlike octet_length overlay parse_ident position quote_ident quote_literal
quote_nullable regexp_count regexp_instr regexp_like regexp_match regexp_matches regexp_replace
regexp_split_to_array regexp_split_to_table regexp_substr repeat replace reverse right rpad rtrim set_bit
set_byte sha224 sha256 sha384 sha512 similar_escape similar_to_escape split_part starts_with string_to_array
string_to_table strpos substr substring textcat textlen to_ascii to_bin to_char to_hex to_number to_oct
translate unicode_assigned unicode_version unistr upper hashtext hashtextextended icu_unicode_version
"""
_TIME = """
age clock_timestamp date_add date_bin date_part date_subtract date_trunc extract isfinite justify_days
justify_hours justify_interval make_date make_interval make_time make_timestamp make_timestamptz now
overlaps statement_timestamp timeofday timezone to_date to_timestamp transaction_timestamp pg_timezone_names
pg_timezone_abbrevs pg_timezone_abbrevs_abbrevs pg_timezone_abbrevs_zone
"""
_JSON = """
array_to_json json_array_element json_array_element_text json_array_elements json_array_elements_text
json_array_length json_build_array json_build_object json_each json_each_text json_extract_path
json_extract_path_text json_object json_object_field json_object_field_text json_object_keys
json_populate_record json_populate_recordset json_strip_nulls json_to_record json_to_recordset json_typeof
jsonb_array_element jsonb_array_element_text jsonb_array_elements jsonb_array_elements_text
jsonb_array_length jsonb_build_array jsonb_build_object jsonb_concat jsonb_contained jsonb_contains
jsonb_delete jsonb_delete_path jsonb_each jsonb_each_text jsonb_exists jsonb_exists_all jsonb_exists_any
jsonb_extract_path jsonb_extract_path_text jsonb_insert jsonb_object jsonb_object_field
jsonb_object_field_text jsonb_object_keys jsonb_path_exists jsonb_path_exists_tz jsonb_path_match
jsonb_path_match_tz jsonb_path_query jsonb_path_query_array jsonb_path_query_array_tz jsonb_path_query_first
jsonb_path_query_first_tz jsonb_path_query_tz jsonb_populate_record jsonb_populate_record_valid
jsonb_populate_recordset jsonb_pretty jsonb_set jsonb_set_lax jsonb_strip_nulls jsonb_to_record
jsonb_to_recordset jsonb_typeof row_to_json to_json to_jsonb
"""
_ARRAYS_AND_RANGES = """
array_append array_cat array_dims array_fill array_length array_lower array_ndims array_position
array_positions array_prepend array_remove array_replace array_reverse array_sample array_shuffle array_sort
array_to_string array_upper arraycontained arraycontains arrayoverlap cardinality daterange enum_first
enum_last enum_range int4range int8range isempty lower_inc lower_inf multirange numrange range_adjacent
range_after range_before range_contained_by range_contains range_contains_elem range_intersect range_merge
range_minus range_overlaps trim_array tsrange tstzrange unnest upper_inc upper_inf
"""
_GEOMETRY_AND_NETWORK = """
area bound_box center diagonal diameter height isclosed ishorizontal isopen isparallel isperp isvertical
line npoints pclose popen radius slope width abbrev broadcast family host hostmask inet_merge
inet_same_family macaddr8_set7bit masklen netmask network set_masklen
"""
# Not ts_rewrite and ts_stat: a form of each runs SQL from text.
_FULL_TEXT = """
array_to_tsvector get_current_ts_config json_to_tsvector jsonb_to_tsvector numnode phraseto_tsquery
plainto_tsquery querytree setweight strip to_tsquery to_tsvector ts_debug ts_delete ts_filter ts_headline
ts_lexize ts_parse ts_rank ts_rank_cd ts_token_type tsquery_phrase tsvector_to_array websearch_to_tsquery
"""
# XML of given values. Not table_to_xml, query_to_xml and theirs: they run SQL.
_UUID_AND_XML = """
gen_random_uuid uuid_extract_timestamp uuid_extract_version uuidv4 uuidv7 xml xml_is_well_formed
xml_is_well_formed_content xml_is_well_formed_document xmlcomment xmlconcat xmlexists xmltext xpath
xpath_exists
"""
# About the session and the server; pg_advisory_unlock_all is how asyncpg's pool hands a connection back. Not
# current_query: it would show the rewritten text with its filters and
# keys.
_SESSION = """
current_catalog current_database current_role current_schema current_schemas current_user
getdatabaseencoding getpgusername pg_advisory_unlock_all pg_backend_pid pg_char_to_encoding pg_client_encoding
pg_encoding_max_length pg_encoding_to_char pg_is_in_recovery pg_is_other_temp_schema pg_jit_available
pg_my_temp_schema pg_postmaster_start_time pg_trigger_depth session_user system_user user version
"""
# What psql, pgAdmin, DBeaver, Metabase, Superset, JDBC, SQLAlchemy and Django read about types, names and
# rights. By OID they answer for any object, but with no more than names of functions and types, or yes and
# no. pg_get_expr needs a pg_node_tree, which only a row of a (guarded) catalog can give. pg_tablespace_location
# tells a folder that an operator named, empty for the server's own; DBD::Pg lists no table without it.
_CATALOG = """
acldefault aclexplode format_type has_any_column_privilege has_column_privilege has_database_privilege
has_foreign_data_wrapper_privilege has_function_privilege has_language_privilege has_schema_privilege
has_sequence_privilege has_server_privilege has_table_privilege has_tablespace_privilege has_type_privilege
makeaclitem oidvectortypes pg_available_extension_versions pg_available_extensions pg_basetype
pg_collation_for pg_collation_is_visible pg_column_is_updatable pg_column_size pg_conversion_is_visible
pg_function_is_visible pg_get_expr pg_get_function_arguments pg_get_function_identity_arguments
pg_get_function_result pg_get_keywords pg_get_userbyid pg_has_role pg_index_column_has_property
pg_index_has_property pg_indexam_has_property pg_opclass_is_visible pg_operator_is_visible
pg_opfamily_is_visible pg_options_to_table pg_partition_ancestors pg_partition_root
pg_relation_is_publishable pg_relation_is_updatable pg_size_bytes pg_size_pretty
pg_statistics_obj_is_visible pg_table_is_visible pg_tablespace_location pg_ts_config_is_visible pg_ts_dict_is_visible
pg_ts_parser_is_visible pg_ts_template_is_visible pg_type_is_visible pg_typeof shobj_description
to_regcollation to_regnamespace to_regoper to_regoperator to_regproc to_regprocedure to_regrole to_regtype
to_regtypemod
"""

# Syntax that libpg_query reports as a function, and functions of the lists above that only one version has,
# are both here by name; the tests hold the list against pg_proc.
ALLOWED: frozenset[str] = _names(
    _AGGREGATES
    + _WINDOW
    + _CASTS
    + _MATH
    + _TEXT
    + _TIME
    + _JSON
    + _ARRAYS_AND_RANGES
    + _GEOMETRY_AND_NETWORK
    + _FULL_TEXT
    + _UUID_AND_XML
    + _SESSION
    + _CATALOG
)

# current_setting(name[, missing_ok]) may run when its name is a literal out of SETTING_READABLE;
# set_config(name, value, is_local) when name and value are literals that SETTINGS_SETTABLE takes (asyncpg
# and Django).
SETTING_READERS = frozenset({"current_setting"})
SETTING_WRITERS = frozenset({"set_config"})

# NOTIFY and what LISTEN listens to, as functions: with the grant `listen`.
CHANNEL_FUNCTIONS = frozenset({"pg_notify", "pg_listening_channels"})


@dataclass(frozen=True, slots=True)
class VisibleArgument:
    """A function that tells about one object by OID: only for what `relation`'s guard lets through.

    `columns` of that catalog must equal the function's leading arguments in order; the first argument is
    replaced by what `catalogs.visible_argument` makes of it, NULL when the object isn't visible. `cast` is
    the first argument's type. `is_open_only`: only for relations that no policy filters, blocks in part
    or masks.
    """

    relation: str
    columns: tuple[str, ...] = ("oid",)
    cast: str = "oid"
    is_open_only: bool = False
    is_soft: bool = False  # a name that isn't there gives NULL, no error
    result: str = ""  # what the function's first parameter takes, when that isn't the first column's type


_SIZE = VisibleArgument("pg_class", cast="regclass", is_open_only=True)
_VIEW = VisibleArgument("pg_class", is_open_only=True)

# Definitions can hold constants out of the data (a CHECK, a partial index, a partition's bounds), comments
# any text, sizes count hidden rows. A view's definition is shown for open views only.
ALLOWED_ON_VISIBLE: Mapping[str, VisibleArgument] = {
    "pg_get_constraintdef": VisibleArgument("pg_constraint"),
    "pg_get_indexdef": VisibleArgument("pg_index", ("indexrelid",)),
    "pg_get_ruledef": VisibleArgument("pg_rewrite"),
    "pg_get_triggerdef": VisibleArgument("pg_trigger"),
    "pg_get_partkeydef": VisibleArgument("pg_partitioned_table", ("partrelid",)),
    "pg_get_partition_constraintdef": _VIEW,
    # Takes names, not OIDs: SQLAlchemy asks it about each column with a default.
    "pg_get_serial_sequence": VisibleArgument(
        "pg_attribute", ("attrelid", "attname"), cast="regclass", result="pg_catalog.regclass::pg_catalog.text"
    ),
    # How Rails and Liquibase ask whether a table is there.
    "to_regclass": VisibleArgument(
        "pg_class", cast="regclass", is_soft=True, result="pg_catalog.regclass::pg_catalog.text"
    ),
    "pg_get_statisticsobjdef": VisibleArgument("pg_statistic_ext"),
    "pg_get_statisticsobjdef_columns": VisibleArgument("pg_statistic_ext"),
    "pg_get_viewdef": _VIEW,
    # Source code, of functions that the policy allows.
    "pg_get_function_sqlbody": VisibleArgument("pg_proc"),
    "pg_get_functiondef": VisibleArgument("pg_proc"),
    "obj_description": VisibleArgument("pg_description", ("objoid",)),
    "col_description": VisibleArgument("pg_attribute", ("attrelid", "attnum")),
    "pg_relation_size": _SIZE,
    "pg_table_size": _SIZE,
    "pg_indexes_size": _SIZE,
    "pg_total_relation_size": _SIZE,
}

# OIDs of the types on which SAFE_OPERATORS and SAFE_FUNCTIONS keep their word: bool bytea char name int8
# int2 int4 text oid float4 float8 money macaddr8 jsonb macaddr inet cidr bpchar varchar date time timestamp
# timestamptz interval timetz bit varbit numeric uuid. Geometric types overflow even in `=`.
SAFE_TYPES: frozenset[int] = frozenset(
    (
        16,
        17,
        18,
        19,
        20,
        21,
        23,
        25,
        26,
        700,
        701,
        790,
        774,
        3802,
        829,
        869,
        650,
        1042,
        1043,
        1082,
        1083,
        1114,
    )
    + (1184, 1186, 1266, 1560, 1562, 1700, 2950)
)

# Right sides of these must be literals that don't end in an unpaired backslash: LIKE finds that fault only
# when it gets there, which tells about the row.
PATTERN_OPERATORS: frozenset[str] = frozenset({"~~", "!~~", "~~*", "!~~*"})

# Neither fail nor call user code, whatever the rows hold, when both sides are of the same SAFE_TYPES family
# (numeric against float8 casts, and that overflows). Missing on purpose: arithmetic (overflow, zero), ||
# (array dimensions), ~ (regular expressions that exhaust memory), -> and ->> (json with \\u0000), @ and
# geometric operators.
SAFE_OPERATORS: frozenset[str] = PATTERN_OPERATORS | _names("= <> != < <= > >= ? ?| ?&")

# The same promise for functions. Missing on purpose: substring (negative length), split_part (field 0),
# abs, round (overflow), date_trunc and extract (unit unknown for the type), concat (calls any type's
# output).
SAFE_FUNCTIONS: frozenset[str] = _names(
    """
            ascii bit_length btrim char_length character_length initcap left lower ltrim md5 now
    octet_length     replace reverse     right rtrim sign statement_timestamp strpos to_hex
    transaction_timestamp translate     upper isfinite host family     masklen jsonb_typeof pg_typeof sha256
    """
)

# What SHOW and current_setting may tell: how to talk to this server, nothing of its machine, files or
# rights.
SETTING_READABLE: frozenset[str] = _names(
    """
            application_name array_nulls block_size bytea_output client_encoding client_min_messages
    datestyle     default_table_access_method default_text_search_config default_transaction_deferrable
    default_transaction_isolation default_transaction_read_only default_with_oids escape_string_warning
    extra_float_digits idle_in_transaction_session_timeout idle_session_timeout in_hot_standby
    integer_datetimes     intervalstyle is_superuser jit lc_collate lc_ctype lc_messages lc_monetary
    lc_numeric lc_time lock_timeout     max_connections max_identifier_length max_index_keys
    quote_all_identifiers role row_security search_path     server_encoding server_version
    server_version_num session_authorization standard_conforming_strings     statement_timeout timezone
    transaction_deferrable transaction_isolation transaction_read_only     transaction_timeout work_mem
    xmlbinary xmloption
    """
)

SettingCheck = Callable[[str], bool]


def _one_of(*values: str) -> SettingCheck:
    allowed = frozenset(values)
    return lambda value: value.strip().lower() in allowed


def _matches(pattern: str) -> SettingCheck:
    compiled = re.compile(pattern, re.IGNORECASE | re.ASCII)
    return lambda value: compiled.fullmatch(value.strip()) is not None


_BOOLEAN = _one_of("on", "off", "true", "false", "yes", "no", "1", "0", "t", "f", "y", "n")
_TRUE = _one_of("on", "true", "yes", "1", "t", "y")
_DURATION = _matches(r"\d{1,10}(\.\d{1,6})?\s*(us|ms|s|min|h|d)?")
_ISOLATION = _one_of("serializable", "repeatable read", "read committed", "read uncommitted")

# set_config may take their values from a parameter (asyncpg puts jit back so): whatever the value, it changes no
# statement's meaning.
SETTINGS_OF_ANY_VALUE: frozenset[str] = _names(
    """
    application_name extra_float_digits idle_in_transaction_session_timeout idle_session_timeout intervalstyle jit
    lock_timeout statement_timeout timezone transaction_timeout
    """
)

# What SET, set_config and the startup packet may change: name in lower case -> is this value allowed. RESET
# and SET ... TO DEFAULT are allowed for the same names. search_path is the compiler's own case. Not here on
# purpose: planner switches and work_mem (load on the server, and they steer which condition runs first),
# role.
SETTINGS_SETTABLE: Mapping[str, SettingCheck] = {
    "application_name": lambda value: len(value) <= 256,  # a label; it is recorded
    "client_encoding": _one_of("utf8", "utf-8", "unicode"),  # the compiler and masks read UTF-8
    # Not lower than notice: the server's own log lines would show the rewritten text.
    "client_min_messages": _one_of("notice", "warning", "error"),
    # Masks read ISO.
    "datestyle": _matches(r"iso(\s*,\s*(mdy|dmy|ymd|us|euro|european|noneuro|noneuropean))?"),
    "default_transaction_deferrable": _BOOLEAN,
    "default_transaction_isolation": _ISOLATION,
    "default_transaction_read_only": _BOOLEAN,  # writes need a grant of the policy anyway
    "escape_string_warning": _BOOLEAN,  # a notice about the client's own text
    "extra_float_digits": _matches(r"-?\d{1,2}"),  # how floats print; masks parse any
    "bytea_output": _one_of("hex"),  # masks read hex
    "idle_in_transaction_session_timeout": _DURATION,  # the client's own patience; caps are the proxy's
    "idle_session_timeout": _DURATION,
    "intervalstyle": _one_of("postgres", "postgres_verbose", "sql_standard", "iso_8601"),
    "jit": _BOOLEAN,  # asyncpg turns it off for its type look-ups
    "lc_messages": _matches(r"(c|posix|[a-z]{2,3}(_[a-z]{2})?)(\.utf-?8)?"),  # language of scrubbed errors
    "lock_timeout": _DURATION,
    # How often a prepared statement is planned: no condition runs earlier for it.
    "plan_cache_mode": _one_of("auto", "force_custom_plan", "force_generic_plan"),
    "quote_all_identifiers": _BOOLEAN,  # how definitions print
    # What it forbids to read, it forbids; the catalogs that guards read are the system's.
    "restrict_nonsystem_relation_kind": _matches(r"(view|foreign-table|\s|,)*"),
    "row_security": _BOOLEAN,  # off: an error where the server's own policies would hide rows
    "standard_conforming_strings": _TRUE,  # else the server reads literals otherwise than the compiler
    "statement_timeout": _DURATION,
    "synchronize_seqscans": _BOOLEAN,  # where a scan begins
    "timezone": _matches(r"[a-z0-9_+:./<>-]{1,64}"),  # a zone's name or offset, no list
    "transaction_deferrable": _BOOLEAN,
    "transaction_isolation": _ISOLATION,
    "transaction_read_only": _BOOLEAN,
    "transaction_timeout": _DURATION,
    "xmlbinary": _one_of("base64", "hex"),
    "xmloption": _one_of("content", "document"),
}
