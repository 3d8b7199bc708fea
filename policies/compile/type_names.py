"""Names of the system's types as definitions print them, without a schema: reviewed data.

What pg_get_viewdef and pg_get_expr print so, but for what a keyword of the grammar stands for. pg_temp comes before
pg_catalog for types: a temporary table of such a name would be the type.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TYPE_NAMES: frozenset[str] = _words(
    """
    aclitem any anyarray anycompatible anycompatiblearray anycompatiblemultirange anycompatiblenonarray
    anycompatiblerange anyelement anyenum anymultirange anynonarray anyrange bool box bpchar bytea char cid cidr circle
    cstring date datemultirange daterange event_trigger fdw_handler float4 float8 gtsvector index_am_handler inet int2
    int2vector int4 int4multirange int4range int8 int8multirange int8range internal json jsonb jsonpath
    language_handler line lseg macaddr macaddr8 money name nummultirange numrange oid oidvector path point polygon
    record refcursor regclass regcollation regconfig regdictionary regnamespace regoper regoperator regproc
    regprocedure regrole regtype regdatabase table_am_handler text tid timestamptz timetz trigger tsm_handler
    tsmultirange tsquery tsrange tstzmultirange tstzrange tsvector txid_snapshot unknown uuid varbit void xid xid8 xml
    """
)
