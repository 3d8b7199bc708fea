"""Group commit: one thread syncs what many appended, and tells those who wait. Knows nothing of records or
files.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from audit.errors import JournalError

Sync = Callable[[], int]  # makes everything appended so far durable and gives the position reached


@dataclass(frozen=True, slots=True)
class _Waiter:
    position: int
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[None]


class _Bell:
    """Rung by any thread, heard by one. One lock and no more: while the waiter runs, the loop's thread waits."""

    def __init__(self) -> None:
        self._silence = threading.Lock()
        self._silence.acquire()

    def ring(self) -> None:
        """Rings that nobody has heard yet are one."""
        if self._silence.locked():
            with suppress(RuntimeError):  # another thread was faster
                self._silence.release()

    def wait(self, limit_s: float = -1) -> None:
        """Until it rings, or so many seconds; below zero without a limit."""
        self._silence.acquire(timeout=limit_s)


class GroupCommit:
    """Runs `sync` in a thread of its own, `gather_s` seconds after the first wake, so that many share it.

    With `is_hurried` it runs at once when somebody waits, and what nobody waits for is still gathered.

    A sync that fails ends it for good: after a failed fsync the kernel may have dropped the pages, so a
    second one that succeeds would prove nothing.
    """

    def __init__(self, sync: Sync, gather_s: float, is_hurried: bool = False) -> None:
        self._sync = sync
        self._gather_s = gather_s
        self._is_hurried = is_hurried
        self._lock = threading.Lock()
        self._wanted = _Bell()
        self._urgent = _Bell()
        self._is_stopping = False
        self._waiters: list[_Waiter] = []
        self._position = 0
        self._is_over = False
        self._thread = threading.Thread(target=self._run, name="journal-sync", daemon=True)

    @property
    def position(self) -> int:
        """Everything before this position is on the disk."""
        return self._position

    def start(self, position: int) -> None:
        self._position = position
        self._thread.start()

    def wake(self) -> None:
        """Something was appended. Cheap when a sync is already due."""
        self._wanted.ring()

    def stop(self) -> None:
        """Syncs once more and ends the thread. Those still waiting are released or told of the failure."""
        self._is_stopping = True
        self._urgent.ring()
        self._wanted.ring()
        self._thread.join()

    async def wait(self, position: int) -> None:
        """Returns when everything before `position` is on the disk. Raises JournalError if syncing failed."""
        if self._position >= position:
            return
        loop = asyncio.get_running_loop()
        waiter = _Waiter(position, loop, loop.create_future())
        with self._lock:
            self._waiters.append(waiter)
        if self._is_over or self._position >= position:  # it may have ended before the waiter was in the list
            self._release()
        if self._is_hurried:
            self._urgent.ring()
        self.wake()
        await waiter.future

    def _run(self) -> None:
        while not self._is_stopping:
            self._wanted.wait()
            self._urgent.wait(self._gather_s)
            for bell in (self._urgent, self._wanted):  # what rang until now is served by this sync
                bell.wait(0)
            if not self._sync_once():
                break
        else:
            self._sync_once()
        self._is_over = True
        self._release()

    def _sync_once(self) -> bool:
        try:
            self._position = max(self._position, self._sync())
        except OSError:
            return False
        self._release()
        return True

    def _release(self) -> None:
        """Tells those who needn't wait any longer: one call into each loop, as each of them is a system call."""
        with self._lock:
            waiters, self._waiters = self._waiters, []
            done: dict[asyncio.AbstractEventLoop, list[_Waiter]] = {}
            for waiter in waiters:
                if self._is_over or waiter.position <= self._position:
                    done.setdefault(waiter.loop, []).append(waiter)
                else:
                    self._waiters.append(waiter)
            position = self._position
        for loop, released in done.items():
            try:
                loop.call_soon_threadsafe(_settle, released, position)
            except RuntimeError:  # the loop is closed: nobody waits any more
                continue


def _settle(waiters: list[_Waiter], position: int) -> None:
    for waiter in waiters:
        if waiter.future.done():
            continue
        if waiter.position <= position:
            waiter.future.set_result(None)
        else:
            waiter.future.set_exception(JournalError("the journal can't be synced to its disk"))
