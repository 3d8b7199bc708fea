"""Workload lanes: who waits, what is sent meanwhile (nothing), and that a place is left whatever happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from audit.record import Stage, Verdict
from policies.budgets import Budget, BudgetSubject, OnExceeded, Period
from policies.decision import Effect, Refusal
from policies.model import RuleId, Source
from proxy.purses import Purse
from proxy.session.ports import AwaitPurse, BorrowServer, Estimate, EstimateCost, QueueForLane, ReturnServer
from proxy.session.shared_link import LinkKind
from proxy.wire import messages as m
from proxy.work_lanes import BulkWay, Shapes, Signs, WorkLane
from tests.playbooks.pooled import KnownPool, link_of
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
    sqlstates,
)

HEAD = m.RowDescription((column("x"),))
ANSWER = HEAD, DONE, READY
FULL = Refusal("53400", "pgwarden/lanes/bulk", "full")
BULK, INTERACTIVE = WorkLane.BULK, WorkLane.INTERACTIVE
SELECT = m.Query(b"select 1")


@dataclass
class Places:
    """`session.ports.WorkLanes` of which the test says what is free."""

    signs: Signs = field(default_factory=lambda: Signs(users=("ada",)))
    limited: tuple[WorkLane, ...] = (BULK,)
    is_free: bool = True
    refusal: Refusal | None = None
    way: BulkWay = BulkWay.PRIMARY
    held: list[WorkLane] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shapes = Shapes(self.signs)

    def is_limited(self, lane: WorkLane) -> bool:
        return lane in self.limited

    def enter(self, lane: WorkLane) -> bool:
        if self.is_free:
            self.held.append(lane)
        return self.is_free

    def leave(self, lane: WorkLane) -> None:
        self.held.remove(lane)

    def full(self, lane: WorkLane) -> Refusal | None:
        return self.refusal

    def bulk_way(self) -> BulkWay:
        return self.way


def play_with(places: Places, **decisions: Callable[..., object]) -> Play:
    return Play(StageServices(dict(decisions), lanes=places)).open()  # type: ignore[arg-type]


def grant(play: Play, places: Places, lane: WorkLane = BULK) -> Play:
    """As the queue does it: the place is taken already."""
    places.held.append(lane)
    play.session.turn_came(lane)
    play.collect()
    return play


def queued(play: Play) -> list[QueueForLane]:
    return [command for command in play.told() if isinstance(command, QueueForLane)]


def test_a_place_that_is_free_is_taken_and_left_behind_the_answer() -> None:
    places = Places()
    play = play_with(places).client(SELECT)
    assert play.server_hears() == [SELECT]
    assert places.held == [BULK]
    play.server(*ANSWER)
    assert places.held == []
    assert [record.lane for record in play.services.records if record.stage is not Stage.EVENT] == ["bulk"] * 2
    assert queued(play) == []


def test_nothing_is_sent_while_the_client_waits_and_the_record_says_how_long() -> None:
    places = Places(is_free=False)
    play = play_with(places).client(SELECT, m.Query(b"select 2"))
    assert play.server_hears() == []
    assert queued(play) == [QueueForLane(BULK, is_urgent=False)]
    assert not play.session.is_between_transactions
    grant(play, places)
    assert play.server_hears() == [SELECT, m.Query(b"select 2")]
    play.server(*ANSWER, *ANSWER)
    intents = [record for record in play.services.records if record.stage is Stage.INTENT]
    assert [record.lane for record in intents] == ["bulk", "bulk"]
    assert (intents[0].queued_us or 0) > 0
    assert intents[1].queued_us is None
    assert places.held == []


def test_a_transaction_that_may_hold_locks_is_urgent() -> None:
    places = Places()
    play = play_with(places, begin=allow("begin", command="begin")).client(m.Query(b"begin"))
    assert places.held == []
    play.server(m.CommandComplete(b"BEGIN"), IN_BLOCK)
    places.is_free = False
    play.told()
    play.client(SELECT)
    assert queued(play) == [QueueForLane(BULK, is_urgent=False)]  # it holds no locks yet
    grant(play, places).server(HEAD, DONE, IN_BLOCK)
    play.client(SELECT)
    assert queued(play) == [QueueForLane(BULK, is_urgent=True)]
    grant(play, places).server(HEAD, DONE, READY)
    play.client(SELECT)
    assert queued(play) == [QueueForLane(BULK, is_urgent=False)]


def test_control_is_in_no_lane() -> None:
    places = Places(is_free=False)
    services = StageServices({"commit": allow("commit", command="commit")}, lanes=places)
    play = Play(services).open().client(m.Query(b"commit"))
    assert play.server_hears() == [m.Query(b"commit")]
    play.server(m.CommandComplete(b"COMMIT"), READY)
    assert [record.lane for record in services.records if record.stage is Stage.INTENT] == [""]


@pytest.mark.parametrize(("refusal", "sqlstate"), [(None, "57014"), (FULL, "53400")])
def test_a_wait_that_is_cancelled_or_too_long_fails_the_statement_alone(refusal: Refusal | None, sqlstate: str) -> None:
    places = Places(is_free=False)
    play = play_with(places).client(SELECT)
    play.session.turn_refused(refusal)
    play.collect()
    assert play.server_hears() == [m.Query(POISON)]
    play.server(error("42601"), READY)
    assert sqlstates(play.client_hears()) == [sqlstate]
    denied = play.services.records[-1]
    assert (denied.decision, denied.sqlstate) == (Verdict.DENY, sqlstate)
    assert (denied.lane, (denied.queued_us or 0) > 0) == ("bulk", True)
    places.is_free = True
    play.client(SELECT)
    assert play.server_hears() == [SELECT]
    assert play.services.records[-1].queued_us is None


def test_a_full_queue_refuses_at_once() -> None:
    places = Places(is_free=False, refusal=FULL)
    play = play_with(places).client(SELECT)
    assert queued(play) == []
    play.server(error("42601"), READY)
    assert sqlstates(play.client_hears()) == ["53400"]


def test_the_extended_protocol_waits_at_execute() -> None:
    places = Places(is_free=False)
    play = play_with(places).client(*extended("select 1"), m.Sync())
    assert [type(message) for message in play.server_hears()] == [m.Parse, m.Bind, m.Describe]
    assert len(queued(play)) == 1
    grant(play, places)
    assert [type(message) for message in play.server_hears()] == [m.Execute, m.Sync]
    play.server(m.ParseComplete(), m.BindComplete(), HEAD, DONE, READY)
    assert places.held == []


def test_a_client_that_goes_away_leaves_its_place() -> None:
    places = Places()
    play = play_with(places).client(SELECT)
    play.session.client_lost()
    assert places.held == []


def test_a_server_that_goes_away_leaves_the_place() -> None:
    places = Places()
    play = play_with(places).client(SELECT)
    play.session.upstream_lost()
    assert places.held == []


def test_a_statement_that_fails_leaves_its_place() -> None:
    places = Places()
    play = play_with(places).client(SELECT).server(error("22012"), READY)
    assert places.held == []
    assert sqlstates(play.client_hears()) == ["22012"]


# everyday statements


def test_the_lane_takes_what_has_no_turn_to_wait_for() -> None:
    places = Places(Signs(users=("somebody",)))
    play = play_with(places)
    for _ in range(3):
        play.client(SELECT).server(*ANSWER)
    assert play.taken == 2
    assert places.held == []
    assert {record.lane for record in play.services.records if record.stage is not Stage.EVENT} == {"interactive"}


def test_the_lane_takes_no_bulk_work() -> None:
    places = Places()
    play = play_with(places)
    for _ in range(3):
        play.client(SELECT).server(*ANSWER)
    assert play.taken == 0
    assert places.held == []


def test_the_lane_takes_everyday_work_that_has_a_place() -> None:
    places = Places(Signs(users=("somebody",)), limited=(INTERACTIVE,))
    play = play_with(places).client(SELECT).server(*ANSWER)
    play.client(SELECT)
    assert (play.taken, places.held) == (1, [INTERACTIVE])
    play.server(*ANSWER)
    assert places.held == []
    places.is_free = False
    play.told()
    play.server_hears()
    play.client(SELECT)
    assert (play.taken, queued(play)) == (1, [QueueForLane(INTERACTIVE)])
    grant(play, places, INTERACTIVE)
    assert play.server_hears() == [SELECT]
    play.server(*ANSWER)
    assert places.held == []


def test_what_the_lane_hands_over_leaves_its_place_later() -> None:
    places = Places(Signs(users=("somebody",)), limited=(INTERACTIVE,))
    play = play_with(places).client(SELECT).server(*ANSWER)
    play.client(SELECT).server(HEAD)  # half an answer is nothing for the lane
    assert places.held == [INTERACTIVE]
    play.server(DONE, READY)
    assert places.held == []
    play.client(SELECT).session.client_lost()
    assert places.held == []


def test_an_application_that_changes_its_name_changes_its_lane() -> None:
    places = Places(Signs(applications=("etl",)))
    play = play_with(places)
    play.client(SELECT).server(*ANSWER)
    play.client(SELECT).server(*ANSWER)
    play.client(m.Query(b"set")).server(
        m.CommandComplete(b"SET"), m.ParameterStatus(b"application_name", b"etl"), READY
    )
    play.client(SELECT)
    assert places.held == [BULK]
    play.server(*ANSWER)
    assert play.services.records[-1].lane == "bulk"


def test_a_statement_s_own_comment_names_its_workload() -> None:
    places = Places(Signs(workloads=("dbt*",)))
    play = play_with(places)
    for sql, held in [
        (b'select 1 /* {"app": "dbt", "node_id": "model.shop.orders"} */', [BULK]),
        (b"select 1 /*application='web'*/", []),
        (b"select 1", []),
    ]:
        play.client(m.Query(sql))
        assert places.held == held
        play.server(*ANSWER)
    assert [record.lane for record in play.services.records if record.stage is Stage.INTENT] == [
        "bulk",
        "interactive",
        "interactive",
    ]


# what the planner says


def test_the_planner_is_asked_once_for_a_shape() -> None:
    places = Places(Signs(cost=100.0))
    services = StageServices({"select 1": allow("select 1", shape="s")}, lanes=places)
    play = Play(services).open().client(SELECT)
    (asked,) = [command for command in play.told() if isinstance(command, EstimateCost)]
    assert play.server_hears() == []
    play.session.cost_estimated(asked.query, Estimate(500.0, rows=1.0))
    play.collect()
    assert places.held == [BULK]
    play.server(*ANSWER)
    play.client(SELECT).server(*ANSWER)
    assert not any(isinstance(command, EstimateCost) for command in play.told())
    assert play.taken == 0


def test_a_planner_that_can_t_say_leaves_it_an_everyday_statement() -> None:
    places = Places(Signs(cost=100.0))
    services = StageServices({"select 1": allow("select 1", shape="s")}, lanes=places)
    play = Play(services).open().client(SELECT)
    (asked,) = [command for command in play.told() if isinstance(command, EstimateCost)]
    play.session.cost_estimated(asked.query, Estimate(None, "away"))
    play.collect()
    play.server(*ANSWER).client(SELECT).server(*ANSWER).client(SELECT).server(*ANSWER)
    assert play.taken >= 1
    assert {record.lane for record in services.records if record.stage is not Stage.EVENT} == {"interactive"}


def test_rows_that_came_make_the_next_one_bulk() -> None:
    places = Places(Signs(rows=2))
    services = StageServices({"select 1": allow("select 1", shape="s")}, lanes=places)
    services.estimates["select 1"] = Estimate(1.0, rows=1.0)
    play = Play(services).open()
    row = m.DataRow((b"1",))
    for _ in range(2):
        play.client(SELECT).server(HEAD, row, row, row, DONE, READY)
    lanes = [record.lane for record in services.records if record.stage is Stage.INTENT]
    assert lanes == ["interactive", "bulk"]


@pytest.mark.parametrize("command", ["fetch", "execute"])
def test_what_reads_by_name_is_as_much_work_as_what_it_reads(command: str) -> None:
    places = Places(Signs(cost=100.0))
    made = {"fetch": Effect(opens_cursor="c"), "execute": Effect(prepares="c")}[command]
    read = {"fetch": Effect(reads_cursor="c"), "execute": Effect(executes="c")}[command]
    kind = {"fetch": "declare", "execute": "prepare"}[command]
    decisions = {"make": allow("make", command=kind, shape="s", effect=made)}
    decisions["read"] = allow("read", command=command, effect=read)
    services = StageServices(decisions, lanes=places)
    services.estimates["make"] = Estimate(500.0)
    play = Play(services).open().client(m.Query(b"begin")).server(m.CommandComplete(b"BEGIN"), IN_BLOCK)
    play.client(m.Query(b"make")).server(m.CommandComplete(b"OK"), IN_BLOCK)
    assert places.held == []
    play.client(m.Query(b"read"))
    assert places.held == [BULK]


# links that sessions share


def pooled_with(places: Places) -> Play:
    return Play(StageServices(lanes=places, pool=KnownPool())).open_pooled()


def borrowed(play: Play) -> list[BorrowServer]:
    return [command for command in play.told() if isinstance(command, BorrowServer)]


def test_whoever_waits_has_no_link() -> None:
    places = Places(is_free=False)
    play = pooled_with(places)
    play.client(SELECT)
    told = play.told()
    assert [command for command in told if isinstance(command, BorrowServer)] == []
    assert len([command for command in told if isinstance(command, QueueForLane)]) == 1
    grant(play, places)
    assert borrowed(play) == [BorrowServer(LinkKind.GUARDED)]
    play.lend(link_of(1, {}).shared)
    assert play.server_hears() == [SELECT]
    play.server(*ANSWER)
    assert places.held == []
    assert any(isinstance(command, ReturnServer) for command in play.told())


@pytest.mark.parametrize("messages", [(SELECT,), (*extended("select 1"), m.Sync())])
def test_a_refusal_needs_no_link_either(messages: tuple[m.Message, ...]) -> None:
    places = Places(is_free=False, refusal=FULL)
    play = pooled_with(places)
    play.client_hears()
    play.client(*messages)
    assert borrowed(play) == []
    heard = play.client_hears()
    assert sqlstates(heard) == ["53400"]
    assert heard[-1] == READY
    assert play.services.records[-1].decision is Verdict.DENY
    places.is_free = True
    play.client(SELECT)
    assert len(borrowed(play)) == 1


def test_everyday_work_takes_its_place_before_its_link() -> None:
    places = Places(Signs(users=("somebody",)), limited=(INTERACTIVE,))
    play = pooled_with(places)
    link = link_of(1, {}).shared
    for taken in (0, 1):
        play.client(SELECT)
        assert places.held == [INTERACTIVE]
        play.lend(link).server(*ANSWER)
        assert (places.held, play.taken) == ([], taken)
    places.is_free = False
    play.told()
    play.client(SELECT)
    assert [type(command) for command in play.told()] == [QueueForLane]


def test_a_cancel_while_the_link_is_awaited_leaves_the_place() -> None:
    places = Places()
    play = pooled_with(places)
    play.client(SELECT)
    assert places.held == [BULK]
    play.session.wait_cancelled()
    assert places.held == []
    play.collect()
    assert sqlstates(play.client_hears()) == ["57014"]


@pytest.mark.parametrize(
    ("sql", "is_elsewhere"),
    [
        ("select 1", True),
        ("select count(*) from t where x > 3", True),
        ("select nobody_knows_it()", False),
        ("select 1 for update", False),
        ("with w as (delete from t returning 1) select 1 from w", False),
        ("select 1; select 2", False),
        ("update t set x = 1", False),
    ],
)
def test_only_what_certainly_reads_goes_to_another_server(sql: str, is_elsewhere: bool) -> None:
    places = Places(way=BulkWay.REPLICA)
    play = pooled_with(places)
    command = "update" if sql.startswith("update") else "select"
    play.services.decisions[sql] = allow(sql, command=command)
    play.client(m.Query(sql.encode()))
    assert borrowed(play) == [BorrowServer(LinkKind.GUARDED, is_elsewhere=is_elsewhere)]


def test_one_execution_may_go_elsewhere_a_pipeline_may_not() -> None:
    places = Places(way=BulkWay.REPLICA)
    for messages, is_elsewhere in [
        ((*extended("select 1"), m.Sync()), True),
        ((*extended("select 1"), *extended("insert"), m.Sync()), False),
        (extended("select 1"), False),
    ]:
        play = pooled_with(places)
        play.client(*messages)
        assert [command.is_elsewhere for command in borrowed(play)] == [is_elsewhere]


def test_without_its_server_and_without_fall_back_bulk_reading_is_refused() -> None:
    places = Places(way=BulkWay.NOWHERE)
    play = pooled_with(places)
    play.client_hears()
    play.client(SELECT)
    assert sqlstates(play.client_hears()) == ["53400"]
    assert places.held == []


def test_a_link_that_will_do_no_longer_goes_back_unused() -> None:
    places = Places(way=BulkWay.REPLICA)
    play = pooled_with(places)
    play.client(SELECT)
    assert [command.is_elsewhere for command in borrowed(play)] == [True]
    places.way = BulkWay.PRIMARY
    link = link_of(1, {}).shared
    link.is_elsewhere = True
    play.lend(link)
    assert play.server_hears() == []
    told = play.told()
    assert [type(command) for command in told] == [ReturnServer, BorrowServer]
    play.lend(link_of(2, {}).shared)
    assert play.server_hears() == [SELECT]


def test_such_a_link_is_kept_until_its_settings_are_answered() -> None:
    places = Places(way=BulkWay.REPLICA)
    play = pooled_with(places)
    play.client(SELECT)
    link = link_of(1, {}).shared
    link.is_elsewhere, link.settings = True, (("datestyle", "SET datestyle = 'German'"),)
    places.way = BulkWay.PRIMARY
    play.told()
    play.lend(link)
    assert [type(message) for message in play.server_hears()] == [m.Query]
    assert play.told() == []
    play.server(m.CommandComplete(b"RESET"), READY)
    assert [type(command) for command in play.told()] == [ReturnServer, BorrowServer]
    assert play.server_hears() == []


def test_another_link_is_asked_for_where_none_can_be_had_elsewhere() -> None:
    places = Places(way=BulkWay.REPLICA)
    play = pooled_with(places)
    play.client(SELECT)
    play.told()
    places.way = BulkWay.PRIMARY
    play.session.lend_again()
    play.collect()
    assert [command.is_elsewhere for command in borrowed(play)] == [False]


def test_who_waits_for_money_holds_no_place() -> None:
    rule = RuleId("budgets[0]", Source("p.yaml", 1, 1))
    amounts = {"limit": 10, "warn": 9, "wait_s": 60.0, "is_open": False, "cap": 0, "slice": 1, "first": 1}
    names = {"name": "acme", "timezone": "UTC", "currency": "USD", "rule": rule}
    budget = Budget(BudgetSubject.TENANT, period=Period.DAILY, on_exceeded=OnExceeded.QUEUE, **amounts, **names)
    words = memoryview(bytearray(1024)).cast("q")
    purse = Purse(budget, words, 0, 1, 1, is_binding=True)  # nothing has come from the store yet
    places = Places()
    play = Play(StageServices(lanes=places, purses_of={"ada": (purse,)})).open().client(SELECT)
    assert play.server_hears() == []
    assert places.held == []
    assert len([command for command in play.told() if isinstance(command, AwaitPurse)]) == 1
