"""Has the records of one sidecar go where they are wanted besides the store: daily files, syslog, webhooks.

None of it holds up statements or shipping; what is wrong with it stands on /readyz, in the metrics and in the log.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from audit.alarm_post import Post, Sender
from audit.alarms import Alarms, Desk
from audit.exporter import Exporter
from audit.store import Store
from audit.store_records import StoreRecords
from audit.syslog import Sender as SyslogIdentity
from audit.syslog_sender import SyslogSender
from audit.webhook_sender import WebhookSender
from proxy.build import package_version
from proxy.config_ways_out import AlarmTarget, Export

log = logging.getLogger("pgwarden.supervisor")

NOTHING: Final = ""


@dataclass(frozen=True, slots=True)
class Receiver:
    """How it stands with one receiver of alarms, for metrics. `name` holds no secret."""

    name: str
    sent: int
    lost: int
    waiting: int


class WaysOut:
    """`start` once the journals' folder is there; `stop` when the workers and the supervisor's journal have ended."""

    def __init__(self, directory: Path, store_dsn: str, export: Export | None, targets: Iterable[AlarmTarget]) -> None:
        """Raises OSError for a certificate authority that can't be read."""
        self._store = Store(store_dsn)
        self._exporter = None if export is None else _exporter(self._store, export)
        desks = [_desk(target) for target in targets]
        self._alarms = Alarms(directory, desks) if desks else None
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        for name, way in (("daily files", self._exporter), ("alarms", self._alarms)):
            if way is not None:
                task = asyncio.create_task(way.run(), name=name)
                task.add_done_callback(_tell_failure)
                self._tasks.append(task)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._alarms is not None:
            with suppress(OSError):
                await self._alarms.finish()
        await self._store.close()

    @property
    def problems(self) -> dict[str, str]:
        """By what is configured: why it doesn't work just now, or nothing."""
        found: dict[str, str] = {}
        if self._exporter is not None:
            found["export"] = self._exporter.problem or NOTHING
        if self._alarms is not None:
            told = [f"{post.name}: {post.problem}" for post in self._alarms.posts if post.problem]
            found["alarms"] = "; ".join([*told, *([self._alarms.problem] if self._alarms.problem else [])])
        return found

    @property
    def receivers(self) -> list[Receiver]:
        posts = [] if self._alarms is None else self._alarms.posts
        return [Receiver(post.name, post.sent, post.lost, post.waiting) for post in posts]

    @property
    def exported_records(self) -> int:
        return 0 if self._exporter is None else self._exporter.records


def _exporter(store: Store, export: Export) -> Exporter:
    return Exporter(StoreRecords(store), export.directory, export.format, export.keep_days)


def _desk(target: AlarmTarget) -> Desk:
    return Desk(Post(_sender(target)), target.send, target.sql_text)


def _sender(target: AlarmTarget) -> Sender:
    tls = ssl.create_default_context(cafile=None if target.ca is None else str(target.ca))
    if target.hook is not None:
        assert target.secret_file is not None, "the configuration asks for it"
        return WebhookSender(target.hook, target.secret_file, tls)
    assert target.place is not None, "it is one or the other"
    who = SyslogIdentity(target.facility, socket.gethostname(), os.getpid(), package_version())
    return SyslogSender(target.place, who, tls if target.place.scheme == "tls" else None)


def _tell_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("%s have failed", task.get_name(), exc_info=task.exception())
