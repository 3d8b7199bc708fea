"""What tools' comments say, as the tools write them; whatever else stands in a comment says nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.compile.comments import comments_of
from proxy.session.origin import NOWHERE, Origin, origin_of

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


def origin(sql: str) -> Origin:
    return origin_of(comments_of(sql))


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1", NOWHERE),
        ("SELECT 1 /* hello */", NOWHERE),
        (
            f"SELECT 1 /*application='shop',controller='polls',action='list',traceparent='{PARENT}'*/",
            Origin("shop polls#list", "", TRACE),
        ),
        (
            f"SELECT 1 /*db_driver='django',framework='django%3A4',route='%2Fpolls%2F1',traceparent='{PARENT}',"
            "tracestate='congo%3Dt61'*/;",
            Origin("django:4 /polls/1", "", TRACE),
        ),
        (f"SELECT 1 -- traceparent = '{PARENT}'", Origin("", "", TRACE)),
        ("SELECT 1 /*application='shop',traceparent=''*/", Origin("shop")),
        ("SELECT 1 /*application='shop',traceparent='00-12-34-01'*/", Origin("shop")),
        ("SELECT 1 /*application='it\\'s'*/", Origin("it's")),
        ("SELECT 1 /*enduser.id='grace%40acme',application='a'*/", Origin("a", "grace@acme")),
        (f"SELECT 1 /*see traceparent='{PARENT}'*/", NOWHERE),
        (f"/*traceparent='{PARENT}'*/ SELECT 1 /*application='a'*/", Origin("a", "", TRACE)),
        (
            '/* {"app": "dbt", "dbt_version": "1.8.3", "profile_name": "shop", "node_id": "model.shop.orders"} */\n'
            "create table x as select 1",
            Origin("dbt model.shop.orders"),
        ),
        ('/* {"app": "dbt", "user": true, "node_id": ["x"]} */ SELECT 1', Origin("dbt")),
        ("-- Metabase:: userID: 7 queryType: native queryHash: 0123456789abcdef0\nSELECT 1",
         Origin("metabase 0123456789ab", "7")),
        ("-- Metabase\nSELECT 1", NOWHERE),
        ("""SELECT 1 -- Looker Query Context '{"user_id":12,"history_slug":"ab12","instance_slug":"x"}'""",
         Origin("looker ab12", "12")),
        ("/* Username: ana@acme.com, Query ID: 41, Queue: queries, Job ID: 7, Query Hash: ff */ SELECT 1",
         Origin("redash 41", "ana@acme.com")),
        ("SELECT 1 /*application='a'*/ FROM t", NOWHERE),
        ("SELECT '/*application=''a''*/'", NOWHERE),
        ("SELECT 'x -- Metabase:: userID: 7'", NOWHERE),
        ("SELECT E'\\' /* */' -- Metabase:: userID: 7", Origin("metabase", "7")),
        ("SELECT $$ $$ /*application='a'*/ ; ; -- b", Origin("a")),
        ("/*application='a'*/", Origin("a")),
        ("-- Metabase:: userID: 7\nSELEC T FROM '", Origin("metabase", "7")),
        ("/*application='a\x01\u2028b\x7f'*/ SELECT 1", Origin("a b")),
    ],
)  # fmt: skip
def test_comments_say_where_a_statement_comes_from(sql: str, expected: Origin) -> None:
    assert origin(sql) == expected


def test_names_are_bounded() -> None:
    assert origin(f"SELECT 1 /*application='{'x' * 5000}'*/").workload == "x" * 200
    assert origin(f"SELECT 1 /*application='{'x' * 9000}'*/") == NOWHERE
    assert origin("/* {" + '"a":[' * 3000 + "} */ SELECT 1") == NOWHERE


@pytest.mark.parametrize(
    "comment",
    [
        "Metabase::" + "a" * 8000, "Metabase::" + "a:" * 4000, "Username:" + " " * 8000, "Username:" + "," * 8000,
        "Looker Query Context '{" + "}" * 8000, "a" * 8000, "a='" + "\\'" * 4000, "a" + " " * 8000 + "=", "'" * 8000,
        "a='b'," * 1300, "{" + " " * 8000,
    ],
)  # fmt: skip
def test_odd_comments_are_read_without_going_back_and_forth(comment: str) -> None:
    """In one pass, or this test would be seen to take seconds."""
    for number in range(40):
        origin_of([f"/* {comment}{number} */"])


def test_of_many_comments_the_first_that_says_a_part_counts() -> None:
    sql = "/*application='a'*/ /*application='b',user='u'*/ SELECT 1 /*user='v',route='x'*/"
    assert origin(sql) == Origin("a", "u")


@given(st.text("-/*'\"{}=,:; \nab\0\ud800", max_size=60))
def test_no_text_is_too_odd(sql: str) -> None:
    found = origin(sql)
    for part in (found.workload, found.end_user, found.trace_id):
        assert part.isprintable()


@given(st.sampled_from(["'{}'", "$${}$$", '"{}"', "E'{}'"]), st.sampled_from(["/*{}*/", "-- {}", "--{}\n", "/*{}"]))
def test_what_stands_inside_of_a_string_is_no_comment(quotes: str, comment: str) -> None:
    said = comment.format("application=''a''" if "'" in quotes else "application='a'")
    assert comments_of(f"SELECT {quotes.format(said)}") == []
