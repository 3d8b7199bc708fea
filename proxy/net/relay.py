"""What every chunk of an open session passes on its way through a link: the lane, and the write to the other side.

Compiled where it can be. It must not know what the bytes mean, how links come about, or what the long way does.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from proxy.session.lane import Lane

if TYPE_CHECKING:
    from proxy.net.pooled_link import PooledLink


class Receiver(Protocol):
    """Who gets what a server sends."""

    def server_data(self, data: bytes) -> None: ...

    def server_lost(self) -> None: ...

    def server_is_full(self, is_full: bool) -> None: ...


class Relay:
    """The client's side: ClientLink says what is done with what the lane doesn't take."""

    def __init__(self) -> None:
        self.lane: Lane | None = None  # once the session is open
        self.is_strict = True  # until it is known whether records are awaited
        self.is_server_finished = False
        self.client_transport: asyncio.Transport | None = None
        self.server_transport: asyncio.Transport | None = None
        self.lent: PooledLink | None = None  # where links are shared

    def data_received(self, data: bytes) -> None:
        """From the client."""
        self._from_client(data)

    def server_data(self, data: bytes) -> None:
        self._from_server(data)

    def write_client(self, data: bytes | memoryview) -> None:
        self._show(data)

    def send_server(self, data: bytes | memoryview) -> None:
        """At once: its records are as durable as they have to be."""
        self._send(data)

    def _from_client(self, data: bytes) -> None:
        lane = self.lane
        if lane is not None:
            try:
                sent = lane.client(data)
            except Exception:  # noqa: BLE001 - told there: the session ends
                self.lane_failed()
                return
            if sent is not None:
                if not sent:
                    self.link_wanted()
                elif self.is_strict:
                    self.write_server(sent)
                else:
                    self._send(sent)
                return
        self.client_came(data)

    def _from_server(self, data: bytes) -> None:
        lane = self.lane
        if lane is not None:
            try:
                shown = lane.server(data)
            except Exception:  # noqa: BLE001 - told there: the session ends
                self.lane_failed()
                return
            if shown is not None:
                self._show(shown)
                if self.lent is not None and lane.gives_back():
                    self.link_given_back()
                return
        self.server_came(data)

    def _show(self, data: bytes | memoryview) -> None:
        client = self.client_transport
        if client is not None and not client.is_closing():
            client.write(data)

    def _send(self, data: bytes | memoryview) -> None:
        server = self.server_transport
        if server is not None and not self.is_server_finished and not server.is_closing():
            server.write(data)

    # the long way, by who inherits

    def write_server(self, data: bytes | memoryview) -> None:
        """Once the records before it are durable."""
        raise NotImplementedError

    def link_wanted(self) -> None:
        """The lane keeps a chunk until a link is lent."""
        raise NotImplementedError

    def link_given_back(self) -> None:
        """The link that was lent is anybody's."""
        raise NotImplementedError

    def client_came(self, data: bytes) -> None:
        raise NotImplementedError

    def server_came(self, data: bytes) -> None:
        raise NotImplementedError

    def lane_failed(self) -> None:
        """Called inside of an except clause."""
        raise NotImplementedError


class ServerFeed:
    """The server's side: hands what comes to whoever has the link, `unheard` what nobody waits for."""

    def __init__(self) -> None:
        self.receiver: Receiver | None = None
        self._relay: Relay | None = None

    def hand_to(self, receiver: Receiver | None) -> None:
        """From now on; None: to nobody."""
        self.receiver = receiver
        self._relay = receiver if isinstance(receiver, Relay) else None

    def data_received(self, data: bytes) -> None:
        if self._relay is not None:
            self._relay._from_server(data)
        elif self.receiver is not None:
            self.receiver.server_data(data)
        else:
            self.unheard(data)

    def unheard(self, data: bytes) -> None:
        raise NotImplementedError
