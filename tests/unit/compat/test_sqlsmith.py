from tests.compat.outcomes import Outcome
from tests.compat.suites.sqlsmith import FINE, LOST, compare_fates, split


def test_statements_are_cut_at_the_ends_of_lines() -> None:
    assert split(
        "SQLsmith\nLoading types...done.\nLoading tables...done.\nselect 1\n  as a;\nselect ';' as b;\n\n"
    ) == ["select 1\n  as a", "select ';' as b"]


def test_what_fares_otherwise_has_failed() -> None:
    direct = {"statement 1": FINE, "statement 2": "42883", "statement 3": FINE}
    outcomes = compare_fates(direct, {"statement 1": FINE, "statement 2": "42501", "statement 3": LOST})
    failed = {name for name, outcome in outcomes.items() if outcome is Outcome.FAILED}
    assert failed == {"statement 2", "statement 3"}


def test_a_statement_that_was_never_played_has_failed() -> None:
    assert compare_fates({"statement 1": FINE}, {}) == {"statement 1": Outcome.FAILED}
