import pytest

from audit.backoff import FIRST_S, Backoff


def test_it_doubles_up_to_its_longest_with_jitter() -> None:
    jitter = iter([0.0, 0.5, 1.0, 0.5, 0.5])
    backoff = Backoff(3 * FIRST_S, lambda: next(jitter))
    waits = [backoff.after_failure() / FIRST_S for _ in range(5)]
    assert waits == pytest.approx([0.5, 2.0, 4.5, 3.0, 3.0])


def test_very_many_failures_are_no_overflow() -> None:
    backoff = Backoff(8.0, lambda: 0.5)
    assert [backoff.after_failure() for _ in range(2000)][-1] == 8.0


def test_success_begins_anew() -> None:
    backoff = Backoff(random=lambda: 0.5)
    first = backoff.after_failure()
    backoff.after_failure()
    backoff.succeeded()
    assert backoff.after_failure() == first
