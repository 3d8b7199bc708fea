"""Under the allow-everything policy bytes pass unchanged, whatever they mean: encodings and quoting of the client's."""

from __future__ import annotations

import pytest

from tests.faults.test_bad_messages import exchange
from tests.fix_pgwarden import Pgwarden
from tests.security.canary_shop import connect
from tests.security.raw_client import SYNC, bind, describe, execute, parse, query

TEXTS: dict[str, tuple[str, bytes]] = {
    "latin 1": ("SET client_encoding TO latin1", b"SELECT 'caf\xe9' AS \"\xe9\", length('caf\xe9')"),
    "euc_jp": ("SET client_encoding TO euc_jp", b"SELECT '\xc6\xfc\xcb\xdc', length('\xc6\xfc\xcb\xdc')"),
    "shift jis, with a backslash's byte": ("SET client_encoding TO sjis", b"SELECT '\x95\x5c', length('\x95\x5c')"),
    "gbk, with a quote-like tail": ("SET client_encoding TO gbk", b"SELECT '\xbf\x5c', length('\xbf\x5c')"),
    "sql_ascii": ("SET client_encoding TO sql_ascii", "SELECT 'caf\u00e9', length('caf\u00e9')".encode()),
    "sql_ascii, not utf-8": ("SET client_encoding TO sql_ascii", b"SELECT 'caf\xe9'"),
    "backslashes": ("SET standard_conforming_strings TO off", rb"SELECT 'a\'b; SELECT 2 --', 'c\\'"),
    "other dates": ("SET DateStyle TO german", b"SELECT date '2024-02-03', '3.2.2024'::date"),
    "other numbers": (
        "SET extra_float_digits TO -15; SET bytea_output TO escape",
        rb"SELECT 1.5::float8 / 3, '\xff'::bytea",
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_bytes_pass(pgwarden: Pgwarden, name: str) -> None:
    setting, text = TEXTS[name]
    sent = (
        query(setting),
        query(text),
        *(parse(text, "s"), describe(b"S", "s"), bind(name="s"), execute(), SYNC),
        *(bind(name="s", result=1), execute(), SYNC),
        query(b"PREPARE p AS " + text),
        query("EXECUTE p"),
        query(text + b"x"),
    )
    assert exchange(pgwarden.dsn(), sent) == exchange(pgwarden.direct_dsn, sent)


def test_an_encoding_from_the_startup_packet(pgwarden: Pgwarden) -> None:
    with connect(pgwarden.dsn(), {"client_encoding": "latin1", "application_name": "encoded"}) as client:
        assert client.simple(b"SELECT 'caf\xe9'").rows == [(b"caf\xe9",)]
        assert client.extended(b"SELECT $1 || '\xe8'", (b"\xe9",)).rows == [(b"\xe9\xe8",)]


def test_a_record_keeps_what_can_be_read(pgwarden: Pgwarden) -> None:
    with connect(pgwarden.dsn(), {"client_encoding": "latin1"}) as client:
        client.simple(b"SELECT 'kept caf\xe9'")
    found = pgwarden.records_of("kept caf")
    assert found[0]["sql_text"] == "SELECT 'kept caf\ufffd'"


def test_elsewhere_the_encoding_is_pinned(pgwarden: Pgwarden) -> None:
    with connect(pgwarden.dsn("ada")) as client:
        assert client.simple("SET client_encoding TO latin1").sqlstate == "42501"
        assert client.simple("SET standard_conforming_strings TO off").sqlstate == "42501"
        assert client.simple("SELECT 'caf\u00e9'").rows == [("caf\u00e9".encode(),)]
