"""All workers of a sidecar: starts them, carries what one asks of the others, and replaces one that dies or hangs.

It knows nothing of records: `on_change` is told when a worker's journal is in its hands (True) or no longer (False).
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from audit.errors import AuditError
from policies.errors import PoliciesError
from proxy import control
from proxy.board import AWAY, Board
from proxy.child import Child, ChildEndedError
from proxy.config import ConfigError
from proxy.control import Begin, Order, Question
from proxy.inheritance import Inheritance
from proxy.lane_board import LaneBoard
from proxy.tallies import OF_NOW, Tallies, added_up

_FIRST_BACKOFF_S: Final = 0.1
_LONGEST_BACKOFF_S: Final = 10.0
_SOUND_S: Final = 30.0  # who lived that long didn't die of its start
_LOOK_S: Final = 1.0
SILENT_S: Final = 5.0  # not ready: a worker says how it is each second
_HANGS_S: Final = 60.0  # it is replaced then: the longest reading of a catalog or policy is far below
_STATE_S: Final = 1.0
_STOP_S: Final = 8.0  # a worker gives its links a second and its journal the rest
_ANSWER_S: Final = 5.0

log = logging.getLogger("pgwarden.supervisor")


class Crew:
    """`born_with`: by worker, from 1 on. `start`, then `listen`; `drain` or `stop` end it."""

    def __init__(
        self,
        born_with: Sequence[Inheritance],
        environment: Mapping[str, str],
        board: Board,
        lanes: LaneBoard,
        on_change: Callable[[int, bool], None],
    ) -> None:
        self._board = board
        self._lanes = lanes
        self._on_change = on_change
        self.children = [Child(given, environment, self._pass_on) for given in born_with]
        self._begin: Begin | None = None
        self._retired: list[dict[str, Any]] = []
        self._waiting: dict[int, _Asked] = {}
        self._last_number = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_ending = False
        for child in self.children:
            child.on_answer = lambda number, child=child: self._answered(number, child)  # type: ignore[misc]

    async def start(self) -> None:
        """Starts all processes; they wait for `begin`. Raises OSError."""
        await asyncio.gather(*(child.start() for child in self.children))

    async def begin(self, order: Begin) -> None:
        """Returns when all are ready; the first one says what is wrong for all. Raises as `Child.begin`."""
        self._begin = order
        first, *others = self.children
        await self._begin_one(first, order)
        await asyncio.gather(*(self._begin_one(child, order) for child in others))

    def listen(self) -> None:
        """Clients may come; from now on a worker that ends is replaced."""
        for child in self.children:
            child.send(control.Listen())
            self._spawn(self._keep(child))
        self._spawn(self._look_after())

    async def drain(self, limit_s: float) -> None:
        await self._end(control.Drain(limit_s), limit_s + _STOP_S)

    async def stop(self) -> None:
        await self._end(control.Stop(), _STOP_S)

    @property
    def wants_keys(self) -> bool:
        """Whether a principal may log in by API keys of the store, as workers said last."""
        return any(child.state.wants_keys for child in self.children)

    def tell(self, order: Order) -> None:
        """All that are ready; those that come later are told at their start."""
        for child in self.children:
            if child.is_ready:
                child.send(order)

    def reload(self) -> None:
        for child in self.children:
            child.send(control.Reload())

    async def refresh(self) -> None:
        """Has all say how they are now; who doesn't answer within a second counts with what it said last."""
        await asyncio.gather(*(child.fresh_state(_STATE_S) for child in self.children))

    def tallies(self) -> Tallies:
        """Of all workers, those that have died included."""
        current = [child.state.tallies for child in self.children]
        # Each worker loads the same policies: one bad edit is one.
        others = [{**values, **_NO_LOADS} for values in current[1:]]
        return added_up([*current[:1], *others, *self._retired])

    def silent(self) -> dict[int, str]:
        """Workers that couldn't take a client now, and why."""
        now = asyncio.get_running_loop().time()
        found = {}
        for child in self.children:
            if child.heard_at is None:
                found[child.number] = "it is being started"
            elif now - child.heard_at > SILENT_S:
                found[child.number] = "it doesn't answer"
        return found

    async def _begin_one(self, child: Child, order: Begin) -> None:
        await child.begin(order)
        self._on_change(child.number, True)

    async def _end(self, order: control.Stop | control.Drain, limit_s: float) -> None:
        self._is_ending = True
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(child.end(order, limit_s) for child in self.children))

    # replacing

    async def _keep(self, child: Child) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            began = loop.time()
            code = await child.ended()
            self._lost(child, code)
            failures = 0 if loop.time() - began > _SOUND_S else failures + 1
            await asyncio.sleep(min(_LONGEST_BACKOFF_S, _FIRST_BACKOFF_S * 2.0 ** min(failures, 10)))
            await self._replace(child)

    async def _replace(self, child: Child) -> None:
        assert self._begin is not None
        try:
            await child.start()
            await self._begin_one(child, self._begin)
        except (ConfigError, PoliciesError, AuditError, OSError, ChildEndedError) as error:
            log.error("a worker can't be started again: %s", error, extra={"fields": {"of_worker": child.number}})
            return
        child.send(control.Listen())
        log.info("a worker has been started again", extra={"fields": {"of_worker": child.number}})

    def _lost(self, child: Child, code: int) -> None:
        ended = {"of_worker": child.number, "by": signal.Signals(-code).name if code < 0 else f"exit code {code}"}
        log.log(logging.INFO if code == 0 else logging.ERROR, "a worker has ended", extra={"fields": ended})
        self._board.forget(child.number)
        self._lanes.forget(child.number)
        self._retired.append(child.state.tallies | dict.fromkeys(OF_NOW, 0) | (_NO_LOADS if child.number != 1 else {}))
        self._retired[:] = [added_up(self._retired).values()]
        child.state = control.State(position=child.state.position)
        self._on_change(child.number, False)
        for number in tuple(self._waiting):
            self._answered(number, child)

    async def _look_after(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_LOOK_S)
            for child in self.children:
                if child.heard_at is None:
                    continue
                if loop.time() - child.heard_at > SILENT_S:
                    self._board.set_links(child.number, AWAY)  # the others needn't wait for it
                if loop.time() - child.heard_at > _HANGS_S:
                    log.error("a worker hangs and is replaced", extra={"fields": {"of_worker": child.number}})
                    child.kill()

    # what one asks of all others

    def _pass_on(self, asking: Child, question: Question) -> None:
        others = {child for child in self.children if child is not asking and child.is_ready}
        self._last_number += 1
        number = self._last_number
        asked = _Asked(asking, question.number, others)
        if not others:
            asked.tell()
            return
        self._waiting[number] = asked
        asyncio.get_running_loop().call_later(_ANSWER_S, self._waiting.pop, number, None)
        for child in others:
            child.send(Question(number, question.about))

    def _answered(self, number: int, child: Child) -> None:
        asked = self._waiting.get(number)
        if asked is None:
            return
        asked.others.discard(child)
        if not asked.others:
            del self._waiting[number]
            asked.tell()

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Asked:
    """A question that others work on: who asked it, under which number, and who hasn't answered yet."""

    def __init__(self, asking: Child, number: int, others: set[Child]) -> None:
        self.asking = asking
        self.number = number
        self.others = others

    def tell(self) -> None:
        self.asking.send(control.Answer(self.number))


_NO_LOADS: Final = {"policy_loads_ok": 0, "policy_loads_failed": 0}
