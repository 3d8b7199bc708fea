"""Tells of each call to the admin port that isn't one of its plain pages: who tried what, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LONGEST: Final = 200  # characters of a path: it is anybody's text


@dataclass(frozen=True, slots=True)
class Call:
    """`client`: address and port, empty if unknown. `status`: of the answer, 500 where there was none."""

    method: str
    path: str
    client: str
    status: int


class Watch:
    """Middleware. GET of one of `plain` isn't told: those are asked every few seconds and change nothing."""

    def __init__(self, app: ASGIApp, plain: Collection[str], on_call: Callable[[Call], None]) -> None:
        self._app = app
        self._plain = frozenset(plain)
        self._on_call = on_call

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or (scope["method"] in ("GET", "HEAD") and scope["path"] in self._plain):
            await self._app(scope, receive, send)
            return
        status = 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            client = scope.get("client")
            address = f"{client[0]}:{client[1]}" if client else ""
            self._on_call(Call(scope["method"], scope["path"][:_LONGEST], address, status))
