"""Watches the journals of one sidecar, and has receivers told of what concerns them. Knows no protocol and no store.

It reads what workers have written, beside the shippers, so it costs statements nothing and waits for no store. Where it
has read to stands in `alarms.json` in the journals' folder: what happened while it was down is told at the next start;
after a kill what was told last may be told twice.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from audit.alarm import MARKS, Choice, alarm_of, is_wanted, level_of
from audit.alarm_post import Post
from audit.journal_tail import JournalTail, Place
from audit.record import Record

FILE_NAME: Final = "alarms.json"
_PAUSE_S: Final = 0.25
_NOTE_S: Final = 2.0
_FINISH_S: Final = 3.0
_AT_ONCE: Final = 2_000  # records, about: a client that is refused ever again keeps this process busy with nothing else
_PREFIX: Final = "worker-"

log = logging.getLogger("pgwarden.audit")


@dataclass(frozen=True, slots=True)
class Desk:
    """A receiver and what it is told of. `has_sql_text`: with the texts of statements."""

    post: Post
    choices: tuple[Choice, ...]
    has_sql_text: bool = False

    def take(self, record: Record) -> None:
        level = level_of(record)
        if level is not None and is_wanted(level, self.choices):
            self.post.offer(alarm_of(record, level, has_sql_text=self.has_sql_text))


class Alarms:
    """`run` until cancelled, then `finish`."""

    def __init__(self, directory: Path, desks: Sequence[Desk], pause_s: float = _PAUSE_S) -> None:
        self._directory = directory
        self._desks = tuple(desks)
        self._pause_s = pause_s
        self._tails: dict[str, JournalTail] = {}
        self._noted: dict[str, Place] | None = None  # None: it never ran here
        self._unnoted_s = 0.0
        self.problem: str | None = None

    @property
    def posts(self) -> list[Post]:
        return [desk.post for desk in self._desks]

    async def run(self) -> None:
        """A folder that can't be read is tried again; receivers have their own patience."""
        self._noted = await asyncio.to_thread(_read_places, self._directory / FILE_NAME)
        async with asyncio.TaskGroup() as group:
            for post in self.posts:
                group.create_task(post.run(), name=f"alarms to {post.name}")
            group.create_task(self._watch())

    async def finish(self) -> None:
        """After `run` has been cancelled: what is there is told, to who takes it at once."""
        await asyncio.to_thread(self._look_and_note)
        for tail in self._tails.values():
            tail.close()
        await asyncio.gather(*(post.finish(_FINISH_S) for post in self.posts))

    async def _watch(self) -> None:
        while True:
            is_more = False
            try:
                records = await asyncio.to_thread(self._look)
                for record in records:
                    self._tell(record)
                is_more = len(records) > _AT_ONCE
                await self._note_now_and_then()
                self.problem = None
            except OSError as error:
                if self.problem is None:
                    log.warning("the journals can't be watched for alarms: %s", error.strerror)
                self.problem = f"the journals can't be watched: {error.strerror}"
            await asyncio.sleep(0 if is_more else self._pause_s)

    def _tell(self, record: Record) -> None:
        for desk in self._desks:
            desk.take(record)

    def _look(self) -> list[Record]:
        """What is new in all journals, or the first of it; in a thread of its own."""
        records: list[Record] = []
        for name in self._names():
            tail = self._tails.get(name) or self._tail(name)
            while True:
                before = tail.place
                records += tail.read()
                if tail.place == before or len(records) > _AT_ONCE:
                    break
        return records

    def _look_and_note(self) -> None:
        try:
            for record in self._look():
                self._tell(record)
            self._note()
        except OSError as error:
            log.warning("the last alarms can't be read: %s", error.strerror)

    def _names(self) -> list[str]:
        return sorted(name for name in os.listdir(self._directory) if name.startswith(_PREFIX))

    def _tail(self, name: str) -> JournalTail:
        """From where it was read to; a journal that wasn't there then from its beginning."""
        place = None if self._noted is None else self._noted.get(name, Place())
        tail = self._tails[name] = JournalTail(self._directory / name, MARKS, place)
        return tail

    async def _note_now_and_then(self) -> None:
        self._unnoted_s += self._pause_s
        if self._unnoted_s >= _NOTE_S:
            self._unnoted_s = 0.0
            await asyncio.to_thread(self._note)

    def _note(self) -> None:
        places = {name: tail.place for name, tail in self._tails.items()}
        if places == self._noted:
            return
        own = self._directory / f"{FILE_NAME}.tmp"
        own.write_bytes(msgspec.json.encode(places))
        os.replace(own, self._directory / FILE_NAME)
        self._noted = places


def _read_places(file: Path) -> dict[str, Place] | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, Place])
    except (OSError, msgspec.MsgspecError):
        return None
