from pathlib import Path

from tests.compat.outcomes import Comparison, Outcome, Run, newly_failing
from tests.compat.results_file import load, save

PASSED, FAILED, SKIPPED = Outcome.PASSED, Outcome.FAILED, Outcome.SKIPPED


def test_newly_failing_is_what_passed_and_now_fails_is_skipped_or_is_missing() -> None:
    direct = {"a": PASSED, "b": PASSED, "c": PASSED, "d": PASSED, "e": FAILED, "f": SKIPPED}
    through = {"a": PASSED, "b": FAILED, "c": SKIPPED, "e": FAILED, "f": FAILED}
    assert newly_failing(direct, through) == ["b", "c", "d"]


def test_a_difference_that_does_not_repeat_is_flaky() -> None:
    compared = Comparison("suite", "1", Run({"a": PASSED, "b": PASSED}), Run({"a": FAILED, "b": FAILED}))
    settled = compared.settled({"a": PASSED, "b": FAILED})
    assert settled.newly_failing == ("b",)
    assert settled.flaky == {"a"}
    assert settled.through.count(PASSED) == 1


def test_a_test_that_is_missing_when_run_again_stays_newly_failing() -> None:
    compared = Comparison("suite", "1", Run({"a": PASSED}), Run({"a": FAILED}))
    assert compared.settled({}).newly_failing == ("a",)


def test_a_saved_comparison_is_the_same_when_it_is_read(tmp_path: Path) -> None:
    direct = Run({"a": PASSED, "b": SKIPPED}, 1.5, note="1 of 2 as expected")
    through = Run({"a": FAILED}, 2.5, was_cut_off=True, faults=("boom",))
    compared = Comparison("suite", "1", direct, through, frozenset({"c"}), "today")
    save(compared, tmp_path)
    assert load(tmp_path) == compared
    assert load(tmp_path / "elsewhere") is None
