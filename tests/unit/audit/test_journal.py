import asyncio
import errno
import os
import stat
import threading
import time
from decimal import Decimal
from pathlib import Path

import pytest
from audit_samples import START_US, TickingClock, fill, frames_of, intent, outcome, overwrite

from audit.checkpoints import read_checkpoints
from audit.cost import price_list
from audit.errors import JournalError
from audit.ids import Ids
from audit.journal import Journal, worker_directory
from audit.lines import Lines
from audit.record import NO_HASH, Record, Stage, Verdict, record_of
from audit.segment import HEADER_BYTES, sequences_in
from audit.signing import is_signature_true, load_public_key


def records_of(directory: Path) -> list[Record]:
    return [record_of(frame.body, frame.prev_hash, frame.hash) for _, frame in frames_of(directory)]


def test_appended_records_are_chained_and_stand_in_the_file_at_once(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, 0)
    position = journal.append([intent("s1"), intent("s2")])
    assert journal.append([outcome("s1")]) > position
    records = records_of(tmp_path)  # read through the file, while the journal is open
    journal.close()
    assert [record.statement_id for record in records] == ["s1", "s2", "s1"]
    assert records[0].prev_hash == NO_HASH.hex()
    assert [record.prev_hash for record in records[1:]] == [record.hash for record in records[:-1]]
    assert [record.id for record in records] == sorted({record.id for record in records})


def test_segments_follow_each_other_and_give_back_what_they_dont_use(tmp_path: Path) -> None:
    fill(tmp_path, statements=200, segment_bytes=8192)
    folder = worker_directory(tmp_path, 0)
    frames = frames_of(tmp_path)
    assert len(frames) == 400
    assert sequences_in(folder) == list(range(1, len(sequences_in(folder)) + 1))
    assert len(sequences_in(folder)) > 5
    for path in {path for path, _ in frames}:
        assert path.stat().st_size == max(frame.end for of, frame in frames if of == path)
    assert all(frame.is_hash_true() for _, frame in frames)
    assert [frame.prev_hash for _, frame in frames[1:]] == [frame.hash for _, frame in frames[:-1]]


def test_a_record_larger_than_a_segment_gets_one_of_its_size(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, 0, segment_bytes=4096)
    journal.append([intent("s1", sql_text="x" * 3_000_000)])
    journal.append([outcome("s1")])
    journal.close()
    assert [len(record.sql_text) for record in records_of(tmp_path)] == [3_000_000, 0]


def test_a_second_process_cant_have_the_same_folder(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, 0)
    with pytest.raises(JournalError, match="another process"):
        Journal.open(tmp_path, 0)
    other_worker = Journal.open(tmp_path, 1)
    other_worker.close()
    journal.close()
    Journal.open(tmp_path, 0).close()


def test_the_chain_goes_on_after_a_restart(tmp_path: Path) -> None:
    clock = TickingClock()
    for number in range(3):
        journal = Journal.open(tmp_path, 0, clock=clock, ids=Ids(clock))
        journal.append([intent(f"s{number}"), outcome(f"s{number}")])
        assert journal.records == 2 * (number + 1)
        journal.close()
        clock.now_us -= 3_600_000_000  # the clock was set back an hour: ids must rise all the same
    records = records_of(tmp_path)
    assert [record.statement_id for record in records] == ["s0", "s0", "s1", "s1", "s2", "s2"]
    assert [record.prev_hash for record in records[1:]] == [record.hash for record in records[:-1]]
    assert [record.id for record in records] == sorted(record.id for record in records)


def test_starts_without_records_leave_no_segments_behind(tmp_path: Path) -> None:
    for _ in range(3):
        Journal.open(tmp_path, 0).close()
    assert len(sequences_in(worker_directory(tmp_path, 0))) == 1


def test_an_intent_without_outcome_gets_one_that_says_so(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, 0)
    journal.append([intent("done"), outcome("done"), intent("denied", decision=Verdict.DENY), intent("lost")])
    journal.close()
    Journal.open(tmp_path, 0).close()
    Journal.open(tmp_path, 0).close()  # and only once
    last = records_of(tmp_path)[4:]
    assert [(record.stage, record.statement_id, record.sqlstate) for record in last] == [
        (Stage.OUTCOME, "lost", "08007")
    ]
    assert last[0].rule_ids == ("analysts/rows/1", "pgwarden/journal")
    assert last[0].rows is None


def test_a_torn_tail_is_passed_over_and_said(tmp_path: Path) -> None:
    fill(tmp_path, statements=3)
    path, last = frames_of(tmp_path)[-1]
    os.truncate(path, last.end - 40)
    Journal.open(tmp_path, 0).close()
    records = records_of(tmp_path)
    torn, missing, unknown = records[5:]
    assert (torn.stage, torn.shape) == (Stage.EVENT, "journal_recovery")
    assert "torn" in torn.sql_text
    assert "1 records before the checkpoint at record 6 are missing" in missing.sql_text
    assert unknown.sqlstate == "08007"  # the outcome was what was torn
    assert torn.prev_hash == records[4].hash


def test_damage_before_the_tail_keeps_the_evidence(tmp_path: Path) -> None:
    fill(tmp_path, statements=3)
    path, third = frames_of(tmp_path)[2]
    overwrite(path, third.start + 100, b"\xff\xff")
    edited = path.read_bytes()
    Journal.open(tmp_path, 0).close()
    assert path.read_bytes() == edited
    events = [record.sql_text for record in records_of(tmp_path) if record.stage is Stage.EVENT]
    assert any("damaged" in event for event in events)


def test_a_lost_segment_file_is_said(tmp_path: Path) -> None:
    fill(tmp_path, statements=3)
    for path in {path for path, _ in frames_of(tmp_path)}:
        path.unlink()
    Journal.open(tmp_path, 0).close()
    (event,) = records_of(tmp_path)
    assert "6 records" in event.sql_text


async def test_strict_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced_inodes: list[int] = []
    real_fsync = os.fsync

    def fsync(file: int) -> None:
        synced_inodes.append(os.fstat(file).st_ino)
        real_fsync(file)

    journal = Journal.open(tmp_path, 0, durability="strict")
    await journal.wait_synced(journal.append([intent("s0")]))
    monkeypatch.setattr(os, "fsync", fsync)
    position = journal.append([intent("s1")])
    await journal.wait_synced(position)
    (path,) = {path for path, _ in frames_of(tmp_path)}
    assert path.stat().st_ino in synced_inodes
    assert journal.synced_position >= position
    assert journal.lag_bytes == 0
    journal.close()


async def test_what_nobody_waits_for_is_gathered_under_strict_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    real_fsync = os.fsync

    def fsync(file: int) -> None:
        nonlocal calls
        calls += 1
        real_fsync(file)

    journal = Journal.open(tmp_path, 0, durability="strict")
    await journal.wait_synced(journal.append([intent("first")]))
    monkeypatch.setattr(os, "fsync", fsync)
    appended = 0
    deadline = time.monotonic() + 0.1
    while time.monotonic() < deadline:
        position = journal.append([intent(f"s{appended}")])
        appended += 1
        await asyncio.sleep(0)
    assert calls <= 6  # every 20 ms
    await journal.wait_synced(position)
    journal.close()


async def test_many_waiters_share_syncs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0
    real_fsync = os.fsync

    def slow_fsync(file: int) -> None:
        nonlocal calls
        calls += 1
        time.sleep(0.01)
        real_fsync(file)

    journal = Journal.open(tmp_path, 0, durability="strict")
    await journal.wait_synced(journal.append([intent("first")]))
    monkeypatch.setattr(os, "fsync", slow_fsync)
    await asyncio.gather(*(journal.wait_synced(journal.append([intent(f"s{n}")])) for n in range(100)))
    assert calls < 20
    journal.close()


async def test_grouped_syncs_by_itself(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, 0)
    position = journal.append([intent("s1")])
    async with asyncio.timeout(5):
        while journal.synced_position < position:
            await asyncio.sleep(0.005)
    journal.close()


async def test_a_failed_sync_stops_the_journal_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal.open(tmp_path, 0, durability="strict")
    await journal.wait_synced(journal.append([intent("s1")]))
    real_fsync = os.fsync

    def fsync(file: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(JournalError):
        await journal.wait_synced(journal.append([intent("s2")]))
    monkeypatch.setattr(os, "fsync", real_fsync)  # the disk seems well again, but the pages may be lost
    assert journal.is_failed
    with pytest.raises(JournalError, match="Input/output error"):
        journal.append([intent("s3")])
    with pytest.raises(JournalError):
        await journal.wait_synced(journal.position)
    journal.close()


def test_a_closed_journal_takes_nothing(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, 0)
    journal.close()
    journal.close()
    assert journal.is_failed
    with pytest.raises(JournalError, match="closed"):
        journal.append([intent("s1")])


@pytest.mark.parametrize("call", ["open", "posix_fallocate", "pwrite", "rename"])
def test_each_failing_call_of_a_new_segment_refuses_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    journal = Journal.open(tmp_path, 0, segment_bytes=4096)
    journal.append([intent("s1")])
    folder = worker_directory(tmp_path, 0)
    before = set(folder.iterdir())
    real = getattr(os, call)

    def fail(first: object, *arguments: object, **options: object) -> object:
        if call != "open" or str(first).endswith(".tmp"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(first, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(JournalError, match="No space"):
            journal.append([intent("s2", sql_text="x" * 4000), intent("s3")])
        assert journal.is_failed
    assert {path for path in folder.iterdir() if path.suffix != ".jsonl"} == {
        path for path in before if path.suffix != ".jsonl"
    }
    journal.append([intent("s4", sql_text="x" * 4000)])
    assert not journal.is_failed
    journal.close()
    assert [record.statement_id for record in records_of(tmp_path)] == ["s1", "s4"]


def test_a_full_disk_at_start_delays_what_recovery_has_to_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal.open(tmp_path, 0)
    journal.append([intent("lost")])
    journal.close()

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", fail)
        journal = Journal.open(tmp_path, 0)
        assert journal.is_failed
    journal.append([intent("next")])
    journal.close()
    assert [(r.stage, r.statement_id) for r in records_of(tmp_path)[1:]] == [
        (Stage.OUTCOME, "lost"),
        (Stage.INTENT, "next"),
    ]


def test_the_key_is_ours_alone_and_signs_checkpoints(tmp_path: Path) -> None:
    fill(tmp_path, statements=5)
    assert stat.S_IMODE((tmp_path / "signing.key").stat().st_mode) == 0o600
    checkpoints, unreadable = read_checkpoints(worker_directory(tmp_path, 0))
    assert unreadable == 0
    assert checkpoints[-1].records == 10
    assert checkpoints[-1].hash == frames_of(tmp_path)[-1][1].hash.hex()
    key = load_public_key(tmp_path / "signing.pub")
    assert all(is_signature_true(checkpoint, key) for checkpoint in checkpoints)


def test_all_workers_and_starts_share_one_key(tmp_path: Path) -> None:
    Journal.open(tmp_path, 0).close()
    key = (tmp_path / "signing.key").read_bytes()
    Journal.open(tmp_path, 1).close()
    assert (tmp_path / "signing.key").read_bytes() == key


def test_a_segment_is_allocated_whole(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, 0, segment_bytes=1 << 20)
    journal.append([intent("s1")])
    (path,) = {path for path, _ in frames_of(tmp_path)}
    assert path.stat().st_size == 1 << 20
    assert path.stat().st_blocks * 512 >= 1 << 20
    journal.close()
    assert HEADER_BYTES < path.stat().st_size < 4096


def lines_of(**fields: object) -> Lines:
    return Lines(intent(**fields), outcome("", **fields), price_list(0.0005, currency="USD"))


def test_records_from_templates_stand_in_one_chain_with_the_others(tmp_path: Path) -> None:
    clock = TickingClock()
    journal = Journal.open(tmp_path, 0, clock=clock, ids=Ids(clock))
    lines = lines_of(application="psql")
    statement_id = journal.append_intent(lines, b"select 1")
    behind = journal.position
    journal.append([intent("whole")])
    journal.append_outcome(lines, statement_id, 3, 120, 1500, "57014")
    assert journal.position > behind
    assert journal.records == 3
    records = records_of(tmp_path)  # read through the file, while the journal is open
    journal.close()
    first, _, last = records
    assert (first.statement_id, first.id, first.sql_text) == (statement_id, statement_id, "select 1")
    assert (last.statement_id, last.rows, last.bytes_out, last.duration_us) == (statement_id, 3, 120, 1500)
    assert (last.cost, last.currency, last.sqlstate) == (Decimal("0.000000750"), "USD", "57014")
    assert START_US < first.at < last.at
    assert [record.prev_hash for record in records[1:]] == [record.hash for record in records[:-1]]
    assert [record.id for record in records] == sorted({record.id for record in records})
    assert all(frame.is_hash_true() for _, frame in frames_of(tmp_path))


def test_templates_change_segments_and_get_large_ones(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, 0, segment_bytes=4096)
    lines = lines_of()
    for size in (10, 3_000_000, 10, 900, 900, 900, 900):
        journal.append_outcome(lines, journal.append_intent(lines, b"x" * size), 1, 1, 1)
    journal.close()
    records = records_of(tmp_path)
    assert [len(r.sql_text) for r in records if r.stage is Stage.INTENT] == [10, 3_000_000, 10, 900, 900, 900, 900]
    assert [record.prev_hash for record in records[1:]] == [record.hash for record in records[:-1]]
    assert len(sequences_in(worker_directory(tmp_path, 0))) > 3


def test_no_room_refuses_templates_too_and_room_lets_them_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal.open(tmp_path, 0, segment_bytes=4096)
    lines = lines_of()
    statement_id = journal.append_intent(lines, b"select 1")

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", fail)
        with pytest.raises(JournalError, match="No space"):
            journal.append_intent(lines, b"x" * 5000)
        assert journal.is_failed
        journal.append_outcome(lines, statement_id, 1, 1, 1)  # there is room for it where the journal stands
        assert not journal.is_failed
    journal.append_intent(lines, b"x" * 5000)
    journal.close()
    with pytest.raises(JournalError, match="closed"):
        journal.append_intent(lines, b"select 1")
    with pytest.raises(JournalError, match="closed"):
        journal.append_outcome(lines, statement_id, 1, 1, 1)
    assert [len(record.sql_text) for record in records_of(tmp_path)] == [8, 0, 5000]


async def test_a_failed_sync_refuses_templates_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal.open(tmp_path, 0, durability="strict")
    lines = lines_of()
    await journal.wait_synced(journal.append([intent("s1")]))

    def fsync(file: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        journal.append_intent(lines, b"select 1")
        with pytest.raises(JournalError):
            await journal.wait_synced(journal.position)
    with pytest.raises(JournalError, match="Input/output error"):
        journal.append_intent(lines, b"select 1")
    journal.close()


def test_what_recovery_has_to_say_comes_before_templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal.open(tmp_path, 0)
    journal.append_intent(lines_of(), b"lost")
    journal.close()

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", fail)
        journal = Journal.open(tmp_path, 0)
    journal.append_intent(lines_of(), b"next")
    journal.close()
    assert [(r.stage, r.sqlstate, r.sql_text) for r in records_of(tmp_path)] == [
        (Stage.INTENT, "", "lost"),
        (Stage.OUTCOME, "08007", "lost"),
        (Stage.INTENT, "", "next"),
    ]


def test_threads_write_one_chain(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, 0, segment_bytes=16384)
    lines = lines_of()

    def write() -> None:
        for number in range(300):
            statement_id = journal.append_intent(lines, b"x" * (number % 300))
            if number % 10 == 0:
                journal.append([intent("whole")])
            journal.append_outcome(lines, statement_id, number, 1, 1)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    records = records_of(tmp_path)
    assert len(records) == 4 * (300 * 2 + 30)
    assert [record.prev_hash for record in records[1:]] == [record.hash for record in records[:-1]]
    assert [record.id for record in records] == sorted({record.id for record in records})
    assert all(frame.is_hash_true() for _, frame in frames_of(tmp_path))
