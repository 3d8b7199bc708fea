"""The measurement of `make readings` as a test, where the suite's source is at hand; and the parts it is made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compat.pg_regress import PGXS
from tests.compat.sources import SourceMissing, Sources
from tests.readings.corpus import queries_of, statements_of
from tests.readings.figures import LEAST_SHARE, Fate, fate_of
from tests.readings.measure import Measured, measure
from tests.readings.running import Answer

CACHE = Path(__file__).parents[2] / "var" / "compat"


@pytest.fixture(scope="module")
def measured() -> Measured:
    if not any(CACHE.glob("debian/*")) or not (PGXS / "regress" / "pg_regress").exists():
        pytest.skip(
            "PostgreSQL's regression suite isn't here; `make readings` fetches it with postgresql-server-dev-15"
        )
    try:
        return measure(CACHE / "readings", Sources(CACHE))
    except SourceMissing as error:
        pytest.skip(str(error))


def test_with_an_empty_policy_every_query_passes_unchanged(measured: Measured) -> None:
    assert measured.everything.unchanged == sum(measured.everything.reaches.values()) > 10_000


def test_with_a_policy_on_every_table_nearly_all_are_rewritten(measured: Measured) -> None:
    for figures in (measured.transparent, measured.hiding):
        assert figures.verified > 1_500
        assert figures.share >= LEAST_SHARE, figures.refusals


def test_what_is_rewritten_runs_and_a_guard_that_hides_nothing_changes_nothing(measured: Measured) -> None:
    assert measured.transparent.faults == 0, measured.transparent.examples
    assert measured.hiding.faults == 0, measured.hiding.examples
    assert measured.transparent.fates[Fate.SAME] > 1_000
    assert measured.hiding.fates[Fate.RUNS] > 1_000


def test_a_script_is_cut_as_psql_cuts_it() -> None:
    script = """-- a; b
SELECT ';', E'\\';' , $x$;$x$, "a;b" /* ; */;
\\d t
COPY t FROM stdin;
1;2
\\.
SELECT (1;2) \\gset
TABLE t;
"""
    found = list(statements_of(script))
    assert [line for line, _ in found] == [1, 4, 7, 8]
    assert found[0][1].endswith("/* ; */")
    assert [text for _, text in found[1:]] == ["COPY t FROM stdin", "SELECT (1;2)", "TABLE t"]


def test_queries_are_distinct_and_know_their_path(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text(
        "SELECT 1; SELECT 1; SET search_path TO s, public; SELECT 1; SELECT :x; INSERT INTO t VALUES (1);"
        "SELECT 1 INTO t; RESET search_path; (VALUES (1));"
    )
    queries, unparseable = queries_of(tmp_path)
    assert [(one.text, one.path) for one in queries] == [
        ("SELECT 1", ("public",)),
        ("SELECT 1", ("s", "public")),
        ("(VALUES (1))", ("public",)),
    ]
    assert unparseable == 1


def test_what_became_of_a_query() -> None:
    good, other = Answer(None, rows=((b"1",),)), Answer(None, rows=((b"2",),))
    division, unknown = Answer("22012"), Answer("42703")
    assert fate_of(good, good, is_transparent=True) is Fate.SAME
    assert fate_of(good, other, is_transparent=True) is Fate.DIFFERS
    assert fate_of(good, other, is_transparent=False) is Fate.RUNS
    assert fate_of(good, division, is_transparent=True) is Fate.FAILS
    assert fate_of(good, division, is_transparent=False) is Fate.ON_HIDDEN
    assert fate_of(good, unknown, is_transparent=False) is Fate.FAILS
    assert fate_of(unknown, unknown, is_transparent=False) is Fate.BOTH_FAIL
    assert fate_of(good, None, is_transparent=False) is Fate.REFUSED
    assert fate_of(unknown, None, is_transparent=False) is Fate.REFUSED_FAILING
