"""Keys that follow each other: who is trusted, whose seals count, and what a lost or a wrong key says."""

from __future__ import annotations

from pathlib import Path

import pytest
from audit_samples import fill
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.checkpoints import append_checkpoint, read_checkpoints
from audit.errors import CorruptJournalError, SigningKeyError
from audit.heads_file import Witnesses
from audit.journal import Journal, worker_directory
from audit.proof import checked_record, encode_proof
from audit.prove import prove_record
from audit.ring import Ring, first_entry, next_entry, read_ring, write_ring
from audit.shipper import Shipper
from audit.signing import PRIVATE_KEY_FILE, PUBLIC_KEY_FILE, load_public_key
from audit.signing_key import SigningKey, load_or_make_signer, rotate_key
from audit.store import Store
from audit.store_heads import StoreHeads
from audit.store_seals import StoreSeals
from audit.verify import verify


def pem_of(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


async def ship(directory: Path, store: Store) -> None:
    await Shipper(directory, 0, store, written_position=lambda: 0).ship_available()


def test_trust_goes_forward_by_vouching_and_back_by_following() -> None:
    one, two, three, stranger = (Ed25519PrivateKey.generate() for _ in range(4))
    first = first_entry(one, 1)
    second = next_entry(two, 2, first.key, one)
    ring = Ring((first, second, next_entry(three, 3, second.key, two)))
    assert len(ring.trusted([one.public_key()])) == len(ring.trusted([three.public_key()])) == 3
    assert ring.trusted([stranger.public_key()]) == []
    # Somebody who has the folder, and no key, puts a key of his own behind.
    forged = Ring((first, second, next_entry(stranger, 3, second.key, stranger)))
    assert len(forged.trusted([one.public_key()])) == 2
    assert [entry.fingerprint for entry in forged.untrusted([one.public_key()])] == [forged.last.fingerprint]


def test_an_edited_entry_vouches_for_nothing() -> None:
    one, two = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    first = first_entry(one, 1)
    second = next_entry(two, 2, first.key, one)
    assert second.is_vouched_by(first)
    assert second.is_own_true()
    for changed in ({"at": 3}, {"key": first.key}, {"by_former": "00"}, {"by_former": "no hex"}):
        assert not type(second)(**{**_fields(second), **changed}).is_vouched_by(first)


def _fields(entry: object) -> dict[str, object]:
    return {name: getattr(entry, name) for name in ("key", "at", "former", "by_own", "by_former")}


async def test_after_a_rotation_everything_holds_with_either_key(tmp_path: Path, store: Store) -> None:
    fill(tmp_path, statements=4)
    await ship(tmp_path, store)
    old = load_public_key(tmp_path / PUBLIC_KEY_FILE)
    chain = load_or_make_signer(tmp_path).chain(0)
    rotate_key(tmp_path, None, None)
    fill(tmp_path, statements=4)
    await ship(tmp_path, store)
    new = load_public_key(tmp_path / PUBLIC_KEY_FILE)
    assert load_or_make_signer(tmp_path).chain(0) == chain  # it goes on under its name
    ids = [chained.record.id async for chained in store.read_chain()]
    proofs = [await prove_record(StoreSeals(store), ids[at], await StoreHeads(store).rings()) for at in (0, -1)]
    assert proofs[0].key != proofs[1].key
    for proof, record_id in zip(proofs, (ids[0], ids[-1]), strict=True):
        key = load_public_key(tmp_path / f"signing-{proof.key}.pub")
        assert checked_record(encode_proof(proof), key).id == record_id
    for roots in ([], [old], [new]):
        report = await verify(tmp_path, store, roots)
        assert (report.problems, report.notes) == ((), ())
    assert (await verify(None, store, [old])).problems == ()
    assert (await verify(None, store, [Ed25519PrivateKey.generate().public_key()])).notes != ()


def test_a_running_journal_signs_with_the_new_key(tmp_path: Path) -> None:
    key = SigningKey(tmp_path)
    before = key.signer()
    assert key.signer() is before
    rotate_key(tmp_path, None, None)
    assert key.signer().private_key is not before.private_key
    assert key.signer().chain(7) == before.chain(7)


def test_a_rotation_that_was_cut_off_is_finished(tmp_path: Path) -> None:
    """Killed behind the ring and before the key: the new one stands beside, under its other name."""
    load_or_make_signer(tmp_path)
    old = (tmp_path / PRIVATE_KEY_FILE).read_bytes()
    rotate_key(tmp_path, None, None)
    (tmp_path / PRIVATE_KEY_FILE).rename(tmp_path / "signing.key.next")
    (tmp_path / PRIVATE_KEY_FILE).write_bytes(old)
    ring = load_or_make_signer(tmp_path).ring
    assert len(ring.entries) == 2
    assert not (tmp_path / "signing.key.next").exists()
    # Killed before the ring: the new key was never anybody's, and the old one goes on.
    (tmp_path / "signing.key.next").write_bytes(pem_of(Ed25519PrivateKey.generate()))
    assert load_or_make_signer(tmp_path).ring == ring


def test_a_lost_list_of_keys_is_told_once_keys_were_replaced(tmp_path: Path) -> None:
    fill(tmp_path, statements=1)
    (tmp_path / "keys.jsonl").unlink()
    before = load_or_make_signer(tmp_path).chain(0)  # of one key it can be made again
    rotate_key(tmp_path, None, None)
    (tmp_path / "keys.jsonl").unlink()
    with pytest.raises(SigningKeyError, match=r"keys\.jsonl is missing"):
        load_or_make_signer(tmp_path)
    assert before


def test_a_sidecar_may_finish_a_rotation_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks just between the ring and the key: both end with the new one."""
    key = SigningKey(tmp_path)
    key.signer()

    def written(directory: Path, ring: Ring) -> None:
        write_ring(directory, ring)
        key.signer()

    monkeypatch.setattr("audit.signing_key.write_ring", written)
    rotate_key(tmp_path, None, None)
    assert key.signer().ring == load_or_make_signer(tmp_path).ring
    assert len(key.signer().ring.entries) == 2


def test_a_lost_key_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    fill(tmp_path, statements=2)
    (tmp_path / PRIVATE_KEY_FILE).unlink()
    with pytest.raises(SigningKeyError, match="rotate-key --lost"):
        Journal.open(tmp_path, 0)
    assert not (tmp_path / PRIVATE_KEY_FILE).exists()  # no other one was made in silence
    rotate_key(tmp_path, None, None, is_lost=True)
    journal = Journal.open(tmp_path, 0)
    assert journal.records == 4
    journal.close()


async def test_a_key_that_nobody_vouches_for_is_named(tmp_path: Path) -> None:
    fill(tmp_path, statements=2)
    old = load_public_key(tmp_path / PUBLIC_KEY_FILE)
    rotate_key(tmp_path, None, None, is_lost=True)
    fill(tmp_path, statements=2)
    told = await verify(tmp_path, None, [old])
    assert "isn't vouched for" in told.problems[0].message
    new = load_public_key(tmp_path / PUBLIC_KEY_FILE)
    assert (await verify(tmp_path, None, [old, new])).problems == ()


async def test_a_replaced_key_doesnt_count_behind_the_new_one(tmp_path: Path) -> None:
    """Who stole the old key can't go on with it."""

    fill(tmp_path, statements=2)
    stolen = load_or_make_signer(tmp_path)
    rotate_key(tmp_path, None, None)
    fill(tmp_path, statements=2)
    folder = worker_directory(tmp_path, 0)
    last = read_checkpoints(folder)[0][-1]
    append_checkpoint(folder, stolen.sign(last))
    assert "false signature" in (await verify(tmp_path)).problems[0].message


def test_a_key_from_elsewhere_must_be_the_folders_own(tmp_path: Path) -> None:
    own, other = pem_of(Ed25519PrivateKey.generate()), pem_of(Ed25519PrivateKey.generate())
    Journal.open(tmp_path, 0, signing_key=own).close()
    assert not (tmp_path / PRIVATE_KEY_FILE).exists()
    with pytest.raises(SigningKeyError, match="isn't"):
        Journal.open(tmp_path, 0, signing_key=other)
    with pytest.raises(SigningKeyError, match="missing"):
        Journal.open(tmp_path, 0)
    rotate_key(tmp_path, own, other)
    with pytest.raises(SigningKeyError, match="was replaced by"):
        Journal.open(tmp_path, 0, signing_key=own)
    Journal.open(tmp_path, 0, signing_key=other).close()
    with pytest.raises(SigningKeyError, match="in use here before"):
        rotate_key(tmp_path, other, own)
    with pytest.raises(CorruptJournalError, match="no private key"):
        Journal.open(tmp_path, 0, signing_key=b"-----BEGIN nonsense")


def test_a_damaged_ring_is_told(tmp_path: Path) -> None:
    load_or_make_signer(tmp_path)
    for content in (b"{}\n", b"\xff\n", b'{"key": "00", "at": 1, "by_own": ""}\n'):
        (tmp_path / "keys.jsonl").write_bytes(content)
        with pytest.raises(CorruptJournalError, match=r"keys\.jsonl"):
            read_ring(tmp_path)


async def test_a_folder_whose_keys_were_exchanged_isnt_what_was_known(tmp_path: Path) -> None:
    """The forger makes a new folder with a key of his own; who kept the keys of before sees it."""
    fill(tmp_path / "true", statements=2)
    ring = read_ring(tmp_path / "true")
    rotate_key(tmp_path / "true", None, None)
    longer = read_ring(tmp_path / "true")
    kept = Witnesses(rings={ring.origin: longer})
    (tmp_path / "true" / "keys.jsonl").unlink()
    write_ring(tmp_path / "true", ring)
    report = await verify(tmp_path / "true", None, [longer.entries[0].public_key], kept)
    assert any("isn't the one that was known before" in problem.message for problem in report.problems)
