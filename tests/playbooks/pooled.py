"""Several sessions on fewer links: a pool without sockets, whose servers follow the protocol's rules.

Links are lent first come, first served; which of the idle ones is the playbook's choice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from proxy.session.ports import BorrowServer, CancelUpstream, CloseLinks, ReturnServer, Rules
from proxy.session.shared_link import LinkKind, SharedLink
from proxy.session.track import Settings
from proxy.wire import messages as m
from proxy.wire.codec import encode
from tests.playbooks.fake_server import FakeServer, Result
from tests.playbooks.stage import Play, StageServices

_MOST_ROUNDS = 100
REPORTED = {b"client_encoding": b"UTF8", b"TimeZone": b"UTC"}


@dataclass
class KnownPool:
    """`session.ports.Pooling`: somebody has logged in before."""

    pins: list[str] = field(default_factory=list)

    def reported(self, kind: LinkKind, base: Settings) -> Mapping[bytes, bytes] | None:
        return REPORTED

    def note_reported(self, kind: LinkKind, base: Settings, values: Mapping[bytes, bytes]) -> None:
        """Known already."""

    def count_pin(self, reason: str) -> None:
        self.pins.append(reason)


@dataclass
class Link:
    """A link and the server behind it. `runs_code`: views and triggers of its database may run its users' functions."""

    shared: SharedLink
    server: FakeServer
    runs_code: bool = False
    said: list[bytes] = field(default_factory=list)

    def take(self, messages: list[m.Message]) -> bytes:
        data = b"".join(map(encode, messages))
        self.said.append(data)
        return self.server.take(data)


def link_of(number: int, results: dict[str, Result], *, runs_code: bool = False) -> Link:
    shared = SharedLink(LinkKind.GUARDED, number, b"key%d" % number, b"%04d" % number, dict(REPORTED))
    shared.reads_run_code = shared.writes_run_code = runs_code
    return Link(shared, FakeServer(dict(results)), runs_code)


class Player:
    """One client of the pool."""

    def __init__(self, services: StageServices, *, has_lane: bool) -> None:
        self.play = Play(services, Rules(), has_lane=has_lane).open_pooled()
        self.play.client_bytes = b""
        self.link: Link | None = None
        self.sent: list[m.Message] = []

    def hear(self) -> list[Any]:
        self.sent += self.play.server_hears()
        return self.play.told()


class PooledWorld:
    """`said` by one player, then all that follows from it. `pick`: which of the idle links is lent next."""

    def __init__(self, services: StageServices, links: list[Link], players: int, *, has_lane: bool) -> None:
        services.pool = self.pool = KnownPool()
        self.services = services
        self.links = links
        self.idle = list(links)
        self.waiting: deque[Player] = deque()
        self.players = [Player(services, has_lane=has_lane) for _ in range(players)]

    def say(self, number: int, *pieces: bytes, pick: int = 0, cut: int = 0) -> PooledWorld:
        """The servers answer when all was said; `cut`: their answers come in two."""
        player = self.players[number]
        for piece in pieces:
            if not player.play.session.is_ended:
                player.play.client_raw(piece)
                self._carry_out(player)
        self.settle(pick, cut)
        return self

    def settle(self, pick: int = 0, cut: int = 0) -> None:
        """Until nobody has anything to say."""
        for _ in range(_MOST_ROUNDS):
            if not self._lend(pick) | any([self._answer(player, cut) for player in self.players]):
                return
        raise AssertionError("there is no end to it")

    def _carry_out(self, player: Player) -> None:
        for command in player.hear():
            if isinstance(command, BorrowServer):
                if player.link is None and player not in self.waiting:
                    self.waiting.append(player)
            elif isinstance(command, ReturnServer) and player.link is not None:
                link, player.link = player.link, None
                if link.shared.is_spent:
                    self._renew(link)
                else:
                    self.idle = [one for one in self.links if one is link or one in self.idle]
            elif isinstance(command, CancelUpstream):
                player.play.session.cancel_done()  # it came too late
                player.play.collect()
                self._carry_out(player)
            elif isinstance(command, CloseLinks):
                self._close(player)

    def _close(self, player: Player) -> None:
        link, player.link = player.link, None
        if link is not None:
            self._renew(link)
        if player in self.waiting:
            self.waiting.remove(player)

    def _renew(self, link: Link) -> None:
        """It ends, and another one is made."""
        new = link_of(len(self.links), link.server.results, runs_code=link.runs_code)
        self.links.append(new)
        self.idle.append(new)

    def _lend(self, pick: int) -> bool:
        if not self.waiting or not self.idle:
            return False
        player = self.waiting.popleft()
        player.link = self.idle.pop(pick % len(self.idle))
        player.play.lend(player.link.shared)
        self._carry_out(player)
        return True

    def _answer(self, player: Player, cut: int) -> bool:
        if player.link is None or not player.sent or player.play.session.is_ended:
            return False
        messages, player.sent = player.sent, []
        answer = player.link.take(messages)
        for piece in [answer[:cut], answer[cut:]] if cut else [answer]:
            if piece and not player.play.session.is_ended:
                player.play.server_raw(piece)
                self._carry_out(player)
        return True

    @property
    def taken(self) -> int:
        return sum(player.play.taken for player in self.players)
