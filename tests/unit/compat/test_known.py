import pytest

from tests.compat.known import FILE, read_known, reason_for
from tests.compat.outcomes import Comparison, Outcome, Run
from tests.compat.report import judge, markdown
from tests.compat.suites import SUITES

TEXT = """
- suite: pgx
  tests: ["TestA", "pkg::TestB/*"]
  reason: what
    it is
"""


def test_patterns_and_names_of_the_suite_alone() -> None:
    known = read_known(TEXT)
    assert reason_for(known, "pgx", "TestA") == "what it is"
    assert reason_for(known, "pgx", "pkg::TestB/part") == "what it is"
    assert reason_for(known, "pgx", "TestAB") is None
    assert reason_for(known, "asyncpg", "TestA") is None


def test_brackets_of_a_parameter_are_no_pattern() -> None:
    known = read_known('- {suite: s, tests: ["test_x[1-a]"], reason: r}')
    assert reason_for(known, "s", "test_x[1-a]") == "r"


@pytest.mark.parametrize(
    "entry", ["{suite: s, tests: [t]}", "{suite: s, tests: [], reason: r}", "{suite: s, tests: [t], reason: ' '}"]
)
def test_a_line_without_tests_or_reason_is_an_error(entry: str) -> None:
    with pytest.raises(ValueError):
        read_known(f"- {entry}")


def test_the_list_itself_names_suites_that_there_are() -> None:
    assert {entry.suite for entry in read_known(FILE.read_text("utf-8"))} <= set(SUITES)


def test_the_report_tells_documented_differences_from_bugs() -> None:
    direct = Run({"TestA": Outcome.PASSED, "TestZ": Outcome.PASSED, "TestOk": Outcome.PASSED})
    through = Run({"TestA": Outcome.FAILED, "TestZ": Outcome.FAILED, "TestOk": Outcome.PASSED})
    verdict = judge(Comparison("pgx", "4", direct, through, measured="today"), read_known(TEXT))
    assert verdict.documented == (("TestA", "what it is"),)
    assert verdict.unexplained == ("TestZ",)
    text = markdown([verdict], ["Measured today."])
    assert "| pgx 4 | 3 | 3 | 1 | 2 | 1 | today |" in text
    assert "- pgx: `TestZ`" in text
    assert "| pgx | `TestA` | what it is |" in text


def test_a_suite_that_did_not_run_proves_nothing() -> None:
    assert judge(Comparison("pgx", "4", Run({}), Run({})), []).is_empty
    assert not judge(Comparison("pgx", "4", Run({"TestA": Outcome.PASSED}), Run({})), []).is_empty
