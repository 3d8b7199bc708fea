import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from audit_samples import intent

from audit.alarm import Alarm, Choice
from audit.alarm_desk import Desk
from audit.alarm_post import Post
from audit.alarms import FILE_NAME, Alarms
from audit.journal import Journal
from audit.record import Verdict


class Receiver:
    def __init__(self, name: str = "receiver", *, is_away: bool = False) -> None:
        self.name = name
        self.is_away = is_away
        self.told: list[str] = []

    async def send(self, alarms: Sequence[Alarm]) -> None:
        if self.is_away:
            raise ConnectionRefusedError(111, "away")
        self.told += [alarm.statement_id for alarm in alarms]

    async def close(self) -> None:
        """Nothing is open."""


async def until_told(receiver: Receiver, name: str) -> None:
    async with asyncio.timeout(20):
        while name not in receiver.told:
            await asyncio.sleep(0.005)


async def ended(alarms: Alarms, running: asyncio.Task[None]) -> None:
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await alarms.finish()


async def test_all_journals_are_watched_from_run_to_run(tmp_path: Path) -> None:
    receiver = Receiver()
    first, second = (Journal.open(tmp_path, worker) for worker in (1, 2))
    first.append([intent("long ago", decision=Verdict.DENY)])
    alarms = Alarms(tmp_path, [Desk(Post(receiver), (Choice.DENIALS,))], pause_s=0.01)
    running = asyncio.create_task(alarms.run())
    while not (tmp_path / FILE_NAME).exists():
        alarms._unnoted_s = 10.0
        await asyncio.sleep(0.01)
    first.append([intent("a", decision=Verdict.DENY), intent("fine")])
    await until_told(receiver, "a")
    second.append([intent("b", decision=Verdict.DENY)])
    await until_told(receiver, "b")
    await ended(alarms, running)

    second.append([intent("while it was down", decision=Verdict.DENY)])
    third = Journal.open(tmp_path, 3)
    third.append([intent("a new worker's", decision=Verdict.DENY)])
    again = Alarms(tmp_path, [Desk(Post(receiver), (Choice.DENIALS,))], pause_s=0.01)
    running = asyncio.create_task(again.run())
    await until_told(receiver, "a new worker's")
    await ended(again, running)
    assert receiver.told == ["a", "b", "while it was down", "a new worker's"]
    for journal in (first, second, third):
        journal.close()


async def test_a_receiver_that_is_away_is_told_after_the_next_start_and_the_other_not_twice(tmp_path: Path) -> None:
    here, away = Receiver("here"), Receiver("away", is_away=True)

    def made(*receivers: Receiver) -> Alarms:
        return Alarms(tmp_path, [Desk(Post(each), (Choice.DENIALS,)) for each in receivers], pause_s=0.01)

    journal = Journal.open(tmp_path, 1)
    alarms = made(here, away)
    running = asyncio.create_task(alarms.run())
    while not (tmp_path / FILE_NAME).exists():
        alarms._unnoted_s = 10.0
        await asyncio.sleep(0.01)
    journal.append([intent("a", decision=Verdict.DENY)])
    await until_told(here, "a")
    journal.append([intent("b", decision=Verdict.DENY)])
    await until_told(here, "b")
    await ended(alarms, running)
    assert away.told == []

    away.is_away, new = False, Receiver("new")
    journal.append([intent("c", decision=Verdict.DENY)])
    again = made(here, away, new)
    running = asyncio.create_task(again.run())
    await asyncio.gather(*(until_told(each, "c") for each in (here, away, new)))
    await ended(again, running)
    assert away.told == ["a", "b", "c"]
    assert here.told == ["a", "b", "c"]
    assert new.told == ["c"]
    journal.close()
