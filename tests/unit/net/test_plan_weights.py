"""The planner's estimates for prices: asked once per shape, beside statements."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from policies.decision import Decision, Plan
from proxy.net import plan_weights
from proxy.net.plan_weights import PlanWeights
from proxy.session.epoch import Epoch
from proxy.session.ports import CostQuery, Estimate


class Planners:
    def __init__(self, units: float | None = 12.6) -> None:
        self.units = units
        self.asked: list[CostQuery] = []

    async def __call__(self, query: CostQuery) -> Estimate:
        self.asked.append(query)
        return Estimate(self.units)


def decided(shape: str = "a", command: str = "select", text: str = "SELECT 1") -> tuple[Decision, Plan]:
    plan = Plan(command, text, shape=shape)
    return Decision(text, (Plan("begin", "BEGIN"), plan), None, (), "policy", 3, ("shop", "public")), plan


async def settled(weights: PlanWeights, is_done: Callable[[], bool]) -> None:
    running = asyncio.create_task(weights.run())
    try:
        async with asyncio.timeout(10):
            while not is_done():
                await asyncio.sleep(0.002)
        await asyncio.sleep(0.03)  # anything more that it would do
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_shape_is_asked_for_once_and_the_epoch_tells() -> None:
    planners, epoch = Planners(), Epoch()
    weights = PlanWeights(planners, epoch, told_every_s=0.01)
    decision, plan = decided()
    assert [weights.of("shop", decision, plan) for _ in range(3)] == [None] * 3
    await settled(weights, lambda: epoch.number == 1)
    assert planners.asked == [CostQuery("shop", 3, ("shop", "public"), "SELECT 1", 1)]
    other, its_plan = decided(text="SELECT 2")
    assert weights.of("shop", other, its_plan) == 13
    assert epoch.number == 1
    assert weights.of("blog", decision, plan) is None


async def test_what_has_no_estimate_is_not_asked_for_again() -> None:
    planners, epoch = Planners(None), Epoch()
    weights = PlanWeights(planners, epoch, told_every_s=0.01)
    for _ in range(2):
        assert weights.of("shop", *decided()) is None
        await settled(weights, lambda: bool(planners.asked))
    assert (len(planners.asked), epoch.number) == (1, 0)


async def test_only_what_the_planner_plans_is_asked_for() -> None:
    planners = Planners()
    weights = PlanWeights(planners, Epoch(), told_every_s=0.01)
    for command, shape, text in (("begin", "a", "BEGIN"), ("select", "", "SELECT 1"), ("select", "a", "")):
        assert weights.of("shop", *decided(shape, command, text)) is None
    await settled(weights, lambda: True)
    assert not planners.asked


async def test_endless_new_shapes_hold_nothing_up_and_take_no_more_memory() -> None:
    planners = Planners()
    weights = PlanWeights(planners, Epoch(), told_every_s=0.01)
    for number in range(2 * plan_weights.MOST_WAITING):
        assert weights.of("shop", *decided(str(number))) is None
    await settled(weights, lambda: len(planners.asked) >= plan_weights.MOST_WAITING)
    assert len(planners.asked) == plan_weights.MOST_WAITING
    assert weights.of("shop", *decided(str(plan_weights.MOST_WAITING))) is None
    await settled(weights, lambda: len(planners.asked) > plan_weights.MOST_WAITING)
    assert weights.of("shop", *decided(str(plan_weights.MOST_WAITING))) == 13


async def test_answers_are_told_together() -> None:
    epoch = Epoch()
    weights = PlanWeights(Planners(), epoch, told_every_s=0.02)
    for number in range(50):
        weights.of("shop", *decided(str(number)))
    await settled(weights, lambda: epoch.number == 1)
    assert epoch.number == 1
