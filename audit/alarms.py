"""Watches the journals of one sidecar, and has receivers told of what concerns them. Knows no protocol and no store.

It reads what workers have written, beside the shippers, so it costs statements nothing and waits for no store. How far
each receiver has been told stands in `alarms.json` in the journals' folder: what happened while we or it were away is
told later, as long as the journals hold it; after a kill what was told last may be told twice.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from audit.alarm import MARKS
from audit.alarm_desk import Desk, earliest, furthest
from audit.alarm_post import Post
from audit.journal_tail import JournalTail, Place
from audit.record import Record

FILE_NAME: Final = "alarms.json"
_PAUSE_S: Final = 0.25
_NOTE_S: Final = 2.0
_FINISH_S: Final = 3.0
_AT_ONCE: Final = 2_000  # records, about: a client that is refused for ever must not keep us from all else
_PREFIX: Final = "worker-"

log = logging.getLogger("pgwarden.audit")

Places = dict[str, dict[str, Place]]  # by receiver, by journal
Read = tuple[str, Place, list[tuple[Place, Record]]]  # a journal, how far it was read, and what is marked in it


class Alarms:
    """`run` until cancelled, then `finish`."""

    def __init__(self, directory: Path, desks: Sequence[Desk], pause_s: float = _PAUSE_S) -> None:
        self._directory = directory
        self._desks = tuple(desks)
        self._pause_s = pause_s
        self._tails: dict[str, JournalTail] = {}
        self._starts: dict[str, Place] | None = None  # None: nobody was ever told anything here
        self._noted: Places = {}
        self._lock = threading.Lock()
        self._unsaid: list[Read] = []
        self._unnoted_s = 0.0
        self.problem: str | None = None

    @property
    def posts(self) -> list[Post]:
        return [desk.post for desk in self._desks]

    async def run(self) -> None:
        """A folder that can't be read is tried again; receivers have their own patience."""
        await asyncio.to_thread(self._begin)
        async with asyncio.TaskGroup() as group:
            for post in self.posts:
                group.create_task(post.run(), name=f"alarms to {post.name}")
            group.create_task(self._watch())

    async def finish(self) -> None:
        """After `run` has been cancelled: what is there is told, to who takes it at once."""
        try:
            await asyncio.to_thread(self._look)
        except OSError as error:
            log.warning("the last alarms can't be read: %s", error.strerror)
        self._tell()
        for tail in self._tails.values():
            tail.close()
        await asyncio.gather(*(post.finish(_FINISH_S) for post in self.posts))
        await asyncio.to_thread(self._note)

    def _begin(self) -> None:
        """A receiver that is new is told what the others haven't been told yet."""
        noted = _read_places(self._directory / FILE_NAME)
        if noted is None:
            return
        known = furthest(list(noted.values()))
        for desk in self._desks:
            desk.begin(noted.get(desk.name, known))
        self._starts = earliest([desk.told for desk in self._desks])

    async def _watch(self) -> None:
        while True:
            is_more = False
            try:
                is_more = await asyncio.to_thread(self._look) > _AT_ONCE
                self._tell()
                await self._note_now_and_then()
                self.problem = None
            except OSError as error:
                if self.problem is None:
                    log.warning("the journals can't be watched for alarms: %s", error.strerror)
                self.problem = f"the journals can't be watched: {error.strerror}"
            await asyncio.sleep(0 if is_more else self._pause_s)

    def _tell(self) -> None:
        with self._lock:
            found, self._unsaid = self._unsaid, []
        for name, place, records in found:
            for desk in self._desks:
                desk.take(name, place, records)

    def _look(self) -> int:
        """Reads what is new in all journals, or the first of it; gives how many records that were.

        In a thread of its own, which goes on when who waited for it is cancelled: what it read isn't lost.
        """
        with self._lock:
            return sum(map(self._look_at, self._names()))

    def _look_at(self, name: str) -> int:
        tail, count = self._tails.get(name) or self._tail(name), 0
        while count <= _AT_ONCE:
            before, records = tail.place, tail.read()
            if tail.place == before:
                break
            self._unsaid.append((name, tail.place, records))
            count += len(records)
        return count

    def _names(self) -> list[str]:
        return sorted(name for name in os.listdir(self._directory) if name.startswith(_PREFIX))

    def _tail(self, name: str) -> JournalTail:
        """From where it was told to; a journal that wasn't there then from its beginning."""
        place = None if self._starts is None else self._starts.get(name, Place())
        tail = self._tails[name] = JournalTail(self._directory / name, MARKS, place)
        if place is None:
            for desk in self._desks:
                desk.told[name] = tail.place
        return tail

    async def _note_now_and_then(self) -> None:
        if self._starts is None:
            self._starts = {}  # what comes from now on is new
        self._unnoted_s += self._pause_s
        if self._unnoted_s >= _NOTE_S:
            self._unnoted_s = 0.0
            await asyncio.to_thread(self._note)

    def _note(self) -> None:
        places = {desk.name: dict(desk.look()) for desk in self._desks}
        if places == self._noted:
            return
        own = self._directory / f"{FILE_NAME}.tmp"
        own.write_bytes(msgspec.json.encode(places))
        os.replace(own, self._directory / FILE_NAME)
        self._noted = places


def _read_places(file: Path) -> Places | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Places)
    except (OSError, msgspec.MsgspecError):
        return None
