"""Statements that take from an allowance: on the lane and off it alike, once each, and never the end of a block."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from audit.lines import Lines
from audit.record import Stage, Verdict
from policies.decision import Decision, Plan, Refusal
from policies.limits import Limit
from policies.model import Statement
from proxy.session.ports import Spent
from proxy.wire import messages as m
from proxy.wire.codec import encode
from tests.playbooks.stage import (
    DONE,
    IN_BLOCK,
    POISON,
    READY,
    Play,
    StageServices,
    allow,
    column,
    error,
    extended,
    limits,
    policy_of,
    refuse,
    sqlstates,
)

SQL = "select 1"
HEAD = m.RowDescription((column("x"),))
ROW = m.DataRow((b"1",))
ANSWER = HEAD, ROW, DONE, READY
EMPTY = Refusal("53400", "rates[0]", "too fast", "Rule rates[0] at p.yaml:3:5.", "Try again in 1 s.")


@dataclass
class Purse:
    """An allowance of so many statements."""

    left: int
    counts_cost: bool = True
    spent: list[Spent] = field(default_factory=list)

    def take(self, statements: int) -> tuple[Limit, Refusal] | None:
        if statements > self.left:
            return Limit.RATE, EMPTY
        self.left -= statements
        return None

    def give_back(self, statements: int) -> None:
        self.left += statements

    def spend(self, lines: Lines, measured: Spent) -> None:
        self.spent.append(measured)


def play_with(purse: Purse, **decisions: object) -> Play:
    services = StageServices({SQL: allow(SQL)} | decisions)  # type: ignore[arg-type]
    services.allowances = {"": purse}
    return Play(services).open()


def ask(play: Play, sql: str = SQL) -> bool:
    """Whether it passes; it is answered."""
    play.client(m.Query(sql.encode()))
    if play.server_hears() == [m.Query(POISON)]:
        play.server(error("42601"), READY)
        assert sqlstates(play.client_hears()) == ["53400"]
        return False
    play.server(*ANSWER)
    play.client_hears()
    return True


def test_on_the_lane_and_off_it_each_statement_counts_once() -> None:
    purse = Purse(4)
    play = play_with(purse)
    assert [ask(play) for _ in range(6)] == [True] * 4 + [False] * 2
    assert play.services.reached == [Limit.RATE] * 2
    assert len(purse.spent) == 4
    record = play.services.records[-1]
    assert (record.stage, record.decision, record.rule_ids) == (Stage.INTENT, Verdict.DENY, ("rates[0]",))
    purse.left = 1
    assert ask(play)


def test_an_answer_that_the_lane_hands_over_is_spent_once() -> None:
    purse = Purse(9)
    play = play_with(purse)
    ask(play)
    play.client(m.Query(SQL.encode()))
    play.server(HEAD)
    play.server(ROW, DONE)
    play.server(READY)
    assert (purse.left, len(purse.spent)) == (7, 2)


def test_prepared_statements_count_when_they_run() -> None:
    purse = Purse(3)
    play = play_with(purse)
    play.client(*extended(SQL), m.Sync())
    play.server(m.ParseComplete(), m.BindComplete(), HEAD, ROW, DONE, READY)
    assert purse.left == 2
    play.client(*extended(SQL), *extended(SQL), m.Sync())
    assert purse.left == 0


def test_a_text_of_several_counts_them_all_or_none() -> None:
    two = "select 1; select 2"
    purse = Purse(1)
    play = play_with(
        purse, **{two: lambda sql: Decision(sql, (Plan("select", "select 1"), Plan("select", "select 2")))}
    )
    assert not ask(play, two)
    assert purse.left == 1
    assert ask(play)


@pytest.mark.parametrize("command", ["commit", "rollback", "begin", "savepoint"])
def test_the_end_of_a_transaction_is_never_refused(command: str) -> None:
    purse = Purse(0)
    play = play_with(purse, **{command: allow(command, command=command)})
    play.client(m.Query(command.encode()))
    assert play.server_hears() == [m.Query(command.encode())]
    play.server(m.CommandComplete(command.upper().encode()), READY)


def test_what_policies_or_limits_refuse_takes_nothing() -> None:
    purse = Purse(5)
    play = play_with(purse, no=refuse(), slow=allow("slow", limits=limits(concurrent=1)))
    play.client(m.Query(b"no"))
    play.server(error("42601"), READY)
    assert purse.left == 5
    other = Play(play.services).open()
    other.client(m.Query(b"slow"))
    play.client(m.Query(b"slow"))
    play.server(error("42601"), READY)
    assert play.services.reached == [Limit.CONCURRENT]
    assert purse.left == 4


def test_a_journal_that_takes_nothing_costs_nothing() -> None:
    purse = Purse(2)
    play = play_with(purse)
    ask(play)
    play.services.is_journal_full = True
    play.client(m.Query(SQL.encode()))
    assert purse.left == 1


def test_a_new_set_of_policies_brings_another_allowance() -> None:
    purse = Purse(1)
    play = play_with(purse)
    assert ask(play)
    assert not ask(play)
    play.services.allowances = {}
    play.services.epoch.advance()
    assert ask(play)


def test_an_error_in_a_block_is_spent_too() -> None:
    purse = Purse(5)
    play = play_with(purse)
    play.client(m.Query(b"begin"))
    play.server(m.CommandComplete(b"BEGIN"), IN_BLOCK)
    spent = len(purse.spent)
    play.client(m.Query(SQL.encode()))
    play.server(error("22012"), READY)
    assert len(purse.spent) == spent + 1


def test_a_replication_connection_without_anything_left_ends() -> None:
    purse = Purse(1)
    services = StageServices()
    services.policy = replace(policy_of(is_everything=True), statements=frozenset({Statement.REPLICATION}))
    services.allowances = {"": purse}
    play = Play(services).open(replication="database")
    play.client(m.Query(b"IDENTIFY_SYSTEM"))
    play.server(m.CommandComplete(b"IDENTIFY_SYSTEM"), READY)
    assert (purse.left, len(purse.spent)) == (0, 1)
    play.client_hears()
    play.server_hears()
    play.client(m.Query(b"SELECT 1"))
    assert play.server_hears() == []
    assert sqlstates(play.client_hears()) == ["53400"]
    assert services.reached == [Limit.RATE]
    assert services.records[-1].rule_ids == ("rates[0]",)
    assert play.session.is_ended


def test_the_lane_takes_what_there_is_and_leaves_the_refusal_to_the_long_way() -> None:
    purse = Purse(2)
    play = play_with(purse)
    ask(play)
    lane, chunk = play.session.lane, encode(m.Query(SQL.encode()))
    assert lane is not None
    assert lane.client(chunk) == chunk
    assert lane.server(b"".join(map(encode, ANSWER))) is not None
    assert (purse.left, len(purse.spent)) == (0, 2)
    assert (purse.spent[1].rows, purse.spent[1].sqlstate) == (1, "")
    assert lane.client(chunk) is None
    assert (purse.left, play.services.reached) == (0, [])
