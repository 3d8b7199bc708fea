"""Has the records of one sidecar go where they are wanted besides the store: daily files, syslog, webhooks.

None of it holds up statements or shipping; what is wrong with it stands in the metrics and in the log: a receiver
that is away makes no sidecar unready.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from audit.alarm_desk import Desk
from audit.alarm_post import Post, Sender
from audit.alarms import Alarms
from audit.exporter import Exporter
from audit.store import Store
from audit.store_records import StoreRecords
from audit.syslog import Sender as SyslogIdentity
from audit.syslog_sender import SyslogSender
from audit.webhook_sender import WebhookSender
from proxy.build import package_version
from proxy.config_ways_out import AlarmTarget, Export

log = logging.getLogger("pgwarden.supervisor")


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

    def metrics(self) -> Iterable[Metric]:
        """What is configured, counted. A receiver is named by its place, which holds no secret."""
        if self._exporter is not None:
            text = "Records written to daily files since the start"
            yield CounterMetricFamily("pgwarden_exported_records", text, self._exporter.records)
            text = "1 while records cannot be written to daily files"
            yield GaugeMetricFamily("pgwarden_export_failed", text, self._exporter.problem is not None)
        if self._alarms is not None:
            yield from _of_alarms(self._alarms.posts)


def _of_alarms(posts: Sequence[Post]) -> Iterable[Metric]:
    sent = CounterMetricFamily("pgwarden_alarms_sent", "Alarms that a receiver has taken", labels=["receiver"])
    text = "Alarms that no receiver got: it refused them, or too many waited"
    lost = CounterMetricFamily("pgwarden_alarms_lost", text, labels=["receiver"])
    waiting = GaugeMetricFamily("pgwarden_alarms_waiting", "Alarms on their way to a receiver", labels=["receiver"])
    for post in posts:
        sent.add_metric([post.name], post.sent)
        lost.add_metric([post.name], post.lost)
        waiting.add_metric([post.name], post.waiting)
    return sent, lost, waiting


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
