"""Ways around the text of a statement: order and kind of messages, several statements, limits, odd bytes."""

# ruff: noqa: E501 - a statement reads best on one line
# fmt: off

from __future__ import annotations

import struct

from tests.security.raw_client import (
    BINARY,
    FLUSH,
    SYNC,
    TEXT,
    Answer,
    RawClient,
    bind,
    close,
    describe,
    execute,
    frame,
    parse,
    query,
    string,
)
from tests.security.vector import CLEAN, DENIED, NO_TABLE, SAME, Ask, Defence, Refused, Vector

MASKED = "SELECT id, ssn, email, pin, phone FROM shop.customers ORDER BY id"
STAR = "SELECT * FROM shop.customers"
OPEN = "SELECT id, name, parent, 'a', 5 FROM shop.regions ORDER BY id"
HIDDEN = "SELECT * FROM shop.salaries"
P, N = Defence.PROTOCOL, Defence.PARSE


def _run(*groups: tuple[bytes, ...]) -> Ask:
    """Each group is sent at once and answered to its ReadyForQuery."""

    def ask(client: RawClient) -> list[Answer]:
        return [client.roundtrip(*group) for group in groups]

    return ask


def _texts(*texts: str | bytes) -> Ask:
    return _run(*((query(text),) for text in texts))


def _extended(sql: str, *parameters: bytes | None, types: tuple[int, ...] = ()) -> Ask:
    return _run((parse(sql, types=types), bind(tuple(parameters)), describe(), execute(), SYNC))


def _portal_in_parts(client: RawClient) -> list[Answer]:
    """A portal lives until its transaction ends, so the parts come before Sync."""
    client.send(parse(MASKED), bind(result=BINARY), describe(), execute(limit=5), FLUSH)
    answers = [client.receive(b"sE")]
    client.send(execute(limit=7), FLUSH)
    answers.append(client.receive(b"sE"))
    return [*answers, client.roundtrip(execute(), SYNC)]


def _described_late(client: RawClient) -> list[Answer]:
    client.send(parse(MASKED), bind(), execute(limit=2), FLUSH)
    first = client.receive(b"sE")
    return [first, client.roundtrip(describe(), execute(), SYNC)]


def _notified(client: RawClient) -> list[Answer]:
    """LISTEN is refused under this policy, so nothing may arrive."""
    return [client.simple("LISTEN canaries"), client.simple("SELECT 1"), client.simple("UNLISTEN *")]


def _broken_off(kind: bytes, body: bytes) -> Ask:
    """A message that doesn't belong here; the connection may end."""

    def ask(client: RawClient) -> list[Answer]:
        client.send(frame(kind, body), SYNC)
        return [client.receive()]

    return ask


def _nested(depth: int, opening: str, inner: str, closing: str) -> Ask:
    return _texts(opening * depth + inner + closing * depth)


SEVERAL = (
    Vector("two_statements", P, SAME, _texts(f"{MASKED}; {OPEN}; SELECT upper(ssn) FROM shop.customers")),
    Vector("second_statement_refused", P, DENIED, _texts(f"{OPEN}; {HIDDEN}")),
    Vector("second_statement_after_comment", P, DENIED, _texts(f"SELECT 1 -- ;\n;/* ; */{HIDDEN}")),
    Vector("statement_in_dollar_quotes", P, SAME, _texts(f"SELECT $a$; {HIDDEN}; $b$ $a$, $$ ' $$")),
    Vector("statement_after_dollar_quotes", P, DENIED, _texts(f"SELECT $$x$$; {HIDDEN} --$$")),
    Vector("statement_after_escaped_quote", P, DENIED, _texts(f"SELECT E'\\''; {HIDDEN} --'")),
    Vector("backslash_before_quote", P, DENIED, _texts(f"SELECT '\\'; {HIDDEN} --'")),
    Vector("strings_off_in_same_text", Defence.SETTINGS, DENIED, _texts(f"SET standard_conforming_strings = off; SELECT '\\'; {HIDDEN}")),
    Vector("two_statements_in_parse", P, Refused(("42601", "0A000", "42501")), _extended(f"{OPEN}; {HIDDEN}")),
    Vector("refused_in_transaction", P, CLEAN, _texts("BEGIN", MASKED, HIDDEN, MASKED, "ROLLBACK", MASKED)),
    Vector("savepoint_after_refusal", P, SAME, _texts("BEGIN", "SAVEPOINT a", "SELECT 1/0", "ROLLBACK TO a", STAR, "COMMIT")),
    Vector("empty_and_comment_texts", P, SAME, _texts("", ";", "-- nothing", "/* ; */")),
    Vector("path_to_other_schema", Defence.SETTINGS, DENIED, _texts("SET search_path = vault", "SELECT * FROM customers")),
    Vector("path_rolled_back", Defence.SETTINGS, SAME,
           _texts("SELECT 1", "SET search_path = shop, public", "SELECT id, email FROM customers ORDER BY id")),
    Vector("path_in_transaction", Defence.SETTINGS, CLEAN,
           _texts("BEGIN", "SET search_path = vault", "SELECT * FROM customers", "ROLLBACK", "SELECT ssn FROM customers")),
    Vector("path_committed", Defence.SETTINGS, CLEAN,
           _texts("BEGIN", "SET search_path = vault", "COMMIT", "SELECT * FROM secrets", "SELECT email FROM customers")),
    Vector("path_after_failed_commit", Defence.SETTINGS, CLEAN,
           _texts("BEGIN", "SET search_path = vault", "SELECT 1/0", "COMMIT", "SELECT email FROM customers")),
    Vector("path_released_savepoint", Defence.SETTINGS, CLEAN,
           _texts("BEGIN", "SAVEPOINT a", "SET search_path = vault", "ROLLBACK TO a", "SELECT email FROM customers", "COMMIT")),
    Vector("path_in_same_text", Defence.SETTINGS, DENIED, _texts("SET search_path = vault; SELECT * FROM customers")),
    Vector("path_in_pipeline", Defence.SETTINGS, CLEAN,
           _run((parse("SET search_path = vault"), bind(), execute(), parse("SELECT * FROM customers"), bind(), execute(), SYNC))),
    Vector("path_of_prepared_statement", Defence.SETTINGS, CLEAN,
           _run((parse("SELECT * FROM customers", "s"), SYNC), (query("SET search_path = vault"),),
                (bind(name="s"), describe(), execute(), SYNC))),
    Vector("discard_all", Defence.SETTINGS, CLEAN, _texts("SET search_path = vault", "DISCARD ALL", "SELECT ssn, email FROM customers")),
    Vector("reset_all", Defence.SETTINGS, CLEAN, _texts("SET TimeZone = 'Asia/Tokyo'", "RESET ALL", STAR)),
    Vector("set_timezone", Defence.SETTINGS, SAME, _texts("SET TimeZone = 'Asia/Tokyo'", "SELECT seen_at, birth_date FROM shop.customers")),
    Vector("set_float_digits", Defence.SETTINGS, SAME, _texts("SET extra_float_digits = -15", "SELECT rating, credit_limit FROM shop.customers")),
)

MESSAGES = (
    Vector("mixed_formats", Defence.STREAM, SAME,
           _run((parse(MASKED), bind(result=(TEXT, BINARY, TEXT, BINARY, BINARY)), describe(), execute(), SYNC))),
    Vector("execute_without_describe", Defence.STREAM, SAME, _run((parse(MASKED), bind(result=BINARY), execute(), SYNC))),
    Vector("portal_in_parts", Defence.STREAM, SAME, _portal_in_parts),
    Vector("portal_described_late", Defence.STREAM, SAME, _described_late),
    Vector("statement_described_only", P, SAME, _run((parse(MASKED), describe(b"S"), SYNC))),
    Vector("refused_statement_described", P, DENIED, _run((parse(HIDDEN), describe(b"S"), SYNC))),
    Vector("named_statement_twice", Defence.STREAM, SAME,
           _run((parse(MASKED, "s"), bind(name="s"), execute(), SYNC), (bind(name="s", result=BINARY), execute(), SYNC))),
    Vector("named_statement_taken", Defence.STREAM, CLEAN,
           _run((parse(MASKED, "s"), SYNC), (parse(OPEN, "s"), SYNC), (bind(name="s"), execute(), SYNC))),
    Vector("named_statement_taken_in_pipeline", Defence.STREAM, CLEAN,
           _run((parse(MASKED, "s"), SYNC, parse(OPEN, "s"), SYNC, bind(name="s"), execute(), SYNC))),
    Vector("named_statement_replaced", Defence.STREAM, CLEAN,
           _run((parse(OPEN, "s"), SYNC), (close(b"S", "s"), parse(MASKED, "s"), bind(name="s"), execute(), SYNC))),
    Vector("refused_under_known_name", P, CLEAN,
           _run((parse(OPEN, "s"), SYNC), (parse(HIDDEN, "s"), SYNC), (bind(name="s"), execute(), SYNC))),
    Vector("failed_parse_keeps_old_statement", P, CLEAN,
           _run((parse(MASKED, "s"), SYNC), (parse("SELEC 1", "s"), SYNC), (bind(name="s"), execute(), SYNC))),
    Vector("portal_name_taken", Defence.STREAM, CLEAN,
           _run((query("BEGIN"),),
                (parse(MASKED, "a"), parse(OPEN, "b"), bind(name="a", portal="p"), SYNC),
                (bind(name="b", portal="p"), SYNC), (execute("p"), SYNC))),
    Vector("two_portals_interleaved", Defence.STREAM, SAME,
           _run((query("BEGIN"),),
                (parse(MASKED, "a"), parse(OPEN, "b"), bind(name="a", portal="p"), bind(name="b", portal="q"),
                 execute("p", 2), execute("q", 2), execute("p", 2), execute("q"), execute("p"), SYNC))),
    Vector("portal_after_statement_closed", Defence.STREAM, CLEAN,
           _run((query("BEGIN"),),
                (parse(MASKED, "a"), bind(name="a", portal="p"), close(b"S", "a"), parse(OPEN, "a"), execute("p"), SYNC))),
    Vector("unnamed_statement_after_query", Defence.STREAM, CLEAN,
           _run((parse(MASKED), SYNC), (query(OPEN),), (bind(), execute(), SYNC))),
    Vector("unnamed_statement_replaced", Defence.STREAM, SAME,
           _run((parse(OPEN), parse(MASKED), bind(), execute(), SYNC), (parse(MASKED), parse(OPEN), bind(), execute(), SYNC))),
    Vector("refusal_in_pipeline", P, CLEAN,
           _run((parse(MASKED), bind(), execute(), parse(HIDDEN), bind(), execute(), parse(STAR), bind(), execute(), SYNC))),
    Vector("bind_without_parse", P, Refused(("26000",)), _run((bind(name="nothing"), execute(), SYNC))),
    Vector("execute_without_bind", P, Refused(("34000",)), _run((execute("nothing"), SYNC))),
    Vector("sql_prepared_statement_bound", P, CLEAN,
           _run((query(f"PREPARE s AS {HIDDEN}"),), (bind(name="s"), execute(), SYNC))),
    Vector("cursor_as_portal", P, CLEAN,
           _run((query("BEGIN"),), (query(f"DECLARE c CURSOR FOR {HIDDEN}"),), (execute("c"), SYNC))),
    Vector("function_call_message", P, CLEAN, _broken_off(b"F", struct.pack("!IhhhiIh", 3458, 1, 1, 1, 4, 424242, 1))),
    Vector("copy_data_out_of_place", P, CLEAN, _broken_off(b"d", b"x")),
    Vector("copy_done_out_of_place", P, CLEAN, _broken_off(b"c", b"")),
    Vector("password_out_of_place", P, CLEAN, _broken_off(b"p", string("secret"))),
    Vector("unknown_message", P, CLEAN, _broken_off(b"Y", b"abc")),
    Vector("startup_inside_session", P, CLEAN, _broken_off(b"\0", struct.pack("!i", 80877103))),
    Vector("query_without_end", P, CLEAN, _broken_off(b"Q", b"SELECT * FROM shop.salaries")),
    Vector("parse_with_rest", P, CLEAN, _broken_off(b"P", b"\0SELECT 1\0\0\0SELECT * FROM shop.salaries\0")),
    Vector("listen_hears_nothing", Defence.STATEMENTS, CLEAN, _notified),
)

PARAMETERS = (
    Vector("parameters_without_space", P, SAME,
           _extended("SELECT $1,$2,ssn FROM shop.customers", b"1", b"2", types=(25, 25))),
    Vector("parameters_as_dollar_quote", P, Refused(("42501",)),
           _extended("SELECT $1,$2 FROM shop.salaries -- $1,$", b"1", b"2", types=(25, 25))),
    Vector("parameter_guess", Defence.SOURCE, SAME, _extended("SELECT id FROM shop.customers WHERE pin > $1", b"5")),
    Vector("parameter_divides", Defence.FENCE, SAME,
           _extended("SELECT id FROM shop.orders WHERE 1 / (tenant_id - $1) < 5", b"2")),
    Vector("parameter_as_pattern", Defence.FENCE, SAME,
           _extended("SELECT id FROM shop.customers WHERE name LIKE $1", b"cnry%\\")),
    Vector("parameter_of_row_type", Defence.GUARD, CLEAN, _extended("SELECT ($1::shop.salaries).person", None)),
    Vector("parameter_as_regclass", Defence.CATALOGS, CLEAN, _extended("SELECT pg_get_viewdef($1::regclass)", b"shop.payroll")),
    Vector("parameter_as_setting", Defence.SETTINGS, CLEAN, _extended("SELECT current_setting($1)", b"data_directory")),
    Vector("parameter_in_limit", Defence.GUARD, SAME, _extended("SELECT id FROM shop.orders ORDER BY id LIMIT $1", b"100")),
)

SIZES = (
    Vector("parentheses_10000_deep", N, CLEAN, _nested(10_000, "(", "SELECT ssn FROM shop.customers", ")")),
    Vector("subqueries_10000_deep", N, CLEAN, _nested(10_000, "SELECT * FROM (", "SELECT ssn FROM shop.salaries", ") AS q")),
    Vector("arrays_5000_deep", N, CLEAN, _nested(5_000, "SELECT ARRAY[(", "SELECT 1", ")]")),
    Vector("case_2000_deep", N, CLEAN, _texts("SELECT " + "CASE WHEN true THEN " * 2_000 + "ssn" + " END" * 2_000 + " FROM shop.customers")),
    Vector("concatenations_5000", N, CLEAN, _texts("SELECT " + " || ".join(["ssn"] * 5_000) + " FROM shop.customers")),
    Vector("not_10000", N, CLEAN, _texts("SELECT id FROM shop.customers WHERE " + "NOT " * 10_000 + "(ssn = 'x')")),
    Vector("unions_1000", N, CLEAN, _texts(" UNION ALL ".join(["SELECT ssn FROM shop.customers"] * 1_000))),
    Vector("in_list_20000", N, SAME, _texts(f"SELECT id FROM shop.customers WHERE pin IN ({', '.join(map(str, range(20_000)))})")),
    Vector("targets_1600", N, SAME, _texts("SELECT " + ", ".join(["ssn"] * 1_600) + " FROM shop.customers WHERE id = 1")),
    Vector("text_5_mb", N, CLEAN, _texts(f"SELECT ssn, '{'x' * 5_000_000}' FROM shop.salaries")),
    Vector("comment_3_mb", N, CLEAN, _texts(f"/*{'x' * 3_000_000}*/ SELECT ssn FROM shop.customers")),
    Vector("nested_comments_10000", N, CLEAN, _texts("/*" * 10_000 + "*/" * 10_000 + MASKED)),
    Vector("nul_byte", N, CLEAN, _broken_off(b"Q", b"SELECT 1\0; SELECT * FROM shop.salaries\0")),
    Vector("nul_byte_in_parse", N, CLEAN, _broken_off(b"P", b"\0SELECT 1\0SELECT * FROM shop.salaries\0\0\0")),
    Vector("invalid_utf8", N, CLEAN, _texts(b"SELECT '\xbf\x5c'; SELECT * FROM shop.salaries --'")),
    Vector("invalid_utf8_name", N, CLEAN, _texts(b"SELECT * FROM shop.\xe5\xff")),
    Vector("surrogate_utf8", N, CLEAN, _texts(b"SELECT ssn AS \"\xed\xa0\x80\" FROM shop.customers")),
    Vector("non_breaking_space", N, NO_TABLE, _texts("SELECT * FROM shop.customers\u00a0")),
    Vector("turkish_capitals", N, Refused(("42",)), _texts("SELECT P\u0130N FROM shop.customers")),
    Vector("mask_name_in_quotes", N, SAME, _texts('SELECT ssn AS "a""b", email AS "" FROM shop.customers'.replace('""', '""""').replace('AS """"', 'AS "z"'))),
    Vector("multibyte_before_table", N, SAME, _texts("SELECT 'żółć 😀' AS \"😀\", ssn FROM/*é*/shop.customers")),
    Vector("carriage_returns", N, SAME, _texts("SELECT\rssn\r\nFROM\x0cshop.customers--x\rWHERE false")),
)
