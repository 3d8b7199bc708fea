"""What may come in wrong from clocks, disks and other sidecars: each has a clear error, and nothing is lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from audit_samples import TickingClock, fill, intent, outcome
from audit_store import execute

from audit.checkpoints import append_checkpoint, read_checkpoints
from audit.errors import JournalError, SealError, StoreError
from audit.journal import Journal, worker_directory
from audit.sealer import Sealer
from audit.segment import bytes_in, sequences_in
from audit.shipped import FILE_NAME as SHIPPED
from audit.shipped import read_shipped
from audit.shipper import Shipper
from audit.signing_key import load_or_make_signer
from audit.store import Store
from audit.store_seals import StoreSeals
from audit.verify import verify


async def ship(directory: Path, store: Store) -> int:
    return await Shipper(directory, 0, store, written_position=lambda: 0).ship_available()


async def test_a_clock_that_goes_back_breaks_nothing(tmp_path: Path, store: Store) -> None:
    """By a day, in the middle: checkpoints go on, ids rise, records keep the time of the clock."""
    clock = TickingClock(step_us=3_000_000)
    for _ in range(3):
        journal = Journal.open(tmp_path, 0, clock=clock)
        for number in range(4):
            position = journal.append([intent(f"s{clock.now_us}-{number}"), outcome(f"s{clock.now_us}-{number}")])
            await journal.wait_synced(position)
        clock.now_us -= 86_400_000_000
        position = journal.append([intent("behind"), outcome("behind")])
        await journal.wait_synced(position)
        assert read_checkpoints(worker_directory(tmp_path, 0))[0][-1].records == journal.records
        journal.close()
    await ship(tmp_path, store)
    assert (await verify(tmp_path, store)).problems == ()


async def test_another_record_with_the_same_id_stops_shipping_and_is_named(
    tmp_path: Path, store: Store, store_dsn: str
) -> None:
    fill(tmp_path, statements=3)
    await ship(tmp_path, store)
    await execute(store_dsn, "UPDATE pgwarden.records SET hash = prev_hash WHERE sequence = 4")
    (worker_directory(tmp_path, 0) / SHIPPED).unlink()
    with pytest.raises(StoreError, match="record 4 of .* the store holds another one"):
        await ship(tmp_path, store)
    assert read_shipped(worker_directory(tmp_path, 0)).records == 0
    assert sequences_in(worker_directory(tmp_path, 0)) != []  # the journal keeps what the store doesn't have


async def test_two_sidecars_with_copies_of_one_folder_are_found(tmp_path: Path, store: Store) -> None:
    """A machine was cloned, key and all: each goes on with the same chain."""
    fill(tmp_path / "one", statements=2)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    for name in ("one", "two"):
        fill(tmp_path / name, statements=2)
    await ship(tmp_path / "one", store)
    await Shipper(tmp_path / "two", 0, store, written_position=lambda: 0)._ship_all()
    report = await verify(tmp_path / "one", store)
    assert report.problems[0].record == 5
    signer = load_or_make_signer(tmp_path / "two")
    seals = StoreSeals(store)
    await execute(store._dsn, "TRUNCATE pgwarden.seals")
    sealer = Sealer(signer.chain(0), seals, lambda: signer, TickingClock())
    with pytest.raises(SealError, match="a copy of its journal folder is in use"):
        await sealer.seal_rest(read_shipped(worker_directory(tmp_path / "one", 0)))


async def test_a_store_with_a_newer_schema_is_left_alone(tmp_path: Path, store: Store, store_dsn: str) -> None:
    await execute(store_dsn, "UPDATE pgwarden.schema_version SET version = version + 100")
    with pytest.raises(StoreError, match="newer than this program"):
        await store.migrate()


async def test_a_journal_has_a_limit_and_goes_on_when_the_store_has_taken_some(tmp_path: Path, store: Store) -> None:
    """The store is away for a day: so much waits on the disk and no more, and statements are refused then."""
    limit = 64 << 10
    journal = Journal.open(tmp_path, 0, segment_bytes=8192, limit_bytes=limit)
    written = 0
    with pytest.raises(JournalError, match="journal_limit"):
        for written in range(10_000):
            journal.append([intent(f"s{written}", sql_text="x" * 500), outcome(f"s{written}")])
    assert journal.is_failed
    assert written > 50
    assert limit - 8192 <= bytes_in(worker_directory(tmp_path, 0)) <= limit
    shipper = Shipper(tmp_path, 0, store, written_position=lambda: journal.position)
    await shipper.ship_available()
    journal.append([intent("again"), outcome("again")])
    assert not journal.is_failed
    await shipper.ship_available()
    journal.close()
    shipper.close()
    assert (await verify(tmp_path, store)).problems == ()


async def test_a_start_with_a_full_journal_refuses_and_waits(tmp_path: Path) -> None:
    fill(tmp_path, statements=60, segment_bytes=8192)
    journal = Journal.open(tmp_path, 0, segment_bytes=8192, limit_bytes=16 << 10)
    assert journal.is_failed
    with pytest.raises(JournalError, match="journal_limit"):
        journal.append([intent("refused")])
    journal.close()


def test_a_torn_checkpoint_doesnt_spoil_the_next_one(tmp_path: Path) -> None:
    fill(tmp_path, statements=1)
    folder = worker_directory(tmp_path, 0)
    (last,) = read_checkpoints(folder)[0]
    with open(folder / "checkpoints.jsonl", "ab") as stream:
        stream.write(b'{"worker":0,"seque')
    append_checkpoint(folder, last)
    assert read_checkpoints(folder) == ([last, last], 0)


async def test_a_damaged_segment_in_the_middle_is_named_and_the_rest_is_stored(tmp_path: Path, store: Store) -> None:
    fill(tmp_path, statements=30, segment_bytes=4096)
    folder = worker_directory(tmp_path, 0)
    damaged = folder / f"{sequences_in(folder)[2]:010d}.seg"
    damaged.write_bytes(b"\xff" * damaged.stat().st_size)
    before = damaged.read_bytes()
    journal = Journal.open(tmp_path, 0)
    journal.append([intent("later"), outcome("later")])
    await ship(tmp_path, store)
    report = await verify(tmp_path, store)
    assert "can't be read" in report.problems[0].message or "missing" in report.problems[0].message
    stored = [chained async for chained in store.read_chain()]
    assert stored[-1].record.statement_id == "later"
    assert damaged.with_suffix(".damaged").read_bytes() == before
    journal.close()
