"""Mixed traffic through a running pgwarden for a while, and what came of it.

Clients are threads of this process that take turns of all kinds; beside them operators edit policies and send SIGHUP.
At the end all records are in the store, and are held against what the clients counted.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.fix_pgwarden import ROOT, Pgwarden, until
from tests.soak.checks import differences, read_records
from tests.soak.plain_client import Place, PlainClient
from tests.soak.samples import Sample, take
from tests.soak.tally import Tally
from tests.soak.turns import TURNS, World

_EXTRA = "  - {user: guest, tenant: acme, roles: [guest]}\ntags:"
_SHIPPING_S = 300.0


@dataclass(frozen=True, slots=True)
class Plan:
    """`clients` threads; `idle` sessions are held beside them from beginning to end."""

    seconds: float
    clients: int = 10
    idle: int = 20
    sample_s: float = 1.0
    edit_s: float = 5.0
    seed: int = 1


@dataclass
class Outcome:
    """`problems`: sentences; a good run has none."""

    plan: Plan
    tally: Tally
    samples: list[Sample] = field(default_factory=list)
    edits: int = 0
    records: int = 0
    verified: str = ""
    files_at_rest: tuple[int, int] = (0, 0)
    problems: list[str] = field(default_factory=list)


def soak(pgwarden: Pgwarden, plan: Plan) -> Outcome:
    """Runs the plan; pgwarden has ended afterwards."""
    assert pgwarden.process is not None
    pid, outcome = pgwarden.process.pid, Outcome(plan, Tally())
    place = Place(pgwarden.host, pgwarden.port, "ada", "ada-secret", "shop")
    before = take(pid, time.monotonic())
    held = [PlainClient(place) for _ in range(plan.idle)]
    ends = threading.Event()
    threads = [
        threading.Thread(target=_client, args=(World(pgwarden, outcome.tally, random.Random(plan.seed + n)), ends))
        for n in range(plan.clients)
    ]
    threads.append(threading.Thread(target=_operator, args=(pgwarden, plan, outcome, ends)))
    _watch(threads, pid, plan, outcome, ends)
    for client in held:
        client.query("SELECT 1")
        client.close()
    until(lambda: take(pid, 0.0).files <= before.files + 8, "files at rest")
    outcome.files_at_rest = before.files, take(pid, 0.0).files
    _end(pgwarden, outcome)
    return outcome


def _watch(threads: list[threading.Thread], pid: int, plan: Plan, outcome: Outcome, ends: threading.Event) -> None:
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    while time.monotonic() - begin < plan.seconds:
        outcome.samples.append(take(pid, begin))
        time.sleep(plan.sample_s)
    ends.set()
    for thread in threads:
        thread.join()


def _client(world: World, ends: threading.Event) -> None:
    turns, weights = list(TURNS), list(TURNS.values())
    while not ends.is_set():
        (turn,) = world.dice.choices(turns, weights)
        try:
            turn(world)
        except Exception as error:  # noqa: BLE001 - whatever it is, no client should have seen it
            world.tally.surprise(turn.__name__, error)
        world.tally.turn(turn.__name__)


def _operator(pgwarden: Pgwarden, plan: Plan, outcome: Outcome, ends: threading.Event) -> None:
    """Another principal comes and goes: another policy set each time, with the same meaning for all others."""
    original = pgwarden.policy_file.read_text("utf-8")
    while not ends.wait(plan.edit_s):
        outcome.edits += 1
        edited = original.replace("tags:", _EXTRA, 1) if outcome.edits % 2 else original
        fresh = pgwarden.folder / "edited.yaml"
        fresh.write_text(edited, "utf-8")
        fresh.replace(pgwarden.policy_file)
        if outcome.edits % 3 == 0 and pgwarden.process is not None:
            pgwarden.process.send_signal(signal.SIGHUP)


def _end(pgwarden: Pgwarden, outcome: Outcome) -> None:
    until(lambda: pgwarden.metric("pgwarden_journal_lag_bytes") == 0, "the store to have all", _SHIPPING_S)
    ended = pgwarden.terminate()
    if ended:
        outcome.problems.append(f"pgwarden ended with {ended}")
    recorded = read_records(pgwarden.store_dsn)
    outcome.records = recorded.statements
    outcome.problems += [f"a client read what it shouldn't: {said}" for said in outcome.tally.surprises[:20]]
    outcome.problems += differences(outcome.tally, recorded)
    outcome.problems += [f"logged: {entry}" for entry in pgwarden.log_entries() if entry["level"] in _BAD_LEVELS][:20]
    outcome.verified = _verify(pgwarden.config_file, outcome)


def _verify(config: Path, outcome: Outcome) -> str:
    command = [sys.executable, "-m", "proxy", "audit", "verify", "--config", str(config)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_SHIPPING_S, check=False)
    if done.returncode:
        outcome.problems.append(f"audit verify ended with {done.returncode}: {done.stdout[-500:]}{done.stderr[-500:]}")
    return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""


_BAD_LEVELS = frozenset({"error", "critical"})
