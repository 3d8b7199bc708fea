import asyncio
from pathlib import Path

import pytest
from audit_samples import fill, frames_of, intent, outcome, overwrite

from audit.errors import StoreUnreachableError
from audit.journal import Journal, worker_directory
from audit.query import Filters
from audit.record import Verdict
from audit.segment import sequences_in, write_frame
from audit.shipped import FILE_NAME, read_shipped
from audit.shipper import Shipper
from audit.store import Store


def shipper_of(directory: Path, store: Store, journal: Journal | None = None) -> Shipper:
    return Shipper(
        directory,
        0,
        store,
        written_position=lambda: journal.position if journal else 0,
        pause_s=0.01,
        longest_backoff_s=0.05,
        random=lambda: 0.5,
    )


async def stored_ids(store: Store) -> list[str]:
    return [chained.record.id async for chained in store.read_chain()]


async def test_everything_arrives_once_and_in_order(tmp_path: Path, store: Store) -> None:
    journal = Journal.open(tmp_path, 0, segment_bytes=8192)
    shipper = shipper_of(tmp_path, store, journal)
    assert await shipper.ship_available() == 0
    for number in range(50):
        journal.append([intent(f"s{number}"), outcome(f"s{number}")])
        if number % 20 == 0:
            await shipper.ship_available()
    assert shipper.lag_bytes > 0
    await shipper.ship_available()
    assert shipper.lag_bytes == 0
    assert shipper.shipped_records == 100
    chain = [chained async for chained in store.read_chain()]
    assert [chained.sequence for chained in chain] == list(range(1, 101))
    assert [chained.record.statement_id for chained in chain] == [f"s{number // 2}" for number in range(100)]
    journal.close()


async def test_a_new_shipper_goes_on_where_the_last_one_was(tmp_path: Path, store: Store) -> None:
    fill(tmp_path, statements=10)
    assert await shipper_of(tmp_path, store).ship_available() == 20
    assert await shipper_of(tmp_path, store).ship_available() == 0
    fill(tmp_path, statements=5)
    assert await shipper_of(tmp_path, store).ship_available() == 10
    assert len(await stored_ids(store)) == 30


@pytest.mark.parametrize("content", [None, b"", b'{"sequence": "x"}'])
async def test_a_lost_position_ships_again_and_changes_nothing(
    tmp_path: Path, store: Store, content: bytes | None
) -> None:
    fill(tmp_path, statements=10)
    await shipper_of(tmp_path, store).ship_available()
    path = worker_directory(tmp_path, 0) / FILE_NAME
    path.unlink() if content is None else path.write_bytes(content)
    assert await shipper_of(tmp_path, store).ship_available() == 20
    assert len(await stored_ids(store)) == 20


async def test_segments_go_when_they_are_shipped_and_sealed(tmp_path: Path, store: Store) -> None:
    journal = Journal.open(tmp_path, 0, segment_bytes=8192)
    for number in range(100):
        journal.append([intent(f"s{number}"), outcome(f"s{number}")])
    folder = worker_directory(tmp_path, 0)
    newest = sequences_in(folder)[-1]
    assert len(sequences_in(folder)) > 5
    await shipper_of(tmp_path, store, journal).ship_available()
    assert sequences_in(folder) == [newest]
    journal.append([intent("next")])
    journal.close()


async def test_nothing_goes_while_the_store_is_away(tmp_path: Path) -> None:
    fill(tmp_path, statements=100, segment_bytes=8192)
    before = sequences_in(worker_directory(tmp_path, 0))
    shipper = shipper_of(tmp_path, Store("postgresql://nobody@127.0.0.1:1/nothing"))
    with pytest.raises(StoreUnreachableError):
        await shipper.ship_available()
    assert not shipper.is_reachable
    assert sequences_in(worker_directory(tmp_path, 0)) == before
    assert read_shipped(worker_directory(tmp_path, 0)).records == 0


async def test_a_running_statement_keeps_its_segment_until_its_outcome(tmp_path: Path, store: Store) -> None:
    """Recovery after a crash needs the intent, or nobody would ever say that its end is unknown."""
    journal = Journal.open(tmp_path, 0, segment_bytes=8192)
    shipper = shipper_of(tmp_path, store, journal)
    journal.append([intent("long"), intent("denied", decision=Verdict.DENY)])
    for number in range(100):
        journal.append([intent(f"s{number}"), outcome(f"s{number}")])
    await shipper.ship_available()
    folder = worker_directory(tmp_path, 0)
    assert sequences_in(folder)[0] == 1
    journal.append([outcome("long")])
    await shipper.ship_available()
    assert len(sequences_in(folder)) == 1
    journal.close()


async def test_a_running_shipper_sends_what_is_appended(tmp_path: Path, store: Store) -> None:
    journal = Journal.open(tmp_path, 0)
    shipper = shipper_of(tmp_path, store, journal)
    task = asyncio.create_task(shipper.run())
    journal.append([intent("s1")])
    async with asyncio.timeout(10):
        while not await store.query(Filters(tenant="acme")):
            await asyncio.sleep(0.01)
    assert shipper.is_reachable
    assert shipper.last_error is None
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    journal.close()


async def test_an_edited_record_isnt_shipped(tmp_path: Path, store: Store) -> None:
    fill(tmp_path, statements=3)
    path, frame = frames_of(tmp_path)[2]
    data = bytearray(frame.end - frame.start)
    write_frame(memoryview(data), 0, frame.prev_hash, bytes(32), frame.body)  # a false hash, a true checksum
    overwrite(path, frame.start, bytes(data))
    shipper = shipper_of(tmp_path, store)
    assert await shipper.ship_available() == 5
    assert shipper.damaged_records == 1


async def test_the_lag_counts_the_first_segment_right(tmp_path: Path, store: Store) -> None:
    journal = Journal.open(tmp_path, 0)
    shipper = shipper_of(tmp_path, store, journal)
    assert shipper.lag_bytes == 0
    journal.append([intent("s1")])
    assert shipper.lag_bytes > 0
    await shipper.ship_available()
    assert shipper.lag_bytes == 0
    journal.close()


async def test_a_damaged_record_isnt_shipped_and_those_behind_it_are(
    tmp_path: Path, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal.open(tmp_path, 0)
    journal.append([intent(f"s{number}") for number in range(6)])
    path, frame = frames_of(tmp_path)[2]
    overwrite(path, frame.end - 20, b"\xff")
    shipper = shipper_of(tmp_path, store, journal)
    sent = [await shipper.ship_available() for _ in range(3)]
    assert sent == [2, 0, 3]  # it is looked at twice: somebody may be writing it
    assert shipper.damaged_records == 1
    assert "damaged records aren't shipped" in caplog.text
    journal.append([intent("next")])
    assert await shipper.ship_available() == 1
    numbers = [chained.sequence async for chained in store.read_chain()]
    assert numbers == [1, 2, 4, 5, 6, 7]
    journal.close()
    shipper.close()


async def test_a_torn_record_waits_until_it_is_whole(tmp_path: Path, store: Store) -> None:
    journal = Journal.open(tmp_path, 0)
    journal.append([intent(f"s{number}") for number in range(3)])
    path, frame = frames_of(tmp_path)[2]
    whole = path.read_bytes()[frame.start : frame.end]
    overwrite(path, frame.start + 40, bytes(len(whole) - 40))
    shipper = shipper_of(tmp_path, store, journal)
    assert [await shipper.ship_available() for _ in range(3)] == [2, 0, 0]
    overwrite(path, frame.start, whole)
    assert await shipper.ship_available() == 1
    assert shipper.damaged_records == 0
    journal.close()
    shipper.close()


async def test_what_a_restart_left_behind_damage_isnt_shipped(tmp_path: Path, store: Store) -> None:
    """Recovery goes on with the damaged record's number: what stands behind it is in no chain any more."""
    fill(tmp_path, statements=3)
    path, frame = frames_of(tmp_path)[3]
    overwrite(path, frame.end - 20, b"\xff")
    journal = Journal.open(tmp_path, 0)
    journal.append([intent("later")])
    shipper = shipper_of(tmp_path, store, journal)
    await shipper.ship_available()
    numbers = [chained.sequence async for chained in store.read_chain()]
    assert numbers == list(range(1, journal.records + 1))
    journal.close()
    shipper.close()


async def test_shipping_doesnt_wait_for_seals(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store of long ago is being sealed, which takes as long as it takes."""
    monkeypatch.setattr("audit.shipper._SEAL_S", 0.01)
    journal = Journal.open(tmp_path, 0)
    shipper = shipper_of(tmp_path, store, journal)
    begun = asyncio.Event()

    async def for_ever(_: object) -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(shipper._sealer, "seal_due", for_ever)
    task = asyncio.create_task(shipper.run())
    async with asyncio.timeout(20):
        journal.append([intent("s1")])
        await begun.wait()
        journal.append([intent("s2")])
        while len(await stored_ids(store)) < 2:
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    journal.close()
