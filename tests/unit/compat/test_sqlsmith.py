from tests.compat.outcomes import Outcome
from tests.compat.suites.sqlsmith import compare_fates, read_fates

DIRECT = """Loading types...done.
..e.S
e.
queries: 7
3\tERROR:  division by zero
"""


def test_fates_are_letters_by_number_and_counts_by_message() -> None:
    fates = read_fates(DIRECT)
    assert "".join(fates[f"statement {number}"] for number in range(1, 8)) == "..e.Se."
    assert fates["ERROR:  division by zero"] == "3"


def test_what_fares_otherwise_has_failed() -> None:
    direct = read_fates(DIRECT)
    outcomes = compare_fates(direct, direct | {"statement 2": "C", "ERROR:  new": "1"})
    failed = {name for name, outcome in outcomes.items() if outcome is Outcome.FAILED}
    assert failed == {"statement 2", "ERROR:  new"}
