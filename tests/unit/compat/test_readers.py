import json
from pathlib import Path

from tests.compat.outcomes import Outcome
from tests.compat.pytest_suite import selection
from tests.compat.readers import read_go, read_junit, read_unittest

PASSED, FAILED, SKIPPED = Outcome.PASSED, Outcome.FAILED, Outcome.SKIPPED


def test_junit(tmp_path: Path) -> None:
    report = tmp_path / "junit.xml"
    report.write_text(
        """<testsuites><testsuite>
        <testcase classname="tests.test_a.TestA" name="test_fine"/>
        <testcase classname="tests.test_a.TestA" name="test_wrong"><failure message="no"/></testcase>
        <testcase classname="tests.test_a.TestA" name="test_setup"><error message="no"/></testcase>
        <testcase classname="tests.test_a.TestA" name="test_left_out"><skipped type="pytest.skip"/></testcase>
        <testcase classname="tests.test_a.TestA" name="test_wrong_as_said"><skipped type="pytest.xfail"/></testcase>
        <testcase classname="tests.test_a.TestA" name="test_teardown"><error message="no"/></testcase>
        <testcase classname="tests.test_a.TestA" name="test_teardown"/>
        </testsuite></testsuites>"""
    )
    assert {name.partition("::")[2]: outcome for name, outcome in read_junit(report).items()} == {
        "test_fine": PASSED,
        "test_wrong": FAILED,
        "test_setup": FAILED,
        "test_left_out": SKIPPED,
        "test_wrong_as_said": PASSED,
        "test_teardown": FAILED,
    }


def test_a_run_that_wrote_no_report_has_no_outcomes(tmp_path: Path) -> None:
    assert read_junit(tmp_path / "junit.xml") == {}


def test_unittest_verdicts_with_docstrings_and_prints_between() -> None:
    text = """\
test_plain (module.Class.test_plain) ... ok
test_told (module.Class.test_told)
What it is about. ... FAIL
test_chatty (module.Class.test_chatty) ... some output
ok
test_old_style (module.Class) ... ERROR
test_not_here (module.Class.test_not_here) ... skipped 'no such feature'
test_known (module.Class.test_known) ... expected failure
test_cut_off (module.Class.test_cut_off) ... """
    assert read_unittest(text) == {
        "module.Class.test_plain": PASSED,
        "module.Class.test_told": FAILED,
        "module.Class.test_chatty": PASSED,
        "module.Class.test_old_style": FAILED,
        "module.Class.test_not_here": SKIPPED,
        "module.Class.test_known": PASSED,
    }


def test_go_events_and_a_test_that_never_ended() -> None:
    events = [
        ("run", "TestA"),
        ("output", "TestA"),
        ("pass", "TestA"),
        ("run", "TestB/part"),
        ("fail", "TestB/part"),
        ("run", "TestC"),
        ("skip", "TestC"),
        ("run", "TestHangs"),
    ]
    lines = [json.dumps({"Action": action, "Package": "pq", "Test": test}) for action, test in events]
    text = "\n".join(["# build output", *lines, json.dumps({"Action": "fail", "Package": "pq"})])
    assert read_go(text) == {
        "pq::TestA": PASSED,
        "pq::TestB/part": FAILED,
        "pq::TestC": SKIPPED,
        "pq::TestHangs": FAILED,
    }


def test_names_of_a_report_select_tests_again() -> None:
    names = ["tests.test_a.TestA::test_x[1]", "tests.pool.test_b::test_y"]
    assert selection(names) == ["tests/test_a.py::TestA::test_x[1]", "tests/pool/test_b.py::test_y"]
