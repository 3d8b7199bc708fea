"""Every type there is in pg_type, on real servers: each kind of mask works on it, in text and in binary, or says no."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.pq import ExecStatus, Format

from policies.masks import MaskError, sql_form, stream_form
from policies.masks.targets import target_of
from policies.model import MaskSpec
from tests.fix_servers import TestServer

KEY = "a key of sixteen characters"


def spec(kind: str, **parameters: Any) -> MaskSpec:
    return MaskSpec(kind, tuple(sorted(parameters.items())))


SPECS = [
    spec("nullify"),
    spec("redact"),
    spec("constant", value="x"),
    spec("constant", value=0),
    spec("hash"),
    spec("truncate", unit="year"),
    spec("truncate", bucket=1000),
    spec("email"),
    spec("partial", keep_last=2),
    spec("sql", expression="{column}"),
    spec("token", key=KEY),
    spec("fpe", key=KEY),
    spec("noise", key=KEY, amount=10),
    spec("fake", key=KEY, of="city"),
]

# A value of every type that can be written; of the others NULL has to do.
SAMPLES = {
    '"char"': "c",
    "bit": "1",
    "bit varying": "101",
    "boolean": "t",
    "box": "(1,2),(3,4)",
    "bytea": "\\x00ff",
    "circle": "<(1,2),3>",
    "date": "2024-02-29",
    "inet": "10.1.2.3/8",
    "cidr": "10.0.0.0/8",
    "interval": "3 days 04:05:06.7",
    "json": '{"a": 1}',
    "jsonb": '{"a": 1}',
    "jsonpath": '$."a"',
    "line": "{1,2,3}",
    "lseg": "[(1,2),(3,4)]",
    "macaddr": "01:02:03:04:05:06",
    "macaddr8": "01:02:03:04:05:06:07:08",
    "path": "((1,2),(3,4))",
    "point": "(1,2)",
    "polygon": "((1,2),(3,4))",
    "pg_lsn": "1/A",
    "tid": "(4,2)",
    "time without time zone": "01:02:03.4",
    "time with time zone": "01:02:03+04",
    "timestamp without time zone": "2024-02-29 01:02:03",
    "timestamp with time zone": "2024-02-29 01:02:03+00",
    "tsquery": "'a'",
    "tsvector": "'a':1",
    "uuid": "00000000-0000-0000-0000-00000000000a",
    "xml": "<a/>",
    "daterange": "[2024-01-01,2024-02-01)",
    "int4range": "[1,5)",
    "int8range": "[1,5)",
    "numrange": "[1.5,5)",
    "tsrange": "[2024-01-01,2024-02-01)",
    "tstzrange": "[2024-01-01,2024-02-01)",
    "datemultirange": "{[2024-01-01,2024-02-01)}",
    "int4multirange": "{[1,5)}",
    "int8multirange": "{[1,5)}",
    "nummultirange": "{[1,5)}",
    "tsmultirange": "{[2024-01-01,2024-02-01)}",
    "tstzmultirange": "{[2024-01-01,2024-02-01)}",
    **dict.fromkeys(("bigint", "integer", "smallint", "numeric", "real", "double precision", "money"), "7"),
    **dict.fromkeys(("oid", "xid", "xid8", "cid"), "7"),
    **dict.fromkeys(("text", "character varying", "character", "bpchar", "name"), "abc"),
    "integer[]": "{1,NULL}",
    "text[]": '{a,"b c",NULL}',
    "interval[]": '{"1 day"}',
    "masked_mood": "low",
    "masked_pair": "(1,a)",
    "masked_word": "abc",
    "masked_span": "[1,2]",
    "masked_mood[]": "{low}",
}
# Can't be put into a column, or are of no use there: only nullify and an operator's SQL work on them.
_MADE = """
    CREATE TYPE masked_mood AS ENUM ('low', 'high');
    CREATE TYPE masked_pair AS (a int, b text);
    CREATE DOMAIN masked_word AS varchar(9) CHECK (VALUE <> 'no');
    CREATE TYPE masked_span AS RANGE (subtype = float8);
"""
_TYPES = """
    SELECT pg_catalog.format_type(t.oid, NULL), CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END::int8
    FROM pg_catalog.pg_type AS t LEFT JOIN pg_catalog.pg_class AS c ON c.oid = t.typrelid
    WHERE t.typtype <> 'p' AND t.typisdefined AND (c.oid IS NULL OR c.relkind = 'c')
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_type AS e JOIN pg_catalog.pg_class AS r ON r.oid = e.typrelid
                      WHERE e.oid = t.typelem AND r.relkind <> 'c')
      AND t.typnamespace <> 'information_schema'::regnamespace
      AND t.typname !~ '^(pg_ndistinct|pg_depend|pg_mcv|pg_brin|pg_node)' ORDER BY t.oid
"""


def test_every_type_is_masked_or_refused(server: TestServer) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as connection, connection.transaction(force_rollback=True):
        connection.execute(_MADE)
        types = connection.execute(_TYPES).fetchall()
        without = set() if has_xml(connection) else {"xml", "xml[]"}
        found = {name: kinds_that_work(connection, name, oid) for name, oid in types if name not in without}
    assert len(found) > 130
    assert found["inet"] == found["integer[]"] == found["int4range"] == found["xid8"] == {"nullify", "redact", "sql"}
    assert found["masked_mood"] == found["masked_pair"] == found["masked_span"] == {"nullify", "sql"}
    assert found["masked_word"] == found["text"]
    assert found["text"] == {spec.kind for spec in SPECS} - {"truncate", "noise"}
    assert found["bigint"] >= {"token", "fpe", "noise", "truncate"}
    assert all({"nullify", "sql"} <= kinds for kinds in found.values())
    lacking = {name for name, kinds in found.items() if "redact" not in kinds}
    lacking = {name for name in lacking if not name.startswith(("masked", "reg"))}
    assert lacking <= NULLIFIED, lacking - NULLIFIED


# Of pg_catalog's own use; bit is there with its length only.
NULLIFIED = {
    *("bit", "int2vector", "oidvector", "refcursor", "txid_snapshot", "pg_snapshot", "gtsvector", "aclitem"),
    *(
        "int2vector[]",
        "oidvector[]",
        "refcursor[]",
        "txid_snapshot[]",
        "pg_snapshot[]",
        "cstring[]",
        "gtsvector[]",
        "aclitem[]",
    ),
}


def has_xml(connection: psycopg.Connection[Any]) -> bool:
    """A server may be built without libxml; then nobody can have a value of the type."""
    try:
        with connection.transaction():
            connection.execute("SELECT '<a/>'::xml")
    except psycopg.errors.FeatureNotSupported:
        return False
    return True


def kinds_that_work(connection: psycopg.Connection[Any], type_name: str, oid: int) -> set[str]:
    sample = SAMPLES.get(type_name)
    return {mask.kind for mask in SPECS if works(connection, mask, type_name, oid, sample)}


def works(connection: psycopg.Connection[Any], mask: MaskSpec, type_name: str, oid: int, sample: str | None) -> bool:
    """Whether the mask accepts the type; then its forms must agree, and give a value of the type."""
    try:
        masked, stream = sql_form(mask, oid, type_name, "c", {}), stream_form(mask, oid, type_name)
    except MaskError:
        return False
    # A domain's base type is what a mask gives.
    target = target_of(oid, type_name)
    expected = target.sql_type if target and type_name == "masked_word" else type_name
    for result in (Format.TEXT, Format.BINARY):
        raw, ours, is_typed = fetched(connection, type_name, masked, expected, sample, result)
        assert is_typed in (b"t", b"\x01"), f"{mask.kind} on {type_name} gives another type"
        if raw is None or sample is None:
            continue
        if stream is not None and mask.kind not in ("token", "fpe", "noise", "fake"):
            assert stream.mask(raw, result) == ours, f"{mask.kind} on {type_name}, {result.name}"
    return True


def fetched(
    connection: psycopg.Connection[Any], type_name: str, masked: str, expected: str, sample: str | None, result: Format
) -> tuple[bytes | None, bytes | None, bytes | None]:
    has_send = result is Format.TEXT or type_name not in ("gtsvector", "gtsvector[]", "aclitem", "aclitem[]")
    shown = "c, m" if has_send else "NULL, NULL"
    sql = (
        f"SELECT {shown}, pg_typeof(m) = '{expected}'::regtype FROM (SELECT c, {masked} AS m"
        f" FROM (SELECT CAST($1::text AS {type_name}) AS c OFFSET 0) AS s OFFSET 0) AS t"
    )
    if sample is None:
        sql = sql.replace("CAST($1::text AS", "CAST(NULLIF($1::text, '') AS") if "[]" not in type_name else sql
    parameter = None if sample is None else sample.encode()
    answer = connection.pgconn.exec_params(sql.encode(), [parameter], result_format=result)
    assert answer.status == ExecStatus.TUPLES_OK, f"{type_name}: {answer.error_message.decode()} {sql}"
    first, second, third = (answer.get_value(0, index) for index in range(3))
    return first, second, third


@pytest.mark.parametrize("length", [1, 7, 8, 9, 64])
def test_bits_are_as_many_as_the_column_has(server: TestServer, length: int) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        assert works(connection, spec("redact"), f"bit({length})", 1560, "1" * length)
