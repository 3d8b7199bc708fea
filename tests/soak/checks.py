"""Holds what clients counted against what was recorded: nothing lost, nothing twice, nothing without its end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import psycopg

from tests.soak.tally import Tally

_INTENTS = """
SELECT coalesce(substring(i.sql_text from 'soak_[0-9]+x'), ''), i.decision = 'deny', coalesce(o.outcomes, 0)
FROM pgwarden.records i LEFT JOIN (
    SELECT statement_id, count(*) AS outcomes FROM pgwarden.records WHERE stage = 'outcome' GROUP BY statement_id
) o USING (statement_id) WHERE i.stage = 'intent'"""
_LONE = """
SELECT count(*) FROM pgwarden.records o WHERE o.stage = 'outcome' AND NOT EXISTS (
    SELECT FROM pgwarden.records i WHERE i.stage = 'intent' AND i.statement_id = o.statement_id)"""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the store holds: executed intents and refusals by mark, and faults in sentences."""

    executed: Counter[str]
    refused: Counter[str]
    faults: tuple[str, ...]

    @property
    def statements(self) -> int:
        return self.executed.total() + self.refused.total()


def read_records(store_dsn: str) -> Recorded:
    executed: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    endless = twice = 0
    with psycopg.connect(store_dsn) as connection:
        for mark, is_denied, outcomes in connection.execute(_INTENTS):
            (refused if is_denied else executed)[mark] += 1
            endless += not is_denied and outcomes == 0
            twice += outcomes > 1
        (lone,) = connection.execute(_LONE).fetchone() or (0,)
    said = {"without outcome": endless, "with several outcomes": twice, "outcomes without intent": lone}
    return Recorded(executed, refused, tuple(f"{count} statements {what}" for what, count in said.items() if count))


def differences(tally: Tally, recorded: Recorded) -> list[str]:
    """Where clients and records don't agree, in sentences; at most some of each kind."""
    found = [*recorded.faults]
    found += _differ("executed", tally.ended, recorded.executed, tally.uncertain)
    found += _differ("refused", tally.refused, recorded.refused, Counter())
    found += [f"{mark} ran {recorded.executed[mark]} times" for mark in tally.uncertain if recorded.executed[mark] > 1]
    return found


def _differ(what: str, counted: Counter[str], recorded: Counter[str], uncertain: Counter[str]) -> list[str]:
    marks = {mark for mark in counted | recorded if mark and mark not in uncertain}
    wrong = [mark for mark in sorted(marks) if counted[mark] != recorded[mark]]
    return [f"{mark}: {counted[mark]} {what} by clients, {recorded[mark]} recorded" for mark in wrong[:20]]
