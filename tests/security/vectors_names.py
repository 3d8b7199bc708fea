"""Names that mean something else than was decided: by length, by errors on the way, by SQL and the protocol in turn."""

# fmt: off

from __future__ import annotations

from tests.security.raw_client import SYNC, Answer, RawClient, bind, close, describe, execute, parse, query
from tests.security.vector import CLEAN, SAME, UNPROVEN, Ask, Defence, Vector

MASKED = "SELECT id, ssn, email, pin, phone FROM shop.customers ORDER BY id"
PLAIN = "SELECT id, name, parent, 'a', 5 FROM shop.regions ORDER BY id"
LONG = "n" * 63
P = Defence.PROTOCOL


def _at_once(*frames: bytes) -> Ask:
    """All frames in one write; as many answers as there are ReadyForQuery."""

    def ask(client: RawClient) -> list[Answer]:
        client.send(*frames)
        ready = sum(1 for one in frames for kind in _kinds(one) if kind in b"QS")
        return [client.receive() for _ in range(ready)]

    return ask


def _kinds(frames: bytes) -> list[int]:
    kinds, at = [], 0
    while at < len(frames):
        kinds.append(frames[at])
        at += 1 + int.from_bytes(frames[at + 1 : at + 5], "big")
    return kinds


def _last(*frames: bytes) -> Ask:
    """As `_at_once`; the last answer alone."""

    def ask(client: RawClient) -> list[Answer]:
        return _at_once(*frames)(client)[-1:]

    return ask


REVIVED = (
    query("BEGIN"), parse(MASKED, "s"), bind(name="s", portal="p"), SYNC, query("SAVEPOINT x"),
    parse("SELECT 1/0"), bind(), execute(), close(b"P", "p"), SYNC, query("ROLLBACK TO x"),
    query(f"DECLARE p CURSOR FOR {PLAIN}"), query("ROLLBACK TO x"),
)

NAMES = (
    Vector("statement_names_beyond_63_bytes", P, CLEAN, _at_once(
        parse(MASKED, LONG + "a"), SYNC, close(b"S", LONG + "b"), parse(MASKED, LONG + "c"), SYNC,
        bind(name=LONG + "a"), execute(), SYNC)),
    Vector("plain_statement_replaced_by_a_longer_name", Defence.STREAM, SAME, _at_once(
        parse(PLAIN, LONG + "a"), SYNC, close(b"S", LONG + "b"), parse(MASKED, LONG + "c"), SYNC,
        bind(name=LONG + "a"), describe(), execute(), SYNC)),
    Vector("portal_names_beyond_63_bytes", Defence.STREAM, SAME, _at_once(
        query("BEGIN"), parse(PLAIN), bind(portal=LONG + "a"), close(b"P", LONG + "b"), parse(MASKED),
        bind(portal=LONG + "c"), describe(b"P", LONG + "a"), execute(LONG + "a"), SYNC, query("ROLLBACK"))),
    Vector("fetch_from_a_raw_portal", P, UNPROVEN, _last(
        query("BEGIN"), parse(MASKED), bind(portal="p"), SYNC, query("FETCH ALL FROM p")), user="wes"),
    Vector("execute_of_a_raw_statement", P, UNPROVEN, _last(
        parse(MASKED, "s"), SYNC, query("EXECUTE s")), user="wes"),
    Vector("fetch_from_a_raw_portal_that_a_savepoint_revived", P, CLEAN, _at_once(
        *REVIVED, query("FETCH ALL FROM p"), query("ROLLBACK")), user="wes"),
    Vector("execute_of_a_raw_statement_that_a_failed_prepare_left", P, CLEAN, _at_once(
        parse(MASKED, "s"), SYNC, query(f"PREPARE s AS {PLAIN}"), query("EXECUTE s")), user="wes"),
    Vector("execute_of_a_raw_statement_that_a_skipped_close_left", P, CLEAN, _at_once(
        parse(MASKED, "s"), SYNC, parse("SELECT 1/0"), bind(), execute(), close(b"S", "s"), SYNC,
        query(f"PREPARE s AS {PLAIN}"), query("EXECUTE s")), user="wes"),
    Vector("bind_to_what_sql_prepared", Defence.SOURCE, SAME, _at_once(
        query(f"PREPARE s AS {MASKED}"), bind(name="s"), describe(), execute(), SYNC, query("DEALLOCATE s")),
        user="wes"),
    Vector("execute_what_sql_declared", Defence.SOURCE, SAME, _at_once(
        query("BEGIN"), query(f"DECLARE p CURSOR FOR {MASKED}"), describe(b"P", "p"), execute("p", 3), SYNC,
        query("ROLLBACK")), user="wes"),
    Vector("search_path_in_a_pipeline_that_fails", Defence.RELATIONS, SAME, _at_once(
        query("SET search_path TO shop"), query("BEGIN; SET LOCAL search_path TO public; SELECT 1/0"),
        query("ROLLBACK"), query("SELECT id, ssn FROM customers ORDER BY id"))),
)
