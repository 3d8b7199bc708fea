"""What an idle session costs in memory: `python -m tests.bench.idle [sessions]`. No test: it asserts nothing.

pgwarden runs before a PostgreSQL of its own; sessions are opened, run one statement each and rest. Figures are
resident memory of pgwarden's processes (Rss and Pss of all of them together, from /proc), before and after, divided
by the sessions; some sessions are opened before the first reading, so that what all share is there already.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy.descriptors import raise_limit
from tests.fix_pgwarden import Pgwarden, password_of, run_pgwarden
from tests.fix_servers import TestServer
from tests.soak.certificates import self_signed
from tests.soak.plain_client import Place, PlainClient, any_certificate
from tests.soak.processes import memory_kib
from tests.soak.roomy import roomy_server

WARM = 50
STATEMENT = "SELECT id, name, email FROM shop.customers WHERE id = 1"


@dataclass(frozen=True, slots=True)
class Cost:
    """KiB for one session."""

    sessions: int
    rss_kib: float
    pss_kib: float


def main() -> None:
    """Sessions as given; in transaction mode ten times as many, as they hold no links to the server."""
    sessions = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    raise_limit()
    with tempfile.TemporaryDirectory(prefix="pgwarden-idle-") as name, roomy_server(Path(name), sessions) as server:
        folder = Path(name)
        _tell("plain", measure(folder / "plain", server, sessions))
        _tell("TLS", measure(folder / "tls", server, sessions, with_tls=True))
        _tell("plain, pooled", measure(folder / "pooled", server, sessions * 10, is_pooled=True))


def _tell(label: str, cost: Cost) -> None:
    figures = f"{cost.rss_kib:.1f} KiB each (Pss {cost.pss_kib:.1f})"
    sys.stdout.write(f"{label:14} {cost.sessions} sessions: {figures}\n")
    sys.stdout.flush()


def measure(
    folder: Path,
    server: TestServer,
    sessions: int,
    *,
    with_tls: bool = False,
    is_pooled: bool = False,
    **configuration: Any,
) -> Cost:
    folder.mkdir()
    if with_tls:
        configuration["tls"] = {"mode": "allow", **self_signed(folder)}
    with run_pgwarden(folder, server, is_started=False, **configuration) as pgwarden:
        if is_pooled:
            pgwarden.configuration["databases"]["shop"]["pool"] = {"mode": "transaction", "size": 20}
        pgwarden.start()
        place = Place(
            pgwarden.host,
            pgwarden.port,
            "ada",
            password_of("ada"),
            "shop",
            any_certificate() if with_tls else None,
        )
        return _measure(pgwarden, place, sessions)


def _measure(pgwarden: Pgwarden, place: Place, sessions: int) -> Cost:
    assert pgwarden.process is not None
    held = [_rested(place) for _ in range(WARM)]
    before = _settled(pgwarden.process.pid)
    held += [_rested(place) for _ in range(sessions)]
    after = _settled(pgwarden.process.pid)
    for client in held:
        client.close()
    return Cost(sessions, (after[0] - before[0]) / sessions, (after[1] - before[1]) / sessions)


def _rested(place: Place) -> PlainClient:
    client = PlainClient(place)
    client.query(STATEMENT)
    return client


def _settled(pid: int) -> tuple[int, int]:
    """Once what is shipped and read in the background has been."""
    time.sleep(2.0)
    return memory_kib(pid)


if __name__ == "__main__":
    main()
