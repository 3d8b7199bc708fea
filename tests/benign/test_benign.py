"""What everyday tools ask gets the answers of the sanitized copy: all of them, on every server."""

from __future__ import annotations

import pytest

from tests.benign.asking import Asker
from tests.benign.cases import TOOLS, cases_of

LEAST_STATEMENTS = 300


@pytest.mark.parametrize("tool", TOOLS)
def test_every_statement_is_answered_as_on_the_copy(asker: Asker, tool: str) -> None:
    """A known difference has a reason, and goes when it is one no longer."""
    faults = {fault.case.name: str(fault) for fault in asker.faults_of(tool)}
    known = {case.name for case in cases_of(tool) if case.differs}
    assert "\n".join(text for name, text in faults.items() if name not in known) == ""
    assert known - set(faults) == set(), "these are right now"


def test_how_many_are_right(asker: Asker) -> None:
    total = sum(len(cases_of(tool)) for tool in TOOLS)
    wrong = sum(len(asker.faults_of(tool)) for tool in TOOLS)
    print(f"{total} statements of {len(TOOLS)} tools, {total - wrong} right")  # noqa: T201 - shown with -s
    assert total >= LEAST_STATEMENTS
    assert wrong <= total // 50


def test_the_comparison_can_fail(asker: Asker) -> None:
    """Where nothing is hidden the same statements answer otherwise."""
    everything = Asker({**asker.dsns, "ada": asker.dsns["admin"], "wes": asker.dsns["admin"]}, asker.databases)
    assert len(everything.faults_of("superset")) > len(cases_of("superset")) / 2


def test_names_are_unique() -> None:
    for tool in TOOLS:
        names = [case.name for case in cases_of(tool)]
        assert len(set(names)) == len(names)
