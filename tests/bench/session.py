"""What a statement costs in a session, without sockets and without a server: `python -m tests.bench.session`.

Plain cycles are played through a Session with a real compiler, journal, policy (a row filter and one masked column)
and counters: simple, extended without and with a prepared statement, with one text and with new literals each time;
"spoken" ones have a comment of sqlcommenter's with another trace id each.
Figures are process time per statement; no test: it asserts nothing.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import pstats
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from audit.journal import Journal
from policies.catalog import Catalog, Column, Relation
from policies.compile import Compiler
from proxy.config import SqlText
from proxy.dsn import parse_dsn
from proxy.net.policies import PolicyHolder
from proxy.net.pricing import Pricing, price_function
from proxy.net.services import WorkerServices
from proxy.session.epoch import Epoch
from proxy.session.ports import Rules
from proxy.session.session import Session
from proxy.tallies import Tallies
from proxy.wire import messages as m
from proxy.wire.codec import encode
from tests.fix_pgwarden import policy_text
from tests.playbooks.stage import Play

POLICY = """
principals:
  - {user: ada, tenant: acme, attributes: {bid: 1}, speaks_for: ["u1*"], auth: {scram: "@ada@"}}
policies:
  - name: bench
    database: shop
    subjects: {users: [ada]}
    statements: [select]
    tables: {allow: ["public.*"]}
    rows: [{table: public.pgbench_accounts, filter: "bid = {bid}"}]
    masks: [{column: public.pgbench_accounts.filler, mask: {kind: redact}}]
"""
ACCOUNTS = Relation(
    16384,
    "public",
    "pgbench_accounts",
    "r",
    (
        Column("aid", 1, 23, "integer", is_not_null=True),
        Column("bid", 2, 23, "integer"),
        Column("abalance", 3, 23, "integer"),
        Column("filler", 4, 1042, "character(84)"),
    ),
    primary_key=("aid",),
)
FIELDS = (
    m.Field(b"abalance", 16384, 3, 23, 4, -1, 0),
    m.Field(b"filler", 16384, 4, 1042, -1, 88, 0),
)
QUERY = "SELECT abalance, filler FROM pgbench_accounts WHERE aid = %d"
PARAMETERIZED = b"SELECT abalance, filler FROM pgbench_accounts WHERE aid = $1"
ROW = encode(m.DataRow((b"0", b" " * 84)))
END = encode(m.CommandComplete(b"SELECT 1")) + encode(m.ReadyForQuery(b"I"))
DESCRIBED = encode(m.RowDescription(FIELDS))
SIMPLE_ANSWER = DESCRIBED + ROW + END
PARSED, BOUND = encode(m.ParseComplete()), encode(m.BindComplete())
DESCRIBED_STATEMENT = encode(m.ParameterDescription((23,))) + DESCRIBED
SYNC = encode(m.Sync())
OURS, OURS_NAMED = encode(m.Describe(b"S", b"")), encode(m.Describe(b"S", b"p1"))


class OneCatalog:
    """In place of the snapshots that are read from servers."""

    def __init__(self) -> None:
        self.epoch = Epoch()
        self.catalog = Catalog(1, "shop", 150000, (ACCOUNTS,), ("public",), frozenset({"public"}))

    def get(self, database: str) -> Catalog:
        return self.catalog


def bound(name: bytes, value: bytes, *, describes: bool = True) -> bytes:
    messages: list[m.Message] = [m.Bind(b"", name, (), (value,), ())]
    messages += [m.Describe(b"P", b"")] if describes else []
    return b"".join(map(encode, [*messages, m.Execute(b""), m.Sync()]))


def opened(folder: Path, has_lane: bool = True, sql_text: SqlText = SqlText.FULL) -> Session:
    (folder / "policies").mkdir()
    (folder / "policies" / "bench.yaml").write_text(policy_text(POLICY), "utf-8")
    catalogs = OneCatalog()
    holder = PolicyHolder(
        folder / "policies", {}, ["shop"], lambda: {"shop": catalogs.catalog}, lambda *_: None, epoch=catalogs.epoch
    )
    holder._accept(holder._read(), "")
    journal = Journal.open(folder / "journal", 0)
    upstreams = {"shop": lambda: parse_dsn("postgresql://gate@127.0.0.1/shop")}
    pricing = Pricing(holder, time.time, price_function)
    services = WorkerServices(
        holder,
        catalogs,  # type: ignore[arg-type]
        Compiler(),
        journal,
        Tallies(),
        upstreams,
        None,  # type: ignore[arg-type]
        pricing,
        None,  # type: ignore[arg-type]
        sql_text,
    )
    play = Play()
    play.session = Session(services, Rules(), "192.0.2.7", has_lane=has_lane)
    play.log_in(password="ada-secret")
    play.session.upstream_connected()
    play.collect()
    play.server(
        m.AuthenticationOk(),
        m.ParameterStatus(b"client_encoding", b"UTF8"),
        m.BackendKeyData(42, b"\xaa\xbb\xcc\xdd"),
        m.ReadyForQuery(b"I"),
    )
    return play.session


class Ends:
    """What the two links do with a session's bytes, but for writing them."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def client(self, chunk: bytes) -> bytes:
        sent = None if self.session.lane is None else self.session.lane.client(chunk)
        if sent is not None:
            return sent
        self.session.client_data(chunk)
        return b"".join(self.session.take_outbox().to_server)

    def server(self, chunk: bytes) -> bytes:
        shown = None if self.session.lane is None else self.session.lane.server(chunk)
        if shown is not None:
            return shown
        self.session.server_data(chunk)
        return b"".join(self.session.take_outbox().to_client)


Cycle = tuple[bytes, bytes]  # what the client says, what the server answers


def simple(index: int) -> Cycle:
    return encode(m.Query((QUERY % 4711).encode())), SIMPLE_ANSWER


def simple_new(index: int) -> Cycle:
    return encode(m.Query((QUERY % index).encode())), SIMPLE_ANSWER


def extended(index: int) -> Cycle:
    said = encode(m.Parse(b"", PARAMETERIZED, ())) + bound(b"", b"%d" % index)
    return said, PARSED + BOUND + DESCRIBED + ROW + END


def _said(index: int) -> bytes:
    return b"/*application='shop',route='%%2Forders',traceparent='00-%032x-00f067aa0ba902b7-01'*/" % (index + 1)


def simple_spoken(index: int) -> Cycle:
    return encode(m.Query((QUERY % index).encode() + _said(index))), SIMPLE_ANSWER


def extended_spoken(index: int) -> Cycle:
    said = encode(m.Parse(b"", PARAMETERIZED + _said(index), ())) + bound(b"", b"%d" % index)
    return said, PARSED + BOUND + DESCRIBED + ROW + END


def prepared(index: int) -> Cycle:
    return bound(b"p1", b"%d" % index), BOUND + DESCRIBED + ROW + END


KINDS: dict[str, Callable[[int], Cycle]] = {
    "simple, one text": simple,
    "simple, new literals": simple_new,
    "extended": extended,
    "prepared": prepared,
    "simple, spoken": simple_spoken,
    "extended, spoken": extended_spoken,
}


def _prepare(ends: Ends) -> None:
    """A statement by name, and the answers to whatever pgwarden asks beside it."""
    sent = ends.client(encode(m.Parse(b"p1", PARAMETERIZED, ())) + SYNC)
    ends.server(PARSED + (DESCRIBED_STATEMENT if OURS_NAMED in sent else b"") + encode(m.ReadyForQuery(b"I")))


def play_all(ends: Ends, make: Callable[[int], Cycle], rounds: int, first: int = 0) -> float:
    """Microseconds of process time per statement."""
    cycles = [make(index) for index in range(first, first + rounds)]
    gc.collect()
    begun = time.process_time_ns()
    for said, answer in cycles:
        sent = ends.client(said)
        if make in (extended, extended_spoken) and OURS in sent:
            answer = PARSED + DESCRIBED_STATEMENT + answer[len(PARSED) :]
        ends.server(answer)
    return (time.process_time_ns() - begun) / 1000 / rounds


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5000)
    options.add_argument("--long", action="store_true", help="without the lane")
    options.add_argument("--sql-text", choices=[one.value for one in SqlText], default="full")
    options.add_argument("--profile", choices=sorted(KINDS), help="where the time of one kind goes")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ends = Ends(opened(Path(folder), not chosen.long, SqlText(chosen.sql_text)))
        _prepare(ends)
        if chosen.profile:
            profile(lambda: play_all(ends, KINDS[chosen.profile], chosen.rounds))
            return
        for name, make in KINDS.items():
            figures = [play_all(ends, make, chosen.rounds, part * chosen.rounds) for part in range(5)]
            sys.stdout.write(
                f"{name:24}{min(figures):8.1f} us at least, {statistics.median(figures):8.1f} us in the middle\n"
            )


def profile(work: Callable[[], object]) -> None:
    profiler = cProfile.Profile()
    profiler.runcall(work)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(45)


if __name__ == "__main__":
    main()
