"""Each system call of journal and shipper fails in turn: what was acknowledged stays, and everything verifies again."""

from __future__ import annotations

import asyncio
import errno
import random
import signal
import struct
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from audit_samples import intent, outcome

from audit.errors import AuditError, CorruptJournalError, JournalError, StoreUnreachableError
from audit.journal import Journal, worker_directory
from audit.record import Stage, head_of
from audit.segment import Frame, SegmentReader, segment_path, sequences_in
from audit.shipper import Shipper
from audit.verify import verify
from tests.failing_disk import FailingDisk, ForgetfulDisk

SEGMENT = 4096
STATEMENTS = 12


def work(directory: Path) -> list[str]:
    """A journal's whole life in small segments; gives what was acknowledged: stages and statements."""
    said: list[str] = []
    try:
        journal = Journal.open(directory, 0, segment_bytes=SEGMENT, durability="strict")
    except (AuditError, OSError):
        return said
    for number in range(STATEMENTS):
        for record in (intent(f"s{number}", sql_text="x" * 300), outcome(f"s{number}")):
            with suppress(JournalError):
                journal.append([record])
                said.append(f"{record.stage} {record.statement_id}")
    with suppress(AuditError, OSError):
        journal.close()
    return said


def written(directory: Path) -> list[str]:
    heads = [head_of(frame.body) for frame in _frames(worker_directory(directory, 0))]
    return [f"{head.stage} {head.statement_id}" for head in heads if head.stage is not Stage.EVENT]


def _frames(folder: Path) -> Iterator[Frame]:
    """As frames_of, but for segments that a power cut has left without a header."""
    for sequence in sequences_in(folder):
        with suppress(CorruptJournalError), SegmentReader(segment_path(folder, sequence)) as reader:
            yield from reader.frames()


async def check(directory: Path, said: list[str], *, may_lack: bool = False) -> None:
    """The next start recovers, nothing that was acknowledged is lost or there twice, everything verifies.

    `may_lack`: what wasn't acknowledged may be missing before something that was written later, and is named then.
    """
    Journal.open(directory, 0, segment_bytes=SEGMENT).close()
    found = written(directory)
    assert set(said) <= set(found)
    assert len(found) == len(set(found))
    report = await verify(directory)
    problems = [one for one in report.problems if not (may_lack and "are missing before segment" in one.message)]
    assert problems == []


@pytest.mark.parametrize(
    ("error", "short"),
    [(errno.ENOSPC, False), (errno.EIO, False), (errno.EIO, True)],
    ids=["ENOSPC", "EIO", "short writes"],
)
async def test_each_call_of_the_journal_fails_in_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int, short: bool
) -> None:
    names: set[str] = set()
    last = 0
    for number in range(1, 400):
        folder = tmp_path / str(number)
        disk = FailingDisk(folder, error, lambda name, count, number=number: count == number, short)
        with disk.in_place(monkeypatch):
            said = work(folder)
        names |= set(disk.failed)
        await check(folder, said)
        last = number
        if not disk.failed:
            break
    assert last > 40, "the journal makes more calls than that"
    assert last < 399, "not all of them were tried"
    assert {"open", "fsync", "pwrite", "rename", "posix_fallocate", "mmap", "write"} <= names


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
async def test_from_some_call_on_everything_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    """The disk is full, or gone, and stays so."""
    for number in range(1, 160, 7):
        folder = tmp_path / str(number)
        disk = FailingDisk(folder, error, lambda name, count, number=number: count >= number and name != "close")
        with disk.in_place(monkeypatch):
            said = work(folder)
        await check(folder, said)


@contextmanager
def interruptions() -> Iterator[list[int]]:
    """A signal each half millisecond: real system calls return EINTR."""
    heard: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: heard.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        yield heard
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


async def test_interrupted_calls_are_repeated(tmp_path: Path) -> None:
    with interruptions() as heard:
        said = work(tmp_path)
    assert len(said) == 2 * STATEMENTS
    assert heard
    await check(tmp_path, said)


@pytest.mark.parametrize("seed", range(16))
async def test_what_was_synced_outlives_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Pages that weren't synced are there or not, one by one, and so are names in folders."""
    chance, cuts = random.Random(seed), list[tuple[Path, list[str]]]()
    journals = tmp_path / "journals"
    disk = ForgetfulDisk(journals)
    with disk.in_place(monkeypatch):
        said: list[str] = []
        for run in range(2):
            journal = Journal.open(journals, 0, segment_bytes=chance.choice([1, 4]) * SEGMENT, durability="strict")
            for number in range(run * STATEMENTS, (run + 1) * STATEMENTS):
                for record in (intent(f"s{number}", sql_text="x" * chance.randrange(900)), outcome(f"s{number}")):
                    position = journal.append([record])
                    if chance.random() < 0.5:
                        await journal.wait_synced(position)
                        said = written(journals)
                    if chance.random() < 0.25:
                        cuts.append((tmp_path / f"cut{len(cuts)}", list(said)))
                        disk.cut(cuts[-1][0], chance)
            journal.close()
    assert len(cuts) > 4
    for folder, kept in cuts:
        await check(folder, kept, may_lack=True)


class FakeStore:
    """Takes records as the store does, each once; fails when it is told to: before it has them, or after."""

    is_reachable = True

    def __init__(self) -> None:
        self.ids: list[bytes] = []
        self.failures: Iterator[str] = iter(())

    async def copy_stream(self, stream: bytearray, count: int, days: Collection[int]) -> int:
        failure = next(self.failures, "")
        if failure == "before":
            raise StoreUnreachableError("away")
        new = [one for one in _ids(bytes(stream)) if one not in set(self.ids)]
        self.ids += new
        if failure == "after":
            raise StoreUnreachableError("the answer was lost")
        return len(new)

    @asynccontextmanager
    async def connected(self, role: str) -> AsyncIterator[Any]:
        raise StoreUnreachableError("no seals here")
        yield


def _ids(stream: bytes) -> Iterator[bytes]:
    """The third column of each row of a binary COPY."""
    at = 19
    while (fields := struct.unpack_from("!h", stream, at)[0]) >= 0:
        at += 2
        for number in range(fields):
            (size,) = struct.unpack_from("!i", stream, at)
            if number == 2:
                yield stream[at + 4 : at + 20]
            at += 4 + max(0, size)


async def ship(directory: Path, store: FakeStore) -> None:
    shipper = Shipper(directory, 0, store, written_position=lambda: 0)  # type: ignore[arg-type]
    try:
        with suppress(AuditError, OSError):
            await shipper.ship_available()
    finally:
        with suppress(OSError):
            shipper.close()


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
async def test_each_call_of_the_shipper_fails_in_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    names: set[str] = set()
    number = 0
    while number < 300:
        number += 1
        folder, store = tmp_path / str(number), FakeStore()
        assert len(work(folder)) == 2 * STATEMENTS
        disk = FailingDisk(folder, error, lambda name, count, number=number: count == number)
        with disk.in_place(monkeypatch), suppress(AuditError, OSError):
            await ship(folder, store)
        names |= set(disk.failed)
        journal = Journal.open(folder, 0, segment_bytes=SEGMENT)
        await ship(folder, store)
        journal.close()
        assert len(store.ids) == journal.records == 2 * STATEMENTS
        if not disk.failed:
            break
    assert 20 < number < 300
    assert {"open", "pread", "replace", "unlink", "fsync", "write"} <= names


@pytest.mark.parametrize("seed", range(4))
async def test_a_store_that_fails_now_and_then_gets_everything_once(tmp_path: Path, seed: int) -> None:
    chance, store = random.Random(seed), FakeStore()
    store.failures = iter([chance.choice(["before", "after", ""]) for _ in range(12)])
    for run in range(4):
        for _ in range(3):
            await ship(tmp_path / "journals", store) if run else None
        journal = Journal.open(tmp_path / "journals", 0, segment_bytes=SEGMENT)
        for number in range(20):
            journal.append([intent(f"r{run}-{number}"), outcome(f"r{run}-{number}")])
        journal.close()
    store.failures = iter(())
    await asyncio.wait_for(ship(tmp_path / "journals", store), 20)
    assert len(store.ids) == len(set(store.ids)) == 160
