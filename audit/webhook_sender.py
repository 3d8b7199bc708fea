"""Sends alarms to a webhook, as one signed POST for several. Follows no redirects: they could lead anywhere."""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final

from audit.alarm import VERSION, Alarm, encoded
from audit.alarm_post import SendError
from audit.webhook import DELIVERY, SIGNATURE, TIMESTAMP, Hook, signature

_TIMEOUT_S: Final = 10.0  # for each step
_ALL_S: Final = 20.0
_LONGEST_BYTES: Final = 65_536  # of one alarm
_AGAIN: Final = frozenset({408, 425, 429})  # of the 4xx: not now


class WebhookSender:
    """The secret is read for each request, so that it can be exchanged. `now` gives seconds since 1970."""

    def __init__(
        self, hook: Hook, secret_file: Path, tls: ssl.SSLContext | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self._hook = hook
        self._secret_file = secret_file
        self._tls = tls
        self._now = now
        # Of its own: a receiver that hangs must not take threads from who ships records.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="webhook")
        self._connection: http.client.HTTPConnection | None = None

    @property
    def name(self) -> str:
        return str(self._hook)

    async def send(self, alarms: Sequence[Alarm]) -> None:
        listed = b",".join(encoded(alarm, _LONGEST_BYTES) for alarm in alarms)
        body = b'{"version":%d,"alarms":[%s]}' % (VERSION, listed)
        async with asyncio.timeout(_ALL_S):
            status = await asyncio.get_running_loop().run_in_executor(self._thread, self._post, body)
        if not 200 <= status < 300:
            is_final = 400 <= status < 500 and status not in _AGAIN
            raise SendError(f"it answers {status}", is_final=is_final)

    async def close(self) -> None:
        """Whoever answers byte by byte isn't waited for."""
        connection = self._connection
        if connection is not None and connection.sock is not None:
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def _post(self, body: bytes) -> int:
        secret = self._secret_file.read_bytes().strip()
        if not secret:
            raise SendError(f"{self._secret_file} is empty")
        timestamp = int(self._now())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "pgwarden",
            DELIVERY: str(uuid.uuid4()),
            TIMESTAMP: str(timestamp),
            SIGNATURE: signature(secret, timestamp, body),
        }
        connection = self._connection = self._made_connection()
        try:
            connection.request("POST", self._hook.target, body, headers)
            return connection.getresponse().status
        except http.client.HTTPException as error:
            raise SendError(f"it speaks no HTTP ({type(error).__name__})") from None
        finally:
            self._connection = None
            connection.close()

    def _made_connection(self) -> http.client.HTTPConnection:
        hook = self._hook
        if not hook.is_tls:
            return http.client.HTTPConnection(hook.host, hook.port, timeout=_TIMEOUT_S)
        return http.client.HTTPSConnection(hook.host, hook.port, timeout=_TIMEOUT_S, context=self._tls)
