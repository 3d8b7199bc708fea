"""Seals over what was shipped: when they come, what they hold, and that they find what the chain alone can't."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from audit_samples import START_US, TickingClock, fill, frames_of, intent, overwrite
from audit_store import execute, fetch

from audit.errors import ProofError, SealError, StoreError
from audit.journal import Journal, worker_directory
from audit.merkle import root_of
from audit.proof import checked_record, encode_proof
from audit.prove import prove_record
from audit.seal import is_seal_true
from audit.sealer import Sealer
from audit.shipped import ShippedPosition, read_shipped
from audit.shipper import Shipper
from audit.signing import PUBLIC_KEY_FILE, load_public_key
from audit.signing_key import load_or_make_signer
from audit.store import Store
from audit.store_seals import StoreSeals
from audit.verify import verify


async def ship(directory: Path, store: Store) -> Shipper:
    shipper = Shipper(directory, 0, store, written_position=lambda: 0)
    await shipper.ship_available()
    return shipper


def position(directory: Path) -> ShippedPosition:
    return read_shipped(worker_directory(directory, 0))


async def unsealed(directory: Path, store: Store, store_dsn: str, statements: int) -> None:
    """So many statements in the store, and no seal."""
    fill(directory, statements)
    await ship(directory, store)
    await execute(store_dsn, "TRUNCATE pgwarden.seals")


def sealer_of(directory: Path, store: Store, clock: TickingClock, **options: int) -> Sealer:
    signer = load_or_make_signer(directory)
    return Sealer(signer.chain(0), StoreSeals(store), lambda: signer, clock, **options)


async def places(store: Store) -> list[tuple[int, int]]:
    return [(seal.first, seal.last) for seal in await StoreSeals(store).all()]


async def test_full_runs_are_sealed_at_once_and_the_rest_in_time(tmp_path: Path, store: Store, store_dsn: str) -> None:
    await unsealed(tmp_path, store, store_dsn, statements=13)
    clock = TickingClock(step_us=0)
    sealer = sealer_of(tmp_path, store, clock, most_records=8, longest_us=1_000)
    await sealer.seal_due(position(tmp_path))
    assert await places(store) == [(1, 8), (9, 16), (17, 24)]
    clock.now_us += 999
    await sealer.seal_due(position(tmp_path))
    assert len(await places(store)) == 3
    clock.now_us += 1
    await sealer.seal_due(position(tmp_path))
    assert await places(store) == [(1, 8), (9, 16), (17, 24), (25, 26)]
    await sealer.seal_rest(position(tmp_path))
    again = sealer_of(tmp_path, store, clock)
    await again.seal_rest(position(tmp_path))
    assert len(await places(store)) == 4
    key = load_public_key(tmp_path / PUBLIC_KEY_FILE)
    assert all(is_seal_true(seal, key) for seal in await StoreSeals(store).all())
    assert (await verify(tmp_path, store)).problems == ()


async def test_a_clock_that_goes_back_makes_nobody_wait_for_it(tmp_path: Path, store: Store, store_dsn: str) -> None:
    await unsealed(tmp_path, store, store_dsn, statements=2)
    clock = TickingClock(step_us=0)
    sealer = sealer_of(tmp_path, store, clock, longest_us=1_000)
    await sealer.seal_due(position(tmp_path))
    clock.now_us = START_US - 50_000
    await sealer.seal_due(position(tmp_path))
    clock.now_us += 1_000
    await sealer.seal_due(position(tmp_path))
    assert await places(store) == [(1, 4)]


async def test_a_shipper_seals_what_is_left_when_it_stops(tmp_path: Path, store: Store) -> None:
    fill(tmp_path, statements=5)
    await ship(tmp_path, store)
    fill(tmp_path, statements=2)
    await ship(tmp_path, store)
    assert await places(store) == [(1, 10), (11, 14)]


async def test_a_damaged_record_leaves_its_hash_in_the_seal(tmp_path: Path, store: Store, store_dsn: str) -> None:
    fill(tmp_path, statements=5)
    path, frame = frames_of(tmp_path)[4]
    overwrite(path, frame.end - 20, b"xx")
    shipper = Shipper(tmp_path, 0, store, written_position=lambda: 0)
    assert [await shipper.ship_available() for _ in range(3)] == [4, 0, 5]
    assert await places(store) == [(1, 4), (5, 10)]
    seal = (await StoreSeals(store).all())[1]
    hashes = await _hashes(store)
    assert len(hashes) == 9
    assert root_of([frame.hash, *(bytes.fromhex(one) for one in hashes[4:])]).hex() == seal.root


async def _hashes(store: Store) -> list[str]:
    return [chained.record.hash async for chained in store.read_chain()]


@pytest.mark.parametrize(
    ("edit", "what"),
    [
        ("UPDATE pgwarden.records SET hash = decode(repeat('00', 32), 'hex') WHERE sequence = 5", "record 6 of"),
        ("UPDATE pgwarden.records SET hash = decode(repeat('00', 32), 'hex') WHERE sequence = 20", "record 20 of"),
        ("DELETE FROM pgwarden.records", "holds none of records 1 to 20"),
    ],
)
async def test_what_isnt_what_was_shipped_is_not_sealed(
    tmp_path: Path, store: Store, store_dsn: str, edit: str, what: str
) -> None:
    await unsealed(tmp_path, store, store_dsn, statements=10)
    await execute(store_dsn, edit)
    sealer = sealer_of(tmp_path, store, TickingClock())
    with pytest.raises(SealError, match=what):
        await sealer.seal_rest(position(tmp_path))
    assert await places(store) == []


async def test_shipping_goes_on_where_nothing_can_be_sealed(
    tmp_path: Path, store: Store, store_dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    await unsealed(tmp_path, store, store_dsn, statements=3)
    await execute(store_dsn, "UPDATE pgwarden.records SET prev_hash = hash WHERE sequence = 3")
    fill(tmp_path, statements=3)
    shipper = await ship(tmp_path, store)
    assert shipper.shipped_records == 6
    assert shipper.seal_problem is not None
    assert "record 3 of" in shipper.seal_problem
    assert [record.getMessage() for record in caplog.records if "can't be sealed" in record.getMessage()]


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        ("DELETE FROM pgwarden.records WHERE sequence > 16", "17 (None) to 20 are missing: they were sealed"),
        ("DELETE FROM pgwarden.records", "1 (None) to 20 are missing: they were sealed"),
        ("DELETE FROM pgwarden.records WHERE sequence <= 8", "1 (None) to 8 are missing: they were sealed"),
        ("DELETE FROM pgwarden.seals WHERE first = 9", "17 (None) to 20 are sealed, and 9 to 16 before them are not"),
        ("UPDATE pgwarden.seals SET records = 7 WHERE first = 1", "1 (None) to 7 have a seal with a false signature"),
        ("UPDATE pgwarden.seals SET root = hash WHERE first = 9", "9 (None) to 16 are not those that were sealed"),
    ],
)
async def test_verification_holds_the_store_against_its_seals(
    tmp_path: Path, store: Store, store_dsn: str, edit: str, problem: str
) -> None:
    await unsealed(tmp_path, store, store_dsn, statements=10)
    await sealer_of(tmp_path, store, TickingClock(), most_records=8).seal_rest(position(tmp_path))
    await execute(store_dsn, edit)
    report = await verify(tmp_path, store)
    told = [f"{one.record} ({one.record_id or None}) {one.message}" for one in report.problems]
    assert problem in told


async def test_seals_outlive_the_months_that_retention_drops(tmp_path: Path, store: Store) -> None:
    clock = TickingClock(now_us=int(datetime(2020, 1, 15, tzinfo=UTC).timestamp()) * 1_000_000)
    journal = Journal.open(tmp_path, 0, clock=clock)
    journal.append([intent(f"old{number}") for number in range(4)])
    clock.now_us = int(datetime(2026, 1, 15, tzinfo=UTC).timestamp()) * 1_000_000
    journal.append([intent(f"new{number}") for number in range(4)])
    journal.close()
    await ship(tmp_path, store)
    assert await places(store) == [(1, 8)]
    assert await store.apply_retention(datetime(2026, 2, 1, tzinfo=UTC)) == ["records_2020_01"]
    assert (await verify(tmp_path, store)).problems == ()


async def test_a_seal_of_another_key_is_told_and_its_roots_are_checked(
    tmp_path: Path, store: Store, store_dsn: str
) -> None:
    fill(tmp_path / "one", statements=2)
    await ship(tmp_path / "one", store)
    fill(tmp_path / "other", statements=2)
    await ship(tmp_path / "other", store)
    report = await verify(tmp_path / "one", store)
    assert report.problems == ()
    assert sum("of another key" in note for note in report.notes) == 1
    chain = load_or_make_signer(tmp_path / "other").chain(0)
    await execute(store_dsn, f"UPDATE pgwarden.seals SET root = hash WHERE chain = '{chain}'")
    assert "not those that were sealed" in str((await verify(tmp_path / "one", store)).problems[0])


async def test_the_writer_can_neither_change_nor_delete_a_seal(tmp_path: Path, store: Store, store_dsn: str) -> None:
    fill(tmp_path, statements=1)
    await ship(tmp_path, store)
    for what in ("UPDATE pgwarden.seals SET records = 1", "DELETE FROM pgwarden.seals", "TRUNCATE pgwarden.seals"):
        with pytest.raises(StoreError, match="InsufficientPrivilege"):
            async with store.writing() as connection:
                await connection.execute(what)
    rows = await fetch(store_dsn, "SELECT grantee, privilege_type FROM information_schema.table_privileges "
                       "WHERE table_name = 'seals' AND grantee LIKE 'pgwarden_%' ORDER BY 1, 2")  # fmt: skip
    expected = [("pgwarden_auditor", "SELECT"), ("pgwarden_reader", "SELECT")]
    assert [tuple(row) for row in rows] == [*expected, ("pgwarden_writer", "INSERT"), ("pgwarden_writer", "SELECT")]


async def test_a_record_is_proven_out_of_the_store(tmp_path: Path, store: Store, store_dsn: str) -> None:
    fill(tmp_path, statements=20)
    await ship(tmp_path, store)
    key = load_public_key(tmp_path / PUBLIC_KEY_FILE)
    chain = [chained async for chained in store.read_chain()]
    for chained in (chain[0], chain[17], chain[-1]):
        proof = await prove_record(StoreSeals(store), chained.record.id)
        assert checked_record(encode_proof(proof), key) == chained.record
    with pytest.raises(ProofError, match="no record's id"):
        await prove_record(StoreSeals(store), "x'; --")
    with pytest.raises(ProofError, match="holds no record"):
        await prove_record(StoreSeals(store), "0" * 32)
    await execute(store_dsn, "UPDATE pgwarden.records SET hash = prev_hash WHERE sequence = 3")
    with pytest.raises(ProofError, match="not those that were sealed"):
        await prove_record(StoreSeals(store), chain[0].record.id)
    await execute(store_dsn, "TRUNCATE pgwarden.seals")
    with pytest.raises(ProofError, match="not sealed yet"):
        await prove_record(StoreSeals(store), chain[0].record.id)


async def test_records_that_are_missing_when_they_are_sealed_are_told(
    tmp_path: Path, store: Store, store_dsn: str
) -> None:
    """The others are sealed all the same: what is missing stays to be seen."""
    await unsealed(tmp_path, store, store_dsn, statements=4)
    await execute(store_dsn, "DELETE FROM pgwarden.records WHERE sequence IN (1, 5)")
    sealer = sealer_of(tmp_path, store, TickingClock())
    await sealer.seal_rest(position(tmp_path))
    assert "lacks 2 records" in sealer.missing
    assert sealer.missing.endswith("the first is 1")
    assert await places(store) == [(1, 8)]
    assert not (await verify(tmp_path, store)).ok
