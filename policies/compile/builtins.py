"""Functions that need a look at their arguments, and settings that a restricted statement may use: reviewed data.

What else a statement may call, `function_table` says. It knows nothing of a statement, a catalog or a policy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


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
    # A table's row type bears its name.
    "to_regtype": VisibleArgument(
        "pg_type", cast="regtype", is_soft=True, result="pg_catalog.regtype::pg_catalog.text"
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
