"""Calls to the admin port are told, but for looks at its plain pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from admin.app import Check, Version, make_app
from admin.calls import Call


async def no_checks() -> Sequence[Check]:
    return []


async def ask(app: Starlette, method: str, path: str) -> int:
    """The answer's status."""
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b"", "client": ("::1", 7)}
    await app(scope, receive, send)
    return statuses[0]


async def test_what_isnt_a_plain_look_is_told() -> None:
    told: list[Call] = []
    app = make_app(CollectorRegistry(), no_checks, lambda: Version("1", "c", "b", ""), on_call=told.append)
    for page in ("/metrics", "/healthz", "/readyz", "/version"):
        await ask(app, "GET", page)
        await ask(app, "HEAD", page)
    assert told == []
    assert await ask(app, "POST", "/metrics") == 405
    assert await ask(app, "GET", "/" + "x" * 300) == 404
    assert told == [Call("POST", "/metrics", "::1:7", 405), Call("GET", "/" + "x" * 199, "::1:7", 404)]
