"""How much a proxy's memory grows while rows stream to a client that reads slower than the server sends."""

from __future__ import annotations

import threading
import time

from tests.bench.database import STREAMED_ROWS
from tests.bench.processes import resident_bytes
from tests.bench.results import Chapter, Table, at_most
from tests.bench.stage import POOLER, RULED, Contestant, Stage
from tests.bench.streams import drain, place_of
from tests.bench.trials import Tell, quiet
from tests.soak.plain_client import PlainClient

NAME = "slow-reader"
LIMIT_MIB = 32
_ROW_BYTES = 100  # about, with the frame
_EVERY_BYTES, _PAUSE_S = 32 << 20, 0.1
_TEXT = """\
`SELECT p.* FROM people p, generate_series(1, n)` until about {gib:g} GiB have come (at most 1 GiB through PgBouncer),
to a client that stops for 0.1 s after every 32 MiB. Resident memory of all processes of the proxy is looked at every 50
ms; growth is the most that was seen less what it was after a first small query on the same link. `pgwarden` filters
rows and masks two columns."""


def measure(stage: Stage, *, gib: float = 10, tell: Tell = quiet) -> Chapter:
    lines, ours_mib = [], 0.0
    doors = {POOLER: stage.contestant(POOLER), RULED: stage.ours(RULED, stage.sidecar(NAME), "ruled")}
    for name, contestant in doors.items():
        seconds, sent_gib, growth_mib = _streamed(contestant, gib if name == RULED else min(gib, 1.0))
        tell(f"slow reader {name}: {sent_gib:.2f} GiB in {seconds:.0f} s, growth {growth_mib:.1f} MiB")
        lines.append([name, f"{sent_gib:.2f}", f"{seconds:.0f}", f"{growth_mib:.1f}"])
        ours_mib = growth_mib if name == RULED else ours_mib
    target = at_most(
        f"growth of RSS, MiB, while {gib:g} GiB stream to a slow reader", LIMIT_MIB, ours_mib, f"{ours_mib:.1f}"
    )
    table = Table("a slow reader", ["contestant", "GiB", "seconds", "growth, MiB"], lines)
    return Chapter(NAME, "A slow reader", _TEXT.format(gib=gib), [target], [table])


def _streamed(contestant: Contestant, gib: float) -> tuple[float, float, float]:
    """Seconds, GiB and the growth in MiB."""
    client = PlainClient(place_of(contestant.dsn), timeout_s=120)
    client.query("SELECT p.* FROM people p WHERE id < 1000")
    times = max(1, round(gib * (1 << 30) / STREAMED_ROWS / _ROW_BYTES))
    before, start = resident_bytes(contestant.everyone), time.monotonic()
    with _Watch(contestant) as watch:
        client.send(b"Q", f"SELECT p.* FROM people p, generate_series(1, {times})\0".encode())
        total = drain(client, _Pauses().after)
    client.close()
    return time.monotonic() - start, total / (1 << 30), (watch.most_bytes - before) / (1 << 20)


class _Pauses:
    """A rest after every so many bytes."""

    def __init__(self) -> None:
        self._bytes = 0

    def after(self, size: int) -> None:
        self._bytes += size
        if self._bytes >= _EVERY_BYTES:
            self._bytes = 0
            time.sleep(_PAUSE_S)


class _Watch:
    """Looks at memory in a thread of its own while it is entered."""

    def __init__(self, contestant: Contestant) -> None:
        self._contestant = contestant
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.most_bytes = 0

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._end.wait(0.05):
            self.most_bytes = max(self.most_bytes, resident_bytes(self._contestant.everyone))
