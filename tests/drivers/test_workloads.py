"""Where statements come from, as their comments tell, and what records keep of them: through the running product."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest

from tests.fix_pgwarden import MakePgwarden, Pgwarden, policy_text, run_pgwarden
from tests.fix_servers import TestServer

TRUSTED = ("- {user: ada, tenant: acme,", '- {user: ada, speaks_for: ["*@acme.com", "7"], tenant: acme,')

# sam may use cursors.
CURSORS = (
    "roles: [support]}\n    statements: [select]",
    "roles: [support]}\n    statements: [select, cursor, prepare]",
)


def trace() -> str:
    return uuid.uuid4().hex


def comment_of(trace_id: str, user: str) -> str:
    return f"application='shop',route='%2Forders',user='{user}',traceparent='00-{trace_id}-b7ad6b7169203331-01'"


@pytest.fixture(scope="module")
def speaking(server18: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pgwarden]:
    """An instance that believes ada when she speaks for some; with a bind value in each record."""
    policies = policy_text().replace(*TRUSTED).replace(*CURSORS)
    folder = tmp_path_factory.mktemp("speaking")
    with run_pgwarden(folder, server18, policies=policies) as instance:
        yield instance
        assert instance.faults() == []


def said(records: list[dict[str, object]]) -> set[tuple[object, ...]]:
    return {(record["workload"], record["trace_id"], record["end_user"]) for record in records}


@pytest.mark.parametrize("path", ["simple", "extended", "prepared"])
def test_each_statement_is_recorded_as_its_own_comment_says(speaking: Pgwarden, path: str) -> None:
    with psycopg.connect(speaking.dsn("ada", application_name="web"), autocommit=True) as through:
        cursor = psycopg.ClientCursor(through) if path == "simple" else through.cursor()
        number = 9_100_000 + ["simple", "extended", "prepared"].index(path) * 100
        expected = {}
        for place in range(8):
            trace_id, user = trace(), "ana@acme.com" if place % 2 else "eve@globex.com"
            expected[number + place] = ("shop /orders", trace_id, user if place % 2 else "")
            sql = f"SELECT id FROM shop.customers WHERE id = {number + place} /*{comment_of(trace_id, user)}*/"
            assert cursor.execute(sql.encode(), prepare=path == "prepared").fetchall() == []
        cursor.execute(f"SELECT id FROM shop.customers WHERE id = {number + 50}".encode())
    for literal, one in expected.items():
        records = speaking.records_of(f"WHERE id = {literal}")
        assert [record["stage"] for record in records] == ["intent", "outcome"]
        assert said(records) == {one}
        assert records[0]["sql_text"].endswith("-01'*/")
        assert {record["application"] for record in records} == {"web"}
    assert said(speaking.records_of(f"WHERE id = {number + 50}")) == {("web", "", "")}
    shapes = {record["shape"] for record in speaking.records_of(f"WHERE id = {number}"[:-2])}
    assert len(shapes) == 1


def test_a_comment_of_its_own_keeps_no_statement_from_being_known(speaking: Pgwarden) -> None:
    sample = 'pgwarden_plan_cache_total{outcome="shape"}'
    with psycopg.connect(speaking.dsn("ada"), autocommit=True) as through:
        cursor = through.cursor()

        def run(count: int) -> None:
            for _ in range(count):
                comment = comment_of(trace(), "x").replace("%", "%%")
                cursor.execute(f"SELECT id FROM shop.orders WHERE id = %s -- {comment}".encode(), [1])

        run(3)
        before = speaking.metric(sample)
        run(20)
        assert speaking.metric(sample) >= before + 20


def test_what_a_cursor_gives_comes_from_where_its_query_came_from(speaking: Pgwarden) -> None:
    trace_id = trace()
    comment = comment_of(trace_id, "7")
    with psycopg.connect(speaking.dsn("sam"), autocommit=True) as through:
        through.execute("BEGIN")
        through.execute(f"DECLARE said CURSOR FOR SELECT 'said' FROM shop.products /*{comment}*/".encode())
        assert len(through.execute("FETCH 3 FROM said").fetchall()) == 3
        through.execute(f"PREPARE told AS SELECT 'told' /*{comment}*/".encode())
        through.execute("EXECUTE told")
        through.execute("EXECUTE told -- application='other'")
        through.execute("COMMIT")
    for text in ("DECLARE said", "FETCH 3 FROM said", "PREPARE told", "EXECUTE told"):
        first = speaking.records_of(text)[0]
        assert (first["workload"], first["trace_id"]) == ("shop /orders", trace_id), text
    others = [record for record in speaking.records_of("EXECUTE told", 2) if record["workload"] == "other"]
    assert [record["trace_id"] for record in others] == ["", ""]


def test_what_is_refused_says_where_it_comes_from_too(speaking: Pgwarden) -> None:
    trace_id = trace()
    with psycopg.connect(speaking.dsn("ada"), autocommit=True) as through:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            through.execute(f"/*{comment_of(trace_id, '7')}*/ SELECT 'refused 1' FROM shop.salaries".encode())
        with pytest.raises(psycopg.errors.SyntaxError):
            through.execute(f"/*{comment_of(trace_id, '7')}*/ SELEC 'refused 2'".encode())
    for number in (1, 2):
        assert said(speaking.records_of(f"refused {number}")) == {("shop /orders", trace_id, "7")}


def test_nobody_else_is_believed(speaking: Pgwarden) -> None:
    trace_id = trace()
    with psycopg.connect(speaking.dsn("sam"), autocommit=True) as through:
        for number in range(4):
            through.execute(f"SELECT {number} AS unbelieved /*{comment_of(trace_id, 'ana@acme.com')}*/".encode())
    assert said(speaking.records_of("AS unbelieved", 4)) == {("shop /orders", trace_id, "")}


def test_comments_can_not_hide_a_filter(speaking: Pgwarden) -> None:
    """A shape that was learned with one comment is filled with another one."""
    with psycopg.connect(speaking.dsn("ada"), autocommit=True) as through:
        cursor = psycopg.ClientCursor(through)
        ((count,),) = cursor.execute(b"SELECT count(*) FROM shop.customers").fetchall()
        for number in range(8):
            for sql in (
                f"SELECT count(*) FROM shop.customers -- {number} '/* \" $$",
                f"SELECT count(*) FROM /* {number} -- ' $$ */ shop.customers /* \n{number} ; -- */",
                f"/* {number} */ SELECT count(*) FROM shop.customers -- {number}\n WHERE id > 0",
            ):
                assert cursor.execute(sql.encode()).fetchall() == [(count,)]


def test_redacted_records_hold_no_literal(make_pgwarden: MakePgwarden) -> None:
    instance = make_pgwarden(audit={"sql_text": "redacted"})
    with psycopg.connect(instance.dsn("admin"), autocommit=True) as through:
        for number in range(4):
            sql = f"SELECT name FROM shop.products WHERE id = 880011{number} AND name <> 'qz7canary' -- qz8canary"
            assert psycopg.ClientCursor(through).execute(sql.encode()).fetchall() == []
            assert through.execute(f"SELECT 'qz7canary', {number}, %s::text".encode(), ["qz9canary"]).fetchall()
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            through.execute("SELECT 'qz7canary'::int")
    with psycopg.connect(instance.dsn("ada"), autocommit=True) as through:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            through.execute("SELECT 'qz7canary' FROM shop.salaries")
        with pytest.raises(psycopg.Error):
            through.execute("SELECT 1 / (id - id) FROM shop.customers WHERE name <> 'qz7canary'")
    kept = {record["sql_text"] for record in instance.records_of("FROM shop.products WHERE", 4)}
    assert kept == {"SELECT name FROM shop.products WHERE id = ? AND name <> ?", ""}
    assert instance.records_of("SELECT ?, ?, $1::text", 4)
    assert instance.records_of("FROM shop.salaries")
    assert "canary" not in str(instance.records())
    instance.stop()
    for file in (instance.folder / "journal").rglob("*"):
        assert not file.is_file() or b"canary" not in file.read_bytes()


def test_bind_values_are_kept_where_that_is_asked_for(make_pgwarden: MakePgwarden) -> None:
    instance = make_pgwarden(audit={"parameters": True})
    with psycopg.connect(instance.dsn("ada"), autocommit=True) as through:
        for number in range(3):
            cursor = through.cursor(binary=bool(number))
            cursor.execute("SELECT id FROM shop.customers WHERE id = %s AND name <> %s", [number, None], prepare=True)
            cursor.execute("SELECT id FROM shop.customers WHERE id = %b AND 'bound' <> %t", [7, "ä"])
        through.execute("SELECT id FROM shop.orders WHERE id = 5")
    records = instance.records_of("WHERE id = $1 AND name", 3)
    intents = [record["parameters"] for record in records if record["stage"] == "intent"]
    assert intents == [["0", None], ["1", None], ["2", None]]
    assert [record["parameters"] for record in records if record["stage"] == "outcome"] == [[], [], []]
    assert instance.records_of("'bound'", 3)[0]["parameters"] == ["7", "ä"]
    assert instance.records_of("WHERE id = 5")[0]["parameters"] == []


def test_parameters_are_not_kept_beside_redacted_texts(make_pgwarden: MakePgwarden) -> None:
    instance = make_pgwarden(is_started=False, audit={"sql_text": "redacted", "parameters": True})
    with pytest.raises(AssertionError, match="parameters are literals too"):
        instance.start()
