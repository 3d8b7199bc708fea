"""The supervisor's side of one worker process: starts it, hears it, ends it. It knows one process, not the others.

The process is a fresh interpreter: a copy of this one, with its threads and its loop, would be no sound beginning.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from audit.errors import JournalError
from policies.budgets import Budget
from policies.errors import PolicyFileError
from proxy import control
from proxy.config import ConfigError
from proxy.control import Channel, Failed, Order, Question, Reply, State
from proxy.inheritance import Inheritance

_MODULE: Final = "proxy.worker_process"
_KILL_AFTER_S: Final = 5.0


class ChildEndedError(Exception):
    """A worker ended before it was ready and didn't say why."""


class Child:
    """One process at most lives at a time. `on_question` is told what it wants of the others.

    `state`: the last that was heard; `heard_at`: when, on the loop's clock, None before it is ready.
    """

    def __init__(
        self, given: Inheritance, environment: Mapping[str, str], on_question: Callable[[Child, Question], None]
    ) -> None:
        self._given = given
        self._environment = environment
        self._on_question = on_question
        self._channel: Channel[Order, Reply] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._ready: asyncio.Future[Failed | None] | None = None
        self._lifeline = -1
        self._state_heard = asyncio.Event()
        self.on_budgets: Callable[[Sequence[Budget]], None] = lambda budgets: None
        self.on_answer: Callable[[int], None] = lambda number: None
        self.state = State()
        self.heard_at: float | None = None

    @property
    def number(self) -> int:
        return self._given.number

    @property
    def process_id(self) -> int | None:
        return None if self._process is None else self._process.pid

    @property
    def is_ready(self) -> bool:
        return self.heard_at is not None

    async def start(self) -> None:
        """Starts the process; it waits for Begin. Raises OSError."""
        self.state, self.heard_at = State(), None
        self._ready = asyncio.get_running_loop().create_future()
        own_end, its_end = socket.socketpair()
        its_lifeline, self._lifeline = os.pipe()
        given = replace(self._given, channel=its_end.fileno(), lifeline=its_lifeline)
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                _MODULE,
                *given.arguments(),
                stdin=asyncio.subprocess.DEVNULL,
                env=dict(self._environment),
                pass_fds=(its_end.fileno(), its_lifeline, *given.files),
            )
        finally:
            its_end.close()
            os.close(its_lifeline)
        self._channel = Channel(Reply, self._hear)
        await self._channel.open(own_end)

    async def begin(self, order: control.Begin) -> None:
        """Returns when it is ready. Raises ConfigError, PolicyFileError, JournalError, OSError or ChildEndedError."""
        assert self._ready is not None, "a process is started before it begins"
        assert self._channel is not None
        self.send(order)
        await asyncio.wait({self._ready, self._channel.lost}, return_when=asyncio.FIRST_COMPLETED)
        if not self._ready.done():
            raise ChildEndedError(f"worker {self.number} ended while it started")
        failure = self._ready.result()
        if failure is not None:
            raise _error_of(failure)

    def send(self, order: Order) -> None:
        if self._channel is not None:
            self._channel.send(order)

    async def fresh_state(self, limit_s: float) -> None:
        """Has it say how it is. Returns when it did, or when time is up."""
        if not self.is_ready:
            return
        self._state_heard.clear()
        self.send(control.Report())
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._state_heard.wait()

    async def ended(self) -> int:
        """Its exit code, below 0 for a signal, once it has ended and all that it said has been heard."""
        assert self._process is not None
        assert self._channel is not None
        code = await self._process.wait()
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._channel.lost), _KILL_AFTER_S)
        self._channel.close()
        self.heard_at = None
        self._let_go()
        return code

    async def end(self, order: control.Stop | control.Drain, limit_s: float) -> None:
        """Returns when the process is gone; one that doesn't go within `limit_s` is killed."""
        if self._process is None or self._process.returncode is not None:
            return
        self.send(order)
        try:
            await asyncio.wait_for(self._process.wait(), limit_s)
        except TimeoutError:
            self.kill()
            await self._process.wait()
        await self.ended()

    def kill(self) -> None:
        """kill -9: for one that doesn't answer."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()

    def _hear(self, reply: Reply) -> None:
        match reply:
            case control.Ready():
                self.heard_at = asyncio.get_running_loop().time()
                self._tell_ready(None)
            case Failed():
                self._tell_ready(reply)
            case State():
                self.state = reply
                if self.heard_at is not None:
                    self.heard_at = asyncio.get_running_loop().time()
                self._state_heard.set()
            case Question():
                self._on_question(self, reply)
            case control.Budgets(budgets):
                self.on_budgets(budgets)
            case control.Answer(number):
                self.on_answer(number)

    def _tell_ready(self, failure: Failed | None) -> None:
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(failure)

    def _let_go(self) -> None:
        lifeline, self._lifeline = self._lifeline, -1
        if lifeline >= 0:
            os.close(lifeline)


def _error_of(failure: Failed) -> Exception:
    match failure.kind:
        case "configuration":
            return ConfigError(failure.texts)
        case "policies":
            return PolicyFileError(failure.problems)
        case "journal":
            return JournalError("; ".join(failure.texts))
        case _:
            return OSError("; ".join(failure.texts))
