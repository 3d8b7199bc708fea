"""Sends alarms to a syslog: datagrams over UDP or a unix socket, or a stream over TCP or TLS."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from audit.alarm import Alarm, Level, encoded
from audit.syslog import Place, Sender, framed, sequence_id

_CONNECT_S: Final = 10.0
_HEAD_BYTES: Final = 400  # at most, before the message's own text
_SEVERITIES: Final = {Level.ALARM: 2, Level.DENIAL: 4, Level.NOTE: 6}  # critical, warning, informational


class SyslogSender:
    """`tls` for a `tls` place. A datagram that got lost on its way is lost: that is UDP's nature."""

    def __init__(self, place: Place, sender: Sender, tls: ssl.SSLContext | None = None) -> None:
        self._place = place
        self._sender = sender
        self._tls = tls
        self._sent = 0
        self._socket: socket.socket | None = None
        self._stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @property
    def name(self) -> str:
        return str(self._place)

    async def send(self, alarms: Sequence[Alarm]) -> None:
        messages = [self._message(alarm, number) for number, alarm in enumerate(alarms, self._sent + 1)]
        try:
            async with asyncio.timeout(_CONNECT_S):
                await self._connect()
                await self._send(messages)
        except BaseException:
            await self.close()
            raise
        self._sent += len(messages)

    async def close(self) -> None:
        own, self._socket = self._socket, None
        if own is not None:
            own.close()
        stream, self._stream = self._stream, None
        if stream is not None:
            stream[1].close()
            with suppress(OSError):
                await stream[1].wait_closed()

    def _message(self, alarm: Alarm, number: int) -> bytes:
        body = encoded(alarm, self._place.longest_bytes - _HEAD_BYTES)
        return self._sender.message(_SEVERITIES[alarm.level], alarm.at, alarm.name, sequence_id(number), body)

    async def _connect(self) -> None:
        if self._stream is not None and self._stream[0].at_eof():
            await self.close()  # the receiver has gone, and what is written now would be lost
        if self._socket is not None or self._stream is not None:
            return
        match self._place.scheme:
            case "unix":
                await self._connect_unix()
            case "udp":
                await self._connect_udp()
            case _:
                self._stream = await asyncio.open_connection(self._place.host, self._place.port, ssl=self._tls)

    async def _connect_unix(self) -> None:
        own = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        own.setblocking(False)
        try:
            own.connect(self._place.path)
        except OSError as error:
            own.close()
            if error.errno != errno.EPROTOTYPE:
                raise
            self._stream = await asyncio.open_unix_connection(self._place.path)
            return
        self._socket = own

    async def _connect_udp(self) -> None:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(self._place.host, self._place.port, type=socket.SOCK_DGRAM)
        family, kind, protocol, _, address = found[0]
        own = socket.socket(family, kind, protocol)
        own.setblocking(False)
        try:
            own.connect(address)
        except OSError:
            own.close()
            raise
        self._socket = own

    async def _send(self, messages: Sequence[bytes]) -> None:
        if self._stream is not None:
            self._stream[1].write(b"".join(map(framed, messages)))
            await self._stream[1].drain()
            return
        assert self._socket is not None
        loop = asyncio.get_running_loop()
        for message in messages:
            await loop.sock_sendall(self._socket, message)
