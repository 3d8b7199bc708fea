"""How fast a million rows of five columns come through, as rows of a SELECT, out of COPY and into COPY."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from tests.bench.database import DATABASE, STREAMED_ROWS
from tests.bench.processes import usage_of
from tests.bench.results import Chapter, Plot, Table, Target, at_least
from tests.bench.stage import DIRECT, OPEN, PLAIN, POOLER, RULED, SPLICE, Contestant, Stage
from tests.bench.trials import Spread, Tell, in_turns, quiet, ratios
from tests.soak.plain_client import Place, PlainClient

NAME = "streams"
CONTESTANTS = (DIRECT, SPLICE, POOLER, OPEN, PLAIN, RULED)
_READY = b"Z\0\0\0\x05I"
_CHUNK_BYTES = 1 << 18
_SELECT = "SELECT id, name, email, phone, joined FROM people"
_COPY_TO = "COPY people TO STDOUT"
_COPY_FROM = "COPY arrivals FROM STDIN"
_TEXT = """\
{rows:,} rows of 5 columns (int, three texts, timestamptz; about 85 bytes each), {runs} rounds, fewer where one takes
long. `psql` is psql with its output to nobody; for SELECT it collects all rows and prints them unaligned. `bare` is a
socket that reads and looks at nothing, the strictest measure: direct, it is bound by the server alone.
`pgwarden-unmasked` filters rows, `pgwarden` masks `email` and `phone` too, in the stream. `splice` hands chunks on in
uvloop and looks at none: what it loses against direct is what a third busy process costs on this machine. Ratios of
rows per second against direct in the same round; CPU in seconds per GiB that the client got or gave."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way of moving the rows. `run` returns when they have all arrived."""

    name: str
    run: Callable[[Stage, Contestant], None]
    unmasked: float
    masked: float | None


@dataclass(frozen=True, slots=True)
class _Run:
    seconds: float
    cpu_s: float


Found = dict[str, list[_Run]]


def measure(stage: Stage, *, runs: int = 5, limit_s: float = 60, tell: Tell = quiet) -> Chapter:
    by_way: dict[str, Found] = {}
    for way in WAYS:
        found = by_way.setdefault(way.name, {})
        for number, name in in_turns(_names(way), runs, limit_s):
            found.setdefault(name, []).append(_timed(stage, stage.contestant(name), way))
            tell(f"{way.name} {number + 1} {name}: {found[name][-1].seconds:.2f} s")
        stage.settle()
    targets = [target for way in WAYS for target in _targets(way, by_way[way.name])]
    sizes = _sizes(stage)
    tables = [_table(way.name, by_way[way.name], sizes[way.name.partition(",")[0]]) for way in WAYS]
    text = _TEXT.format(rows=STREAMED_ROWS, runs=runs)
    return Chapter(NAME, "A million rows", text, targets, tables, [_plot(by_way)])


def _names(way: Way) -> Sequence[str]:
    return CONTESTANTS if way.masked is not None else tuple(name for name in CONTESTANTS if name != RULED)


def _timed(stage: Stage, contestant: Contestant, way: Way) -> _Run:
    if way.run is _psql_copy_from:
        _empty_arrivals(stage)
    before, start = usage_of(contestant.workers), time.monotonic()
    way.run(stage, contestant)
    return _Run(time.monotonic() - start, (usage_of(contestant.workers) - before).cpu_s)


def _empty_arrivals(stage: Stage) -> None:
    with psycopg.connect(stage.server.embedded.dsn(DATABASE), autocommit=True) as connection:
        connection.execute("TRUNCATE arrivals")


def place_of(dsn: str) -> Place:
    parts = conninfo_to_dict(dsn)
    names = ("host", "port", "user", "password", "dbname")
    host, port, user, password, database = (str(parts[name]) for name in names)
    return Place(host, int(port), user, password, database)


def _bare(sql: str) -> Callable[[Stage, Contestant], None]:
    def run(stage: Stage, contestant: Contestant) -> None:
        _received(contestant, sql)

    return run


def _received(contestant: Contestant, sql: str) -> int:
    client = PlainClient(place_of(contestant.dsn))
    client.send(b"Q", sql.encode() + b"\0")
    size = drain(client)
    client.close()
    return size


def drain(client: PlainClient, pause: Callable[[int], None] = lambda size: None) -> int:
    """Reads to the ReadyForQuery at the end; how many bytes came. RuntimeError for an ErrorResponse at the start."""
    buffer, tail, total = bytearray(_CHUNK_BYTES), b"", 0
    while tail != _READY:
        size = client.socket.recv_into(buffer)
        if size == 0:
            raise ConnectionResetError("the link was closed")
        if total == 0 and buffer[0] == ord("E"):
            raise RuntimeError(bytes(buffer[:size]).decode("utf-8", "replace"))
        total += size
        tail = (tail + bytes(buffer[max(0, size - 6) : size]))[-6:]
        pause(size)
    return total


def _psql(contestant: Contestant, *commands: str, source: Path | None = None) -> None:
    psql = shutil.which("psql") or "psql"
    words = [psql, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
    for command in commands:
        words += ["-c", command]
    with (source or Path("/dev/null")).open("rb") as given:
        done = subprocess.run(
            [*words, contestant.dsn], stdin=given, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=300
        )
    if done.returncode != 0:
        raise RuntimeError(f"psql through {contestant.name}: {done.stderr.decode()[-500:]}")


def _psql_select(stage: Stage, contestant: Contestant) -> None:
    _psql(contestant, _SELECT)


def _psql_copy_to(stage: Stage, contestant: Contestant) -> None:
    _psql(contestant, _COPY_TO)


def _psql_copy_from(stage: Stage, contestant: Contestant) -> None:
    _psql(contestant, _COPY_FROM, source=_file_of_rows(stage))


def _file_of_rows(stage: Stage) -> Path:
    file = stage.folder / "people.copy"
    if not file.exists():
        psql = shutil.which("psql") or "psql"
        with file.open("wb") as target:
            subprocess.run([psql, "-X", "-c", _COPY_TO, stage.server.dsn], stdout=target, check=True)
    return file


WAYS = (
    Way("SELECT, psql", _psql_select, 0.95, 0.85),
    Way("SELECT, bare", _bare(_SELECT), 0.95, 0.85),
    Way("COPY TO, psql", _psql_copy_to, 0.9, 0.9),
    Way("COPY TO, bare", _bare(_COPY_TO), 0.9, 0.9),
    Way("COPY FROM, psql", _psql_copy_from, 0.9, None),
)


def _speeds(found: Found, name: str) -> list[float]:
    return [STREAMED_ROWS / run.seconds for run in found[name]]


def _targets(way: Way, found: Found) -> list[Target]:
    targets = [_target(way.name, "not masked", found, PLAIN, way.unmasked)]
    if way.masked is not None:
        targets.append(_target(way.name, "two columns masked", found, RULED, way.masked))
    return targets


def _target(way: str, what: str, found: Found, name: str, limit: float) -> Target:
    ratio = ratios(_speeds(found, name), _speeds(found, DIRECT))
    return at_least(f"{STREAMED_ROWS:,} rows against direct: {way}, {what}", limit, ratio.median, ratio.text())


def _sizes(stage: Stage) -> dict[str, int]:
    """How many bytes the rows are, unmasked, by the statement that moves them."""
    direct = stage.contestant(DIRECT)
    copied = _received(direct, _COPY_TO)
    return {"SELECT": _received(direct, _SELECT), "COPY TO": copied, "COPY FROM": copied}


def _table(way: str, found: Found, size: int) -> Table:
    head = ["contestant", "seconds", "rows/s", "against direct", "CPU of the proxy, us/row", "s/GiB"]
    lines = []
    for name, done in found.items():
        seconds, speed = Spread.of(run.seconds for run in done), Spread.of(_speeds(found, name))
        cpu = Spread.of(run.cpu_s / STREAMED_ROWS * 1e6 for run in done)
        against = "" if name == DIRECT else ratios(_speeds(found, name), _speeds(found, DIRECT)).text()
        cpu_per_gib = cpu.median * STREAMED_ROWS / 1e6 / size * (1 << 30)
        shown_cpu = ["", ""] if name == DIRECT else [cpu.text(".3f"), f"{cpu_per_gib:.2f}"]
        lines.append([name, seconds.text(), f"{speed.median:.0f}", against, *shown_cpu])
    return Table(way, head, lines)


def _plot(by_way: dict[str, Found]) -> Plot:
    names = [name for name in CONTESTANTS if name != DIRECT]
    values = {name: [_against_direct(found, name) for found in by_way.values()] for name in names}
    return Plot("streams", "A million rows: speed against direct", "times direct", list(by_way), values)


def _against_direct(found: Found, name: str) -> float:
    return ratios(_speeds(found, name), _speeds(found, DIRECT)).median if name in found else 0.0
