"""The admin port's pages: metrics, health, readiness, version.

It is given plain callables and never imports proxy.

`/healthz` says that the process answers; `/readyz` says whether it should be sent clients, and if not, why.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from admin.calls import Call, Watch


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold before clients should come; not `is_needed`: that somebody must look at, no more.

    `reason` is empty while it holds.
    """

    name: str
    is_ok: bool
    reason: str = ""
    is_needed: bool = True


@dataclass(frozen=True, slots=True)
class Version:
    """`build` is compiled or interpreted; `policy_fingerprint` is empty until a policy set was loaded."""

    version: str
    commit: str
    build: str
    policy_fingerprint: str


Checks = Callable[[], Awaitable[Sequence[Check]]]


async def _nothing() -> None:
    """The numbers are those of this process."""


def _forget(_: Call) -> None:
    """Nobody wants to know."""


def make_app(
    registry: CollectorRegistry,
    checks: Checks,
    version: Callable[[], Version],
    refresh: Callable[[], Awaitable[None]] = _nothing,
    on_call: Callable[[Call], None] = _forget,
) -> Starlette:
    """The application. `checks` is asked anew at each `/readyz` and should answer within seconds.

    `refresh` is awaited before the registry is read: it gathers the numbers of other processes. `on_call` hears of each
    call that isn't a look at one of the pages.
    """

    async def metrics(_: Request) -> Response:
        await refresh()
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        return _readiness(await checks())

    async def version_page(_: Request) -> Response:
        await refresh()
        return JSONResponse(asdict(version()))

    pages = {"/metrics": metrics, "/healthz": healthz, "/readyz": readyz, "/version": version_page}
    routes = [Route(path, page, methods=["GET"]) for path, page in pages.items()]
    return Starlette(routes=routes, middleware=[Middleware(Watch, plain=pages.keys(), on_call=on_call)])


def _readiness(checks: Sequence[Check]) -> JSONResponse:
    """200 when every check that is needed holds, else 503. No checks at all is not ready: nothing is known to work."""
    is_ready = bool(checks) and all(check.is_ok for check in checks if check.is_needed)
    body = {
        "ready": is_ready,
        "checks": {check.name: "ok" if check.is_ok else check.reason or "failed" for check in checks},
    }
    return JSONResponse(body, status_code=200 if is_ready else 503)
