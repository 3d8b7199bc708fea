"""Policies and tables that change while statements are prepared and portals open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from tests.fix_pgwarden import MakePgwarden, Pgwarden, until
from tests.fix_servers import TestServer
from tests.security.canary_shop import connect
from tests.security.raw_client import BINARY, FLUSH, SYNC, RawClient, bind, describe, execute, parse

_CANARY = b"cnryreload"
_OPEN = """
principals:
  - {user: ada, roles: [analyst], auth: {scram: "@ada@"}}
policies:
  - name: analysts
    subjects: {roles: [analyst]}
    statements: [select]
    tables: {allow: ["public.*"]}
"""
_MASKED = _OPEN + "    masks: [{column: public.t.a, mask: {kind: redact}}]\n"
_BLOCKED = _OPEN.replace('["public.*"]', '["public.*"], block: [public.t]')
_ROWS = 40


@contextmanager
def _gateway(make: MakePgwarden, server: TestServer, policies: str) -> Iterator[tuple[Pgwarden, str]]:
    """An instance before a table t(a, b), a full of canaries."""
    dsn = server.dsn(server.empty())
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE t (a text, b text)")
        connection.execute(f"INSERT INTO t SELECT 'cnryreload' || n, 'plain' FROM generate_series(1, {_ROWS}) AS n")
    yield make(server=server, policies=policies, databases={"shop": {"upstream": dsn}}), dsn


def _is_hidden(client: RawClient) -> bool:
    client.seen.clear()
    client.simple("SELECT a FROM public.t")
    return _CANARY not in client.seen


def test_prepared_statements_follow_the_policy(make_pgwarden: MakePgwarden, server18: TestServer) -> None:
    """What was prepared under the open policy is decided anew; so is what a half-read portal's statement gives next."""
    with _gateway(make_pgwarden, server18, _OPEN) as (instance, _), connect(instance.dsn("ada")) as client:
        client.roundtrip(parse("SELECT a, b FROM public.t", "plain"), SYNC)
        client.roundtrip(parse("SELECT upper(a) FROM public.t", "upper"), SYNC)
        with connect(instance.dsn("ada")) as reader, connect(instance.dsn("ada")) as other:
            reader.send(parse("SELECT a FROM public.t"), bind(), execute(limit=2), FLUSH)
            assert len(reader.receive(b"sE").rows) == 2
            assert not _is_hidden(other)
            instance.write_policies(_MASKED)
            until(lambda: _is_hidden(other), "the masked policy")
            _require_hidden(client)
            reader.roundtrip(SYNC)
            reader.seen.clear()
            reader.roundtrip(bind(), execute(), SYNC)
            assert _CANARY not in reader.seen
            instance.write_policies(_BLOCKED)
            until(lambda: bool(other.simple("SELECT b FROM public.t").error), "the blocking policy")
            _require_hidden(client)
            assert client.roundtrip(bind(name="plain"), execute(), SYNC).sqlstate == "42501"


def _require_hidden(client: RawClient) -> None:
    client.seen.clear()
    for name in ("plain", "upper"):
        client.roundtrip(bind(name=name), execute(), SYNC)
        client.roundtrip(bind(name=name, result=BINARY), execute(limit=3), execute(), SYNC)
    assert _CANARY not in client.seen.lower()


def test_cursors_and_sql_prepared_statements_end_with_their_policy(
    make_pgwarden: MakePgwarden, server18: TestServer
) -> None:
    """The server would go on with the rows and plans of the open policy: no name leads to them any more."""
    granted = "statements: [select, cursor, prepare]"
    before, after = (text.replace("statements: [select]", granted) for text in (_OPEN, _MASKED))
    with _gateway(make_pgwarden, server18, before) as (instance, _), connect(instance.dsn("ada")) as client:
        client.roundtrip(parse("FETCH 2 FROM held", "fetch"), parse("EXECUTE q", "execute"), SYNC)
        for text in ("PREPARE q AS SELECT a FROM t", "BEGIN", "DECLARE held CURSOR WITH HOLD FOR SELECT a FROM t"):
            assert not client.simple(text).error
        client.simple("COMMIT")
        assert len(client.simple("FETCH 2 FROM held").rows) == 2
        assert len(client.simple("EXECUTE q").rows) == _ROWS
        instance.write_policies(after)
        with connect(instance.dsn("ada")) as other:
            until(lambda: _is_hidden(other), "the masked policy")
        client.seen.clear()
        fetched, executed = client.simple("FETCH ALL FROM held"), client.simple("EXECUTE q")
        for name in ("fetch", "execute"):
            assert client.roundtrip(bind(name=name, result=BINARY), execute(), SYNC).error
        assert client.roundtrip(bind(name="q"), execute(), SYNC).rows == []
        assert client.roundtrip(execute("held"), SYNC).rows == []
        assert (fetched.sqlstate, executed.sqlstate) == ("40001", "0A000")
        assert _CANARY not in client.seen
        for text in ("CLOSE held", "DEALLOCATE q", "PREPARE q AS SELECT a FROM t"):
            assert not client.simple(text).error
        assert len(client.simple("EXECUTE q").rows) == _ROWS
        assert _CANARY not in client.seen


_ASKING = (
    "SELECT a, b FROM public.t",
    "SELECT * FROM public.t",
    "SELECT t FROM public.t",
    "SELECT lower(a) FROM public.t",
)


def _ask_all(client: RawClient) -> None:
    for text in _ASKING:
        client.simple(text)
        client.extended(text, result=BINARY)
    client.roundtrip(bind(name="s"), execute(), SYNC)


def test_columns_swapped_under_a_prepared_statement(make_pgwarden: MakePgwarden, server18: TestServer) -> None:
    """The rename goes past the proxy; the plain output of the column that held secrets stays masked."""
    with _gateway(make_pgwarden, server18, _MASKED) as (instance, dsn), connect(instance.dsn("ada")) as client:
        client.roundtrip(parse("SELECT a, b FROM public.t", "s"), SYNC)
        with psycopg.connect(dsn, autocommit=True) as admin:
            admin.execute("ALTER TABLE t RENAME a TO x")
            admin.execute("ALTER TABLE t RENAME b TO a")
        client.seen.clear()
        _ask_all(client)
        assert _CANARY not in client.seen


def test_a_table_replaced_behind_the_proxy(make_pgwarden: MakePgwarden, server18: TestServer) -> None:
    """Another OID, other column numbers: what can't be matched isn't given out."""
    with _gateway(make_pgwarden, server18, _MASKED) as (instance, dsn), connect(instance.dsn("ada")) as client:
        client.roundtrip(parse("SELECT a, b FROM public.t", "s"), SYNC)
        with psycopg.connect(dsn, autocommit=True) as admin:
            admin.execute("DROP TABLE t")
            admin.execute("CREATE TABLE t (n int, b text, a text)")
            admin.execute("INSERT INTO t VALUES (1, 'plain', 'cnryreload')")
        client.seen.clear()
        _ask_all(client)
        assert _CANARY not in client.seen


_BY_NAME = _OPEN.replace("[select]", "[select, cursor, prepare]")
_BY_NAME_MASKED = _MASKED.replace("[select]", "[select, cursor, prepare]")


def test_what_stands_under_a_name_follows_the_policy(make_pgwarden: MakePgwarden, server: TestServer) -> None:
    """Cursors, SQL's prepared statements and portals: read in the new policy's way or not at all."""
    with (
        _gateway(make_pgwarden, server, _BY_NAME) as (instance, _),
        connect(instance.dsn("ada")) as other,
        connect(instance.dsn("ada")) as client,
        connect(instance.dsn("ada")) as reader,
    ):
        for text in (
            "DECLARE held CURSOR WITH HOLD FOR SELECT a FROM public.t",
            "PREPARE p AS SELECT a FROM public.t",
            "BEGIN",
            "DECLARE c CURSOR FOR SELECT a FROM public.t",
            "DECLARE b CURSOR FOR SELECT 'plain'",
        ):
            client.simple(text)
        assert _CANARY in (client.simple("FETCH 1 FROM c").rows[0][0] or b"")
        reader.simple("BEGIN")
        reader.roundtrip(parse("SELECT a FROM public.t"), bind(portal="p"), execute("p", 2), SYNC)
        assert not _is_hidden(other)
        instance.write_policies(_BY_NAME_MASKED)
        until(lambda: _is_hidden(other), "the masked policy")
        client.seen.clear()
        reader.seen.clear()
        assert client.simple("FETCH 1 FROM b").rows == [(b"plain",)]  # decided anew, it is the same
        assert client.simple("FETCH 1 FROM c").sqlstate == "40001"
        client.simple("ROLLBACK")
        assert client.simple("FETCH 1 FROM held").sqlstate == "40001"
        assert client.roundtrip(describe(b"P", "held"), execute("held"), SYNC).sqlstate == "0A000"
        assert client.simple("EXECUTE p").sqlstate == "0A000"
        assert client.roundtrip(bind(name="p"), execute(), SYNC).sqlstate == "0A000"
        client.simple("DEALLOCATE p; PREPARE p AS SELECT a FROM public.t")
        assert len(client.simple("EXECUTE p").rows) == _ROWS
        assert reader.roundtrip(execute("p", 2), SYNC).sqlstate == "40001"
        reader.simple("ROLLBACK")
        assert _CANARY not in client.seen + reader.seen


_EVERYTHING = _OPEN.replace("[select]", "[all]").replace('["public.*"]', '["*.*"]') + '    functions: {allow: ["*"]}\n'


def test_an_open_session_that_left_its_mark_ends_when_it_is_narrowed(
    make_pgwarden: MakePgwarden, server18: TestServer
) -> None:
    """What only names tracks goes on; settings and what the server alone knows can't."""
    with (
        _gateway(make_pgwarden, server18, _EVERYTHING) as (instance, _),
        connect(instance.dsn("ada")) as other,
        connect(instance.dsn("ada")) as plain,
        connect(instance.dsn("ada")) as setting,
        connect(instance.dsn("ada")) as encoding,
    ):
        plain.roundtrip(parse("SELECT a FROM public.t", "s"), SYNC)
        assert plain.simple("SELECT 1").rows == [(b"1",)]
        setting.simple("SET work_mem TO '1MB'")
        encoding.simple("SET client_encoding TO latin1")
        instance.write_policies(_MASKED)
        until(lambda: _is_hidden(other), "the masked policy")
        assert plain.roundtrip(bind(name="s"), execute(), SYNC).sqlstate == ""
        for client in (setting, encoding):
            assert client.roundtrip(parse("SELECT a FROM public.t"), bind(), execute(), SYNC).sqlstate == "57P01"
        assert _CANARY not in plain.seen + setting.seen + encoding.seen


def test_a_policy_that_narrows_in_the_middle_of_a_pipeline(make_pgwarden: MakePgwarden, server18: TestServer) -> None:
    """Statements that are on their way end as they began; what comes behind them is decided under the new policy."""
    with (
        _gateway(make_pgwarden, server18, _OPEN) as (instance, _),
        connect(instance.dsn("ada")) as other,
        connect(instance.dsn("ada")) as client,
    ):
        client.send(parse("SELECT a FROM public.t", "s"), bind(name="s"), execute(limit=1), FLUSH)
        client.receive(b"s")
        assert not _is_hidden(other)
        instance.write_policies(_BLOCKED)
        until(lambda: _is_hidden(other), "the blocking policy")
        client.seen.clear()
        assert client.roundtrip(bind(name="s"), execute(), SYNC).sqlstate == "42501"
        assert client.roundtrip(bind(name="s"), execute(), SYNC).sqlstate == "42501"
        assert _CANARY not in client.seen
