"""Keeps the daily files up with the store. Knows no SQL."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from audit.daily_files import DailyFiles
from audit.errors import AuditError
from audit.export_lines import Form
from audit.follower import Follower, Source

PAUSE_S: Final = 2.0
_LONGEST_BACKOFF_S: Final = 60.0

log = logging.getLogger("pgwarden.audit")


class Exporter:
    """`run` until cancelled. `problem` says why nothing is written just now. `keep_days` None: files are kept."""

    def __init__(
        self,
        source: Source,
        directory: Path,
        form: Form = Form.JSONL,
        keep_days: int | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        pause_s: float = PAUSE_S,
    ) -> None:
        self._source = source
        self._directory = directory
        self._form = form
        self._keep_days = keep_days
        self._clock = clock
        self._now = now
        self._pause_s = pause_s
        self.records = 0
        self.problem: str | None = None

    async def run(self) -> None:
        """A store that is away, a full disk or a folder that another process has is tried again, ever less often."""
        failures = 0
        while True:
            try:
                await self._run()
            except (AuditError, OSError) as error:
                failures = 0 if self.problem is None else failures + 1
                self._tell(error)
                await asyncio.sleep(min(_LONGEST_BACKOFF_S, self._pause_s * 2**failures))

    def _tell(self, error: Exception) -> None:
        if self.problem is None:
            log.warning("records aren't written to daily files: %s", error)
        self.problem = str(error)

    async def _run(self) -> None:
        files = await asyncio.to_thread(DailyFiles.open, self._directory, self._form)
        with closing(files):
            follower = Follower(self._source, files.position.chains, self._clock)
            while True:
                is_more = await self.write_next(follower, files)
                self.problem = None
                if not is_more:
                    await asyncio.sleep(self._pause_s)

    async def write_next(self, follower: Follower, files: DailyFiles) -> bool:
        """One round; whether there was anything."""
        records = await follower.next()
        if self._keep_days is not None:
            await asyncio.to_thread(files.drop, self._now(), self._keep_days)
        if records:
            await _to_its_end(files.write, records, follower.positions)
            self.records += len(records)
        return bool(records)


async def _to_its_end(write: Callable[..., None], *arguments: object) -> None:
    """In a thread, also when we are cancelled meanwhile: the folder's lock must not go before it has ended."""
    running = asyncio.create_task(asyncio.to_thread(write, *arguments))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
