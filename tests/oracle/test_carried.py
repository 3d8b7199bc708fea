"""Rows that another statement carries - a cursor, a prepared statement, COPY, a temporary table - are the copy's rows.

Their masks are at the source throughout, where a plain SELECT's may be in the stream: both must give the same bytes.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from random import Random

import pytest

from tests.oracle.grammar import Drawer
from tests.security.asking import Asker, difference
from tests.security.raw_client import BINARY, Answer, RawClient

STATEMENTS = int(os.environ.get("ORACLE_CARRIED", "80"))  # more of them for a night's search
_REFUSALS = ("42501", "0A000")
_NO_RECORD_COLUMN = "42P16"
# Behind a guard a whole row may be a record: it takes its names from column aliases, and no table can hold it.
_RENAMED_ROW = re.compile(r"\((\w+)\).* AS \1\(")
FORMS: dict[str, tuple[str, ...]] = {
    "cursor": ("DECLARE carried SCROLL CURSOR FOR {}", "FETCH ALL FROM carried", "FETCH BACKWARD ALL FROM carried"),
    "prepared": ("PREPARE carried AS {}", "EXECUTE carried", "DEALLOCATE carried"),
    "copied": ("COPY ({}) TO STDOUT (FORMAT csv, HEADER, FORCE_QUOTE *)",),
    "temporary": ("CREATE TEMP TABLE carried AS {}", "SELECT * FROM carried", "SELECT count(*) FROM carried"),
}


@pytest.mark.parametrize("form", FORMS)
def test_carried_rows_are_those_of_the_copy(asker: Asker, form: str) -> None:
    random = Random(form)
    counts: Counter[str] = Counter()
    for _ in range(STATEMENTS):
        sql = Drawer(random).statement()
        if not _RENAMED_ROW.search(sql):
            counts[_compare(asker, sql, FORMS[form])] += 1
    assert counts["refused"] <= STATEMENTS / 4, counts
    assert counts["same"] > STATEMENTS / 2, counts


def _compare(asker: Asker, sql: str, texts: tuple[str, ...]) -> str:
    """``refused``, ``error`` or ``same``; AssertionError when an answer isn't the copy's."""
    link, copy = asker.link("wes"), asker.link("copy of wes")
    link.seen.clear()
    ours, theirs = _carried(link, sql, texts), _carried(copy, sql, texts)
    leaked = asker.leaks(bytes(link.seen), sql)
    assert not leaked, f"{sql}\nleaks {sorted(leaked)[:5]}"
    if ours[0].sqlstate in (*_REFUSALS, _NO_RECORD_COLUMN) and not theirs[0].sqlstate:
        assert not any(answer.rows or answer.copied for answer in ours)
        return "refused"
    for number, (mine, plain) in enumerate(zip(ours, theirs, strict=True)):
        found = difference(mine, plain, is_ordered=False)
        assert not found, f"{sql}\nanswer {number}: {found}"
    return "error" if ours[0].sqlstate else "same"


def _carried(link: RawClient, sql: str, texts: tuple[str, ...]) -> list[Answer]:
    """Each text up to the first error, over the simple protocol, then over the extended one in binary."""
    answers = []
    for ask in (link.simple, lambda text: link.extended(text, result=BINARY)):
        link.simple("BEGIN")
        for text in texts:
            answers.append(ask(text.format(sql)))
            if answers[-1].sqlstate:
                break
        link.simple("ROLLBACK")
        link.simple("DEALLOCATE ALL")
    return answers
