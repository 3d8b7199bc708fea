"""Which purses a worker's statements draw on: its policies' budgets, in the memory that it shares with the others."""

from __future__ import annotations

from collections.abc import Callable

from policies.budgets import Budget, BudgetIndex
from policies.model import PolicySet, Principal
from proxy.purse_file import PurseFile
from proxy.purses import EMPTY_PURSE_WORDS, Purse


class PurseBook:
    """`announce` hears of the budgets of each policy set. Without a file no purse ever holds anything."""

    def __init__(
        self,
        file: PurseFile | None = None,
        worker: int = 1,
        announce: Callable[[list[Budget]], None] = lambda budgets: None,
    ) -> None:
        self._file = file
        self._worker = worker
        self._announce = announce
        self._known: PolicySet | None = None
        self._index = BudgetIndex(())
        self._purses: dict[Budget, Purse] = {}

    def learn(self, policies: PolicySet) -> None:
        """Before anybody is decided under them."""
        self._look_at(policies)
        self._announce(list(policies.budgets))

    def goes_by_workload(self, policies: PolicySet) -> bool:
        """Whether any budget is for a workload."""
        if policies is not self._known:
            self._look_at(policies)
        return self._index.has_workloads

    def of(self, policies: PolicySet, principal: Principal, workload: str) -> tuple[Purse, ...]:
        if not policies.budgets:
            return ()
        if policies is not self._known:
            self._look_at(policies)
        found = self._index.of(principal.tenant, principal.team, principal.user, workload)
        return tuple(map(self._purse, found))

    def _look_at(self, policies: PolicySet) -> None:
        self._known = policies
        self._index = BudgetIndex(policies.budgets)
        self._purses.clear()

    def _purse(self, budget: Budget) -> Purse:
        purse = self._purses.get(budget)
        if purse is None:
            purse = self._purses[budget] = self._made(budget)
        return purse

    def _made(self, budget: Budget) -> Purse:
        if self._file is not None:
            return self._file.purse(budget, self._worker)
        return Purse(budget, memoryview(bytearray(8 * EMPTY_PURSE_WORDS)).cast("q"), 0, 1, 1, True)
