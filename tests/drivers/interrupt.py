"""Statements that run until they are cancelled, and cancels that come neither too early nor too late."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

from tests.fix_pgwarden import Pgwarden, until

_RUNNING = b"""
    SELECT 1 FROM pg_stat_activity
    WHERE state = 'active' AND strpos(query, %s) > 0 AND pid <> pg_backend_pid() AND now() > query_start"""


def endless(mark: str) -> str:
    """Allowed to everybody. `mark` tells it from other tests' statements. The planner holds it for cheap: a server
    with JIT would compile an expensive one, and a cancel that comes meanwhile has been seen to get lost there.
    """
    return f"WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n % 9 + 1 FROM t) SELECT count(*), '{mark}' FROM t"


def wait_until_running(pgwarden: Pgwarden, mark: str) -> None:
    with psycopg.connect(pgwarden.server.dsn(pgwarden.database), autocommit=True) as direct:
        until(lambda: direct.execute(_RUNNING, (mark,)).fetchone(), f"the server to run {mark}")


@contextmanager
def cancelled(pgwarden: Pgwarden, mark: str, cancel: Callable[[], object]) -> Iterator[None]:
    """Calls `cancel` in a thread of its own once the server runs the statement that the block sends."""

    def watch() -> None:
        wait_until_running(pgwarden, mark)
        cancel()

    thread = threading.Thread(target=watch)
    thread.start()
    yield
    thread.join()
