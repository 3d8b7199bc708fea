"""What makes a statement bulk work, and what is remembered of shapes."""

from __future__ import annotations

import pytest

from policies.decision import Plan
from proxy.work_lanes import Shapes, Signs, WorkLane, is_free, is_planned

BULK, INTERACTIVE = WorkLane.BULK, WorkLane.INTERACTIVE


@pytest.mark.parametrize(
    ("user", "application", "is_bulk"),
    [("etl", "psql", True), ("ada", "dbt run", True), ("ada", "psql", False), ("ETL", "DBT", False), ("", "", False)],
)
def test_clients_are_told_by_patterns(user: str, application: str, is_bulk: bool) -> None:
    signs = Signs(users=("etl", "report_*"), applications=("dbt*",))
    assert signs.is_bulk_client(user, application) is is_bulk


def test_nobody_waits_to_begin_or_end_a_transaction() -> None:
    free = {"begin", "commit", "rollback", "savepoint", "set", "show", "deallocate", "declare"}
    assert all(is_free(Plan(command, "")) for command in free)
    assert not any(is_free(Plan(command, "")) for command in ("select", "copy", "fetch", "execute", "call", "vacuum"))


def test_only_what_the_planner_plans_is_asked_about() -> None:
    assert is_planned(Plan("select", "", shape="s"))
    assert not is_planned(Plan("select", ""))
    assert not is_planned(Plan("vacuum", "", shape="s"))


def test_a_shape_is_in_the_lane_that_the_planner_says_under_one_catalog() -> None:
    shapes = Shapes(Signs(cost=1000.0, rows=100))
    assert shapes.lane_of("s", 1) is None
    shapes.learn("s", 1, 999.9, 99)
    assert shapes.lane_of("s", 1) is INTERACTIVE
    assert shapes.lane_of("s", 2) is None
    shapes.learn("s", 2, 1000.0, 1)
    assert shapes.lane_of("s", 2) is BULK
    shapes.learn("t", 2, 1.0, 100.0)
    assert shapes.lane_of("t", 2) is BULK
    shapes.learn("u", 2, None, None)
    assert shapes.lane_of("u", 2) is INTERACTIVE


def test_rows_that_came_count_at_once_and_are_forgotten_slowly() -> None:
    shapes = Shapes(Signs(rows=100))
    shapes.learn("s", 1, 1.0, 10.0)
    before = shapes.changes
    shapes.ran("s", 5)
    assert shapes.changes == before
    shapes.ran("s", 400)
    assert (shapes.lane_of("s", 1), shapes.changes) == (BULK, before + 1)
    seen = []
    for _ in range(4):
        shapes.ran("s", 0)
        seen.append(shapes.lane_of("s", 1))
    assert seen == [BULK, BULK, INTERACTIVE, INTERACTIVE]


def test_the_planner_is_overruled_by_what_came_three_times() -> None:
    shapes = Shapes(Signs(rows=100))
    shapes.learn("s", 1, 1.0, 5000.0)
    seen = []
    for _ in range(3):
        shapes.ran("s", 1)
        seen.append(shapes.lane_of("s", 1))
    assert seen == [BULK, BULK, INTERACTIVE]
    shapes.learn("s", 2, 1.0, 5000.0)  # another catalog: what ran before still counts
    assert shapes.lane_of("s", 2) is INTERACTIVE


def test_memory_is_bounded_and_the_oldest_shapes_go() -> None:
    shapes = Shapes(Signs(cost=1.0))
    for number in range(10_001):
        shapes.learn(str(number), 1, 5.0, 1.0)
    assert shapes.lane_of("0", 1) is None
    assert shapes.lane_of("1", 1) is BULK
    shapes.ran("0", 5)


def test_workloads_are_told_as_records_name_them() -> None:
    signs = Signs(workloads=("dbt *",))
    assert signs.is_bulk_workload("dbt model.shop.orders")
    assert not signs.is_bulk_workload("dbt")
    assert not signs.needs_estimates
