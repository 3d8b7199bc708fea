import asyncio
from collections.abc import Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from audit.alarm import Alarm, Level
from audit.alarm_post import BATCH, Post, SendError


class Receiver:
    """Takes what it is sent, except where `errors` say otherwise, one after the other."""

    name = "receiver"

    def __init__(self, *errors: Exception | None) -> None:
        self.errors = list(errors)
        self.batches: list[list[str]] = []
        self.closed = 0
        self.is_open = asyncio.Event()
        self.is_open.set()

    async def send(self, alarms: Sequence[Alarm]) -> None:
        await self.is_open.wait()
        if self.errors and (error := self.errors.pop(0)) is not None:
            raise error
        self.batches.append([alarm.id for alarm in alarms])

    async def close(self) -> None:
        self.closed += 1


def alarms(*numbers: int) -> list[Alarm]:
    return [Alarm(id=str(number), at="", level=Level.ALARM, name="x") for number in numbers]


@asynccontextmanager
async def running(post: Post) -> Any:
    task = asyncio.create_task(post.run())
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def until_taken(post: Post) -> None:
    async with asyncio.timeout(10):
        while post.waiting:
            await asyncio.sleep(0.001)


def post_to(receiver: Receiver, **options: Any) -> Post:
    return Post(receiver, random=lambda: 0.5, first_pause_s=0.001, **options)


async def test_alarms_go_in_order_and_in_batches() -> None:
    receiver = Receiver()
    post = post_to(receiver)
    for alarm in alarms(*range(BATCH + 5)):
        post.offer(alarm)
    async with running(post):
        await until_taken(post)
    assert [len(batch) for batch in receiver.batches] == [BATCH, 5]
    assert sum(receiver.batches, []) == [str(number) for number in range(BATCH + 5)]
    assert (post.sent, post.lost, receiver.closed) == (BATCH + 5, 0, 1)


@pytest.mark.parametrize("error", [SendError("503"), ConnectionRefusedError(111, "refused"), TimeoutError()])
async def test_what_fails_is_tried_again_with_all_of_it(error: Exception) -> None:
    receiver = Receiver(error, error, error)
    post = post_to(receiver)
    for alarm in alarms(1, 2):
        post.offer(alarm)
    async with running(post):
        await until_taken(post)
        assert post.problem is None
    assert receiver.batches == [["1", "2"]]
    assert (post.sent, post.lost) == (2, 0)


async def test_what_the_receiver_refuses_for_good_is_lost_and_the_next_ones_come() -> None:
    receiver = Receiver(SendError("400", is_final=True))
    post = post_to(receiver)
    post.offer(*alarms(1))
    async with running(post):
        await until_taken(post)
        assert post.problem == "400"
        post.offer(*alarms(2))
        await until_taken(post)
    assert receiver.batches == [["2"]]
    assert (post.sent, post.lost) == (1, 1)


async def test_a_slow_receiver_costs_the_oldest_and_never_memory() -> None:
    receiver = Receiver()
    receiver.is_open.clear()
    post = post_to(receiver, room=3)
    async with running(post):
        for alarm in alarms(1, 2):
            post.offer(alarm)
        await asyncio.sleep(0.01)  # these two are on their way
        for alarm in alarms(3, 4, 5, 6):
            post.offer(alarm)
        assert (post.waiting, post.lost) == (3, 3)
        receiver.is_open.set()
        await until_taken(post)
    assert receiver.batches[-1] == ["4", "5", "6"]
    assert (post.sent, post.lost) == (3, 3)


async def test_the_end_sends_what_is_left_but_doesnt_wait_for_it() -> None:
    receiver = Receiver()
    post = post_to(receiver)
    post.offer(*alarms(1))
    await post.finish(1.0)
    assert receiver.batches == [["1"]]
    receiver.is_open.clear()
    post.offer(*alarms(2))
    await post.finish(0.01)
    assert post.waiting == 1
