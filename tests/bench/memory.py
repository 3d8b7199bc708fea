"""What an idle session costs in memory, and whether thousands can be held."""

from __future__ import annotations

import time

from tests.bench.database import MAX_CONNECTIONS
from tests.bench.processes import memory_bytes
from tests.bench.results import Chapter, Table, Target, at_most
from tests.bench.stage import POOLER, RULED, Contestant, Stage
from tests.bench.streams import place_of
from tests.bench.trials import Tell, quiet
from tests.soak.plain_client import PlainClient

NAME = "memory"
LIMIT_KIB = 64
WARM = 50
MANY = 5_000
_STATEMENT = "SELECT abalance FROM pgbench_accounts WHERE aid = 1"
_SETTLE_S = 2.5
_TEXT = """\
Sessions log in, run one statement and rest. Memory is the proportional set size (Pss) of all the proxy's processes,
before and after, divided by the sessions; {warm} sessions stand before the first look, so that what all share is there
already. In session mode each has a link to the server ({sessions} here); in transaction mode all share 20."""


def measure(stage: Stage, *, sessions: int = 1000, many: int = MANY, tell: Tell = quiet) -> Chapter:
    sessions = min(sessions, (MAX_CONNECTIONS - 250) // 2)  # a pooler keeps its links for those who come next
    lines, missing = [], []
    targets: list[Target] = []
    # A sidecar of its own: one that has worked has memory to give away again.
    doors = [stage.contestant(POOLER), stage.ours(RULED, stage.sidecar("memory"), "ruled")]
    for name, contestant in zip((POOLER, RULED), doors, strict=True):
        kib = _kib_each(contestant, sessions)
        tell(f"memory {name}: {kib:.1f} KiB for each of {sessions}")
        lines.append([name, "session", str(sessions), f"{kib:.1f}"])
        if name == RULED:
            targets.append(at_most("memory per idle session, KiB", LIMIT_KIB, kib, f"{kib:.1f}"))
    try:
        pooled = stage.ours("pooled", stage.sidecar("pooled", pool={"mode": "transaction", "size": 20}), "ruled")
    except RuntimeError as error:
        missing.append(f"{many} idle sessions: this build takes no `pool` ({str(error)[:120]})")
    else:
        kib = _kib_each(pooled, many)
        tell(f"memory pooled: {kib:.1f} KiB for each of {many}")
        lines.append([RULED, "transaction", str(many), f"{kib:.1f}"])
        if many >= MANY:
            targets.append(Target(f"{MANY:,} idle sessions held", "yes", f"{many + WARM:,} held", True))
        else:
            missing.append(f"{MANY:,} idle sessions: this run opened {many + WARM:,} only, and held them")
    head = ["contestant", "mode", "sessions", "KiB each"]
    text = _TEXT.format(warm=WARM, sessions=sessions)
    return Chapter(NAME, "Memory of idle sessions", text, targets, [Table("idle sessions", head, lines)], [], missing)


def _kib_each(contestant: Contestant, sessions: int) -> float:
    held = [_rested(contestant) for _ in range(WARM)]
    try:
        time.sleep(_SETTLE_S)
        before = memory_bytes(contestant.everyone)
        held += [_rested(contestant) for _ in range(sessions)]
        time.sleep(_SETTLE_S)
        after = memory_bytes(contestant.everyone)
        for client in held[:: max(1, len(held) // 50)]:  # they are alive, not only open
            client.query(_STATEMENT)
    finally:
        for client in held:
            client.close()
    return (after - before) / sessions / 1024


def _rested(contestant: Contestant) -> PlainClient:
    client = PlainClient(place_of(contestant.dsn), timeout_s=60)
    client.query(_STATEMENT)
    return client
