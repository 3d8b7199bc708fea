"""A worker killed with -9 at any moment: what it was told is written is there, whole, and in the store once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from audit_samples import frames_of
from audit_store import store, store_dsn, store_server

from audit.journal import Journal
from audit.record import Stage, head_of, record_of
from audit.shipper import Shipper
from audit.store import Store
from audit.verify import verify

__all__ = ["store", "store_dsn", "store_server"]

# Says each statement's name only after its record was appended: then it counts as acknowledged.
WRITER = """
import sys, itertools
from pathlib import Path
from audit.journal import Journal
from audit.record import Record, Stage
journal = Journal.open(Path(sys.argv[1]), 0, segment_bytes=32768)
for number in itertools.count():
    name = f"{sys.argv[2]}-{number}"
    journal.append([Record(stage=Stage.INTENT, statement_id=name, tenant="acme", sql_text="x" * (number % 700))])
    sys.stdout.write(f"intent {name}\\n")
    sys.stdout.flush()
    journal.append([Record(stage=Stage.OUTCOME, statement_id=name, tenant="acme", rows=number)])
    sys.stdout.write(f"outcome {name}\\n")
    sys.stdout.flush()
"""

# The same by templates, from two threads, in segments so small that they change all the time.
FROM_TEMPLATES = """
import sys, itertools, os, threading
from pathlib import Path
from audit.cost import price_list
from audit.journal import Journal
from audit.lines import Lines
from audit.record import Record, Stage
journal = Journal.open(Path(sys.argv[1]), 0, segment_bytes=8192)
lines = Lines(Record(stage=Stage.INTENT, tenant="acme"), Record(stage=Stage.OUTCOME, tenant="acme"), price_list(1))
def write():
    for number in itertools.count():
        name = journal.append_intent(lines, b"x" * (number % 700))
        os.write(1, f"intent {name}\\n".encode())
        journal.append_outcome(lines, name, number, number, number)
        os.write(1, f"outcome {name}\\n".encode())
threading.Thread(target=write, daemon=True).start()
write()
"""


def run_and_kill(directory: Path, run: int, after_s: float, program: str = WRITER) -> list[tuple[str, str]]:
    """Runs the writer, kills it `after_s` after its first word, and gives what it said was written."""
    writer = subprocess.Popen(
        [sys.executable, "-c", program, str(directory), f"run{run}"],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert writer.stdout is not None
    said = [writer.stdout.readline()]
    os.set_blocking(writer.stdout.fileno(), False)
    deadline = time.monotonic() + after_s
    while time.monotonic() < deadline:
        said.append(writer.stdout.read() or b"")  # else the pipe fills and the writer waits
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    os.set_blocking(writer.stdout.fileno(), True)
    said.append(writer.stdout.read())
    writer.stdout.close()
    lines = b"".join(said).decode().split("\n")[:-1]
    return [(stage, name) for stage, name in (line.split() for line in lines)]


@pytest.mark.parametrize("seed", [1, 2])
async def test_nothing_acknowledged_is_lost_and_nothing_is_there_twice(tmp_path: Path, store: Store, seed: int) -> None:
    chance = random.Random(seed)
    acknowledged: list[tuple[str, str]] = []
    for run in range(4):
        acknowledged += run_and_kill(tmp_path, run, after_s=chance.uniform(0.0, 0.15))
        if run % 2:  # and the shipper is cut off now and then, in between
            journal = Journal.open(tmp_path, 0)
            await Shipper(tmp_path, 0, store, written_position=lambda: 0).ship_available()
            journal.close()
    journal = Journal.open(tmp_path, 0)
    await Shipper(tmp_path, 0, store, written_position=lambda: 0).ship_available()
    journal.close()
    report = await verify(tmp_path, store)
    assert report.problems == ()

    stored = [(chained.record.stage.value, chained.record.statement_id) async for chained in store.read_chain()]
    statements = [row for row in stored if row[0] != Stage.EVENT]
    assert set(acknowledged) <= set(statements)
    assert len(statements) == len(set(statements))
    # Each statement has an outcome: its own, or the one recovery wrote for it.
    assert {name for stage, name in statements if stage == "intent"} == {
        name for stage, name in statements if stage == "outcome"
    }
    assert len(acknowledged) > 100


@pytest.mark.parametrize("seed", [3, 4])
async def test_nothing_written_from_templates_is_lost(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    acknowledged: list[tuple[str, str]] = []
    for run in range(4):
        acknowledged += run_and_kill(tmp_path, run, chance.uniform(0.0, 0.15), FROM_TEMPLATES)
    Journal.open(tmp_path, 0).close()
    assert (await verify(tmp_path)).problems == ()
    heads = [head_of(frame.body) for _, frame in frames_of(tmp_path)]
    statements = [(head.stage.value, head.statement_id) for head in heads if head.stage is not Stage.EVENT]
    assert set(acknowledged) <= set(statements)
    assert len(statements) == len(set(statements))
    assert {name for stage, name in statements if stage == "intent"} == {
        name for stage, name in statements if stage == "outcome"
    }
    assert len({path for path, _ in frames_of(tmp_path)}) > 4
    assert len(acknowledged) > 100


def test_a_record_outlives_a_kill_the_moment_after_append(tmp_path: Path) -> None:
    """No flush, no close, no time for the syncing thread: the process dies by its own hand right after `append`."""
    script = """
import os, signal, sys
from pathlib import Path
from audit.journal import Journal
from audit.record import Record, Stage
journal = Journal.open(Path(sys.argv[1]), 0)
journal.append([Record(stage=Stage.EVENT, shape="last_words")])
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == -signal.SIGKILL
    ((_, frame),) = frames_of(tmp_path)
    assert record_of(frame.body, frame.prev_hash, frame.hash).shape == "last_words"
