"""Changes in the store, or in the journal behind the store's back, are found by holding one against the other.

Only a superuser can make them: that is whom the chain watches.
"""

from pathlib import Path

import pytest
from audit_samples import fill, frames_of
from audit_store import execute

from audit.checkpoints import FILE_NAME as CHECKPOINTS
from audit.journal import worker_directory
from audit.shipper import Shipper
from audit.store import Store
from audit.verify import verify


async def ship(directory: Path, store: Store) -> None:
    await Shipper(directory, 0, store, written_position=lambda: 0).ship_available()


async def test_an_honest_store_holds(tmp_path: Path, store: Store) -> None:
    fill(tmp_path, statements=50, segment_bytes=8192)
    await ship(tmp_path, store)
    report = await verify(tmp_path, store)
    assert report.problems == ()
    assert report.is_store_checked
    assert report.store_records == 100
    assert report.journal_records < 100  # the shipped segments are gone
    fill(tmp_path, statements=3)  # not shipped yet
    assert (await verify(tmp_path, store)).ok


@pytest.mark.parametrize(
    ("edit", "record"),
    [
        ("UPDATE pgwarden.records SET sql_text = 'select 1' WHERE sequence = 7", 7),
        ("UPDATE pgwarden.records SET rows = 0 WHERE sequence = 8", 8),
        ("UPDATE pgwarden.records SET tenant = 'globex' WHERE sequence = 1", 1),
        ("UPDATE pgwarden.records SET tables = '{}' WHERE sequence = 7", 7),
        ("UPDATE pgwarden.records SET cost = 0 WHERE sequence = 8", 8),
        ("UPDATE pgwarden.records SET at = at + interval '1 microsecond' WHERE sequence = 7", 7),
        ("DELETE FROM pgwarden.records WHERE sequence = 7", 8),
        ("DELETE FROM pgwarden.records WHERE sequence <= 7", 8),
        ("UPDATE pgwarden.records SET sequence = 15 - sequence WHERE sequence IN (7, 8)", 7),
        ("UPDATE pgwarden.records SET sequence = 107 WHERE sequence = 7", 8),
    ],
)
async def test_an_edit_names_the_first_bad_record(
    tmp_path: Path, store: Store, store_dsn: str, edit: str, record: int
) -> None:
    fill(tmp_path, statements=10)
    await ship(tmp_path, store)
    await execute(store_dsn, edit)
    report = await verify(tmp_path, store)
    assert report.exit_code == 1
    assert report.problems[0].chain.startswith("store ")
    assert report.problems[0].record == record


async def test_records_removed_from_the_stores_end_are_missed(tmp_path: Path, store: Store, store_dsn: str) -> None:
    fill(tmp_path, statements=10)
    await ship(tmp_path, store)
    await execute(store_dsn, "DELETE FROM pgwarden.records WHERE sequence > 15")
    report = await verify(tmp_path, store)
    by_seal, by_head, *by_journal = report.problems
    assert "the head in the store names the last" in by_head.message
    assert (by_seal.chain[:6], by_seal.record, by_seal.message) == ("store ", 16, "to 20 are missing: they were sealed")
    assert [(problem.chain, problem.record) for problem in by_journal] == [
        ("worker-000", number) for number in range(16, 21)
    ]


async def test_a_journal_cut_with_its_checkpoints_is_found_by_the_store(tmp_path: Path, store: Store) -> None:
    """The forger cuts the tail and every checkpoint that speaks of it; the store remembers."""
    fill(tmp_path, statements=5)
    kept = (worker_directory(tmp_path, 0) / CHECKPOINTS).read_bytes()
    end = frames_of(tmp_path)[-1]
    fill(tmp_path, statements=5)
    await ship(tmp_path, store)
    (worker_directory(tmp_path, 0) / CHECKPOINTS).write_bytes(kept)
    for path in {path for path, _ in frames_of(tmp_path)} - {end[0]}:
        path.unlink()
    report = await verify(tmp_path, store)
    assert any("the store holds them" in problem.message for problem in report.problems)


async def test_what_retention_dropped_is_no_fault(tmp_path: Path, store: Store, store_dsn: str) -> None:
    fill(tmp_path, statements=5)
    await ship(tmp_path, store)
    await execute(
        store_dsn,
        "DELETE FROM pgwarden.records WHERE sequence <= 4",
        "INSERT INTO pgwarden.dropped_partitions VALUES ('records_2000_01', now())",
    )
    report = await verify(tmp_path, store)
    assert report.problems == ()
    assert any("begins at record 5" in note for note in report.notes)


async def test_what_somebody_deleted_isnt_what_retention_dropped(tmp_path: Path, store: Store, store_dsn: str) -> None:
    """A month of long ago was dropped once; these records were sealed long after it."""
    fill(tmp_path, statements=5)
    await ship(tmp_path, store)
    dropped = "INSERT INTO pgwarden.dropped_partitions VALUES ('records_2000_01', '2000-02-01')"
    for deleted in ("DELETE FROM pgwarden.records WHERE sequence <= 4", "TRUNCATE pgwarden.records"):
        await execute(store_dsn, deleted, f"{dropped} ON CONFLICT DO NOTHING")
        assert any("late, or somebody has deleted them" in note for note in (await verify(tmp_path, store)).notes)


async def test_a_store_that_cant_be_read_is_a_problem(tmp_path: Path) -> None:
    fill(tmp_path, statements=1)
    report = await verify(tmp_path, Store("postgresql://nobody@127.0.0.1:1/nothing"))
    assert report.exit_code == 1
    assert report.problems[0].chain == "store"
