"""The admin port over real HTTP on loopback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from http.client import HTTPConnection

import pytest
from prometheus_client import CollectorRegistry, Counter

from admin.app import Check, Version, make_app
from admin.server import AdminServer

VERSION = Version("0.1.0", "abc123", "interpreted", "f00d")


async def ask(path: str, checks: Sequence[Check] = (), method: str = "GET") -> tuple[int, str, str]:
    registry = CollectorRegistry()
    Counter("pgwarden_statements_total", "Statements", ["decision"], registry=registry).labels("deny").inc(2)

    async def current() -> Sequence[Check]:
        return checks

    server = AdminServer(make_app(registry, current, lambda: VERSION))
    port = await server.start("127.0.0.1", 0)
    try:
        return await asyncio.to_thread(request, port, path, method)
    finally:
        await server.stop()


def request(port: int, path: str, method: str) -> tuple[int, str, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.getheader("content-type") or "", answer.read().decode()
    finally:
        connection.close()


async def test_metrics_are_in_the_format_that_prometheus_reads() -> None:
    status, kind, body = await ask("/metrics")
    assert (status, kind.split(";")[0]) == (200, "text/plain")
    assert 'pgwarden_statements_total{decision="deny"} 2.0' in body


async def test_healthz_does_not_depend_on_anything() -> None:
    assert (await ask("/healthz", [Check("store", False, "down")]))[0] == 200


async def test_ready_when_all_holds() -> None:
    status, _, body = await ask("/readyz", [Check("policies", True), Check("store", True)])
    assert status == 200
    assert json.loads(body) == {"ready": True, "checks": {"policies": "ok", "store": "ok"}}


async def test_not_ready_says_why() -> None:
    status, _, body = await ask("/readyz", [Check("policies", True), Check("store", False, "connection refused")])
    assert status == 503
    assert json.loads(body) == {"ready": False, "checks": {"policies": "ok", "store": "connection refused"}}


async def test_nothing_known_is_not_ready() -> None:
    assert (await ask("/readyz"))[0] == 503


async def test_version_names_build_and_policies() -> None:
    _, _, body = await ask("/version")
    assert json.loads(body) == {
        "version": "0.1.0",
        "commit": "abc123",
        "build": "interpreted",
        "policy_fingerprint": "f00d",
    }


async def test_nothing_can_be_written() -> None:
    assert (await ask("/metrics", method="POST"))[0] == 405
    assert (await ask("/elsewhere"))[0] == 404


async def test_a_taken_port_is_an_error_and_not_an_exit() -> None:
    async def nothing() -> Sequence[Check]:
        return ()

    app = make_app(CollectorRegistry(), nothing, lambda: VERSION)
    first, second = AdminServer(app), AdminServer(app)
    port = await first.start("127.0.0.1", 0)
    with pytest.raises(OSError, match="in use"):
        await second.start("127.0.0.1", port)
    await second.stop()
    await first.stop()
