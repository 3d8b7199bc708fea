"""One worker as a process of its own: does what its supervisor orders over the control channel, and ends with it.

Started as `python -m proxy.worker_process` by `proxy.child`, never by people. Decides nothing about statements.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import signal
import socket
import sys
import threading
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from datetime import date
from typing import Any, Final

from audit.errors import AuditError, JournalInUseError
from audit.journal import Journal
from policies.errors import PolicyFileError
from proxy import control
from proxy.allowances import Allowances
from proxy.board import AWAY, Board, SharedLoads
from proxy.buckets import SharedBuckets
from proxy.config import Config, ConfigError
from proxy.control import Begin, CancelKnown, CatalogChanged, Channel, Drain, Failed, Order, Question, Reply, State
from proxy.garbage import settle
from proxy.inheritance import FORMER_S, Inheritance
from proxy.key_ring import KeyRing
from proxy.key_source import read_key
from proxy.lane_board import LaneBoard
from proxy.logs import LogFormat, set_up
from proxy.loop import loop_factory
from proxy.net.places import inherited
from proxy.places import upstreams_of
from proxy.purse_book import PurseBook
from proxy.purse_file import PurseFile
from proxy.questions import Questions
from proxy.quotas import Quotas
from proxy.server_links import lane_count
from proxy.tallies import Tallies
from proxy.worker import Worker

DRAIN_S: Final = 30.0
_TRY_AGAIN_S: Final = 0.1
_STATE_S: Final = 1.0
_OTHERS_S: Final = 1.0  # how long others' DDL waits for us, as for sessions of the same worker
_ORPHAN_S: Final = 10.0
_ASKED_AT_ONCE: Final = 16
_LAST_WORDS_S: Final = 1.0

log = logging.getLogger("pgwarden.worker")


class WorkerProcess:
    """`run` returns the exit code."""

    def __init__(self, given: Inheritance) -> None:
        self._given = given
        self._tallies = Tallies()
        self._board = Board(given.board, given.workers)
        self._channel: Channel[Reply, Order] = Channel(Order, self._hear)
        self._questions = Questions()
        self._asked_slots = asyncio.Semaphore(_ASKED_AT_ONCE)
        self._begin: asyncio.Future[Begin] = asyncio.get_running_loop().create_future()
        self._end: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[None]] = set()
        self._worker: Worker | None = None
        self._journal: Journal | None = None
        self._ring = KeyRing()
        self._quotas: Quotas | None = None

    async def run(self) -> int:
        await self._channel.open(socket.socket(fileno=self._given.channel))
        self._channel.lost.add_done_callback(lambda _: self._request_end(0.0))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._request_end, DRAIN_S)
        code = await self._start_and_wait()
        await self._stop()
        return code

    async def _start_and_wait(self) -> int:
        await _first_of(self._begin, self._end)
        if not self._begin.done():
            return 0
        begin = self._begin.result()
        starting = asyncio.create_task(self._start(pickle.loads(begin.config), begin.shop_dsn))
        await _first_of(starting, self._end)
        if not starting.done():
            starting.cancel()
            await asyncio.wait({starting})
            return 0
        failure = _failure_of(starting)
        if failure is not None:
            self._channel.send(failure)
            return 1
        self._tell_state()
        self._channel.send(control.Ready())
        self._spawn(self._report())
        await self._drain(await self._end)
        return 0

    async def _start(self, config: Config, shop_dsn: str) -> None:
        number = self._given.number
        journal = self._journal = await _opened_journal(config, number)
        upstreams = upstreams_of(config, shop_dsn)
        loads = SharedLoads(self._board, number)
        self._ring.set_max_age(config.keys.max_age)
        self._quotas = Quotas.open(config.audit.directory)
        allowances = Allowances(SharedBuckets(self._board), self._ring, self._quotas)
        lanes = LaneBoard(self._given.lanes, self._given.workers, lane_count(config))
        self._worker = worker = Worker(
            config,
            upstreams,
            journal,
            self._tallies,
            os.environ,
            time.time,
            loads,
            allowances,
            self._ring,
            self,
            lanes,
            number,
            self._purse_book(),
        )
        await worker.start()
        settle()

    def _purse_book(self) -> PurseBook:
        file = PurseFile(self._given.purses, self._given.workers)
        return PurseBook(file, self._given.number, lambda budgets: self._channel.send(control.Budgets(budgets)))

    async def _drain(self, limit_s: float) -> None:
        if limit_s > 0 and self._worker is not None:
            log.info("draining", extra={"fields": {"limit_s": limit_s}})
            await self._worker.drain(limit_s)

    async def _stop(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        self._questions.give_up()
        if self._worker is not None:
            await self._worker.stop()
        if self._journal is not None:
            await asyncio.to_thread(self._journal.close)
        if self._quotas is not None:
            self._quotas.close()
        self._tell_state()
        self._channel.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._channel.lost), _LAST_WORDS_S)

    def _request_end(self, drain_s: float) -> None:
        if not self._end.done():
            self._end.set_result(drain_s)

    # orders

    def _hear(self, order: Order) -> None:
        match order:
            case Begin():
                self._begin.set_result(order)
            case control.Listen() if self._worker is not None:
                self._worker.listen(inherited(self._given.doors))
            case control.Report():
                self._tell_state()
            case control.Reload() if self._worker is not None:
                self._spawn(self._worker.reload())
            case Drain(limit_s):
                self._request_end(limit_s)
            case control.Stop():
                self._request_end(0.0)
            case control.Keys() | control.KeysSeen():
                self._hear_of_keys(order)
            case Question(number, about):
                self._spawn(self._answer(number, about))
            case control.Answer(number):
                self._questions.answered(number)

    def _hear_of_keys(self, order: control.Keys | control.KeysSeen) -> None:
        match order:
            case control.Keys(keys):
                self._ring.replace(keys)
            case control.KeysSeen(age_s, month, elsewhere):
                self._ring.confirm(age_s)
                self._ring.set_elsewhere(date.fromisoformat(month), elsewhere)
                if self._worker is not None and self._worker.is_started:
                    self._worker.end_without_keys()

    async def _answer(self, number: int, about: CancelKnown | CatalogChanged) -> None:
        try:
            if self._worker is not None and self._worker.is_started:
                await self._do(self._worker, about)
        finally:
            self._channel.send(control.Answer(number))

    async def _do(self, worker: Worker, about: CancelKnown | CatalogChanged) -> None:
        match about:
            case CancelKnown(process_id, secret_key):
                await worker.listener.cancel_here(process_id, secret_key)
            case CatalogChanged(database):
                await worker.listener.catalog_changed(database)

    async def _report(self) -> None:
        while True:
            self._tell_state()
            if self._worker is not None:
                self._worker.listener.tell_links()  # a supervisor that took us for dead wrote us off
            await asyncio.sleep(_STATE_S)

    def _tell_state(self) -> None:
        worker, journal = self._worker, self._journal
        if worker is None or journal is None:
            return
        state = State(
            worker.tallies.values(),
            dict(worker.unreachable),
            worker.policy_problem,
            worker.policy_fingerprint,
            journal.position,
            journal.is_failed,
            worker.wants_keys,
            journal.signing_problem,
        )
        self._channel.send(state)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Neighbours

    def lead(self) -> int:
        return self._board.lead(self._given.number)

    def has_links(self, count: int) -> None:
        self._board.set_links(self._given.number, count)

    def is_away(self) -> None:
        self._board.set_links(self._given.number, AWAY)

    async def cancel(self, process_id: int, secret_key: bytes) -> None:
        if self._given.workers > 1:
            async with self._asked_slots:
                await self._ask(CancelKnown(process_id, secret_key))

    async def catalog_changed(self, database: str) -> None:
        if self._given.workers > 1:
            await self._ask(CatalogChanged(database), _OTHERS_S)

    async def _ask(self, about: CancelKnown | CatalogChanged, limit_s: float = 5.0) -> None:
        await self._questions.ask(lambda number: self._channel.send(Question(number, about)), limit_s)


async def _opened_journal(config: Config, number: int) -> Journal:
    """Raises AuditError or ConfigError. A worker whose supervisor was killed may need a moment to end."""
    audit = config.audit
    key = read_key(audit.signing_key, os.environ)
    until = time.monotonic() + FORMER_S
    while True:
        try:
            return await asyncio.to_thread(
                Journal.open,
                audit.directory,
                number,
                durability=audit.durability,
                signing_key=key,
                limit_bytes=audit.journal_limit and audit.journal_limit // config.workers,
            )
        except JournalInUseError:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(_TRY_AGAIN_S)


async def _first_of(*futures: asyncio.Future[Any]) -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


def _failure_of(starting: asyncio.Task[None]) -> Failed | None:
    """For the person at the supervisor's command line."""
    error = starting.exception()
    match error:
        case None:
            return None
        case ConfigError():
            return Failed("configuration", error.problems)
        case PolicyFileError():
            return Failed("policies", [], error.problems)
        case AuditError():
            return Failed("journal", [str(error)])
        case OSError():
            return Failed("system", [str(error)])
        case _:
            log.error("the start failed", exc_info=error)
            return Failed("system", [type(error).__name__])


def _end_with_supervisor(lifeline: int) -> None:
    """In a thread, as a loop that hangs sees nothing: the lifeline's end means that nobody ships for us any more."""
    with suppress(OSError):
        os.read(lifeline, 1)
    time.sleep(_ORPHAN_S)
    os._exit(1)


async def _run(given: Inheritance) -> int:
    return await WorkerProcess(given).run()


def main(arguments: Sequence[str]) -> int:
    given = Inheritance.of(arguments)
    # A terminal's Ctrl-C and hang-up reach the whole group; the supervisor says what they mean.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    set_up(LogFormat(given.log_format), sys.stderr, given.log_level, given.number)
    threading.Thread(target=_end_with_supervisor, args=(given.lifeline,), daemon=True).start()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_run(given))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
