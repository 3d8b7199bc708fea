"""What closed sessions leave in memory: nothing, and nothing that waits for Python's collector."""

import asyncio
import gc
from collections import Counter
from pathlib import Path

import psycopg

from proxy.net.link import ClientLink
from proxy.net.timers import Timers
from proxy.net.upstream import ServerLink
from proxy.session.conversation import Conversation
from proxy.session.session import Session
from tests.fix_servers import TestServer
from tests.unit.net.worker_stage import WorkerStage, worker_before

_KINDS = (ClientLink, ServerLink, Session, Conversation, Timers)
_SESSIONS = 40


def _alive() -> Counter[str]:
    """How many there are, garbage included."""
    return Counter(type(each).__name__ for each in gc.get_objects() if isinstance(each, _KINDS))


async def _session(stage: WorkerStage) -> None:
    async with await psycopg.AsyncConnection.connect(stage.dsn(), autocommit=True) as connection:
        await connection.execute("SELECT id, email FROM shop.customers WHERE id = %s", [1])
        try:
            await connection.execute("SELECT 1 FROM shop.salaries")
        except psycopg.errors.InsufficientPrivilege:
            await connection.execute("SELECT 2")


async def test_closed_sessions_are_freed_at_once(server18: TestServer, tmp_path: Path) -> None:
    async with worker_before(server18, tmp_path) as stage:
        await _session(stage)
        gc.collect()
        gc.disable()
        try:
            for _ in range(_SESSIONS):
                await _session(stage)
            async with asyncio.timeout(10):
                while any(_alive().values()):
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"what is left of {_SESSIONS} sessions: {_alive()}") from None
        finally:
            gc.enable()
