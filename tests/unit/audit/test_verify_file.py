"""Exported files, checked offline with a public key: what was changed is found, what is merely a part is none."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from audit_samples import fill, frames_of, intent, outcome
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.checkpoints import read_checkpoints
from audit.errors import CorruptJournalError
from audit.exported import chained_record_of_json
from audit.findings import Report
from audit.heads_file import Witnesses, encode_witnesses, read_witnesses
from audit.journal import Journal, worker_directory
from audit.merkle import root_of
from audit.query import as_dict
from audit.record import Record, ShadowDecision, body_of, hash_of, record_of
from audit.ring import read_ring
from audit.seal import Seal, sealed
from audit.signing import PUBLIC_KEY_FILE, load_public_key
from audit.signing_key import load_or_make_signer
from audit.store import Store
from audit.verify import verify
from audit.verify_file import verify_files

Lines = list[dict[str, Any]]


def exported(directory: Path) -> Lines:
    """As an export writes them: every record with its place."""
    chain = load_or_make_signer(directory).chain(0)
    records = [record_of(frame.body, frame.prev_hash, frame.hash) for _, frame in frames_of(directory)]
    return [as_dict(record) | {"chain": chain, "sequence": number} for number, record in enumerate(records, 1)]


def written(path: Path, lines: Lines) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return path


def witnesses(directory: Path, path: Path, spans: Sequence[tuple[int, int]] = ()) -> Path:
    """The journal's head and keys, and seals over these records."""
    signer, ring = load_or_make_signer(directory), read_ring(directory)
    hashes = [frame.hash for _, frame in frames_of(directory)]
    made = []
    for first, last in spans:
        leaves = hashes[first - 1 : last]
        root, end = root_of(leaves).hex(), leaves[-1].hex()
        made.append(
            sealed(Seal(chain=signer.chain(0), first=first, records=len(leaves), root=root, hash=end, at=1), signer)
        )
    head = read_checkpoints(worker_directory(directory, 0))[0][-1]
    path.write_bytes(encode_witnesses({signer.chain(0): head}, {ring.origin: ring}, made))
    return path


def check(directory: Path, lines: Lines, *, is_complete: bool = False, with_key: bool = True) -> Report:
    files = [
        written(directory / "export.jsonl", lines),
        witnesses(directory, directory / "heads.jsonl", [(1, 4), (5, 8)]),
    ]
    keys = [load_public_key(directory / PUBLIC_KEY_FILE)] if with_key else []
    return verify_files(files, keys, Witnesses(), is_complete=is_complete)


def test_an_honest_export_holds(tmp_path: Path) -> None:
    fill(tmp_path, statements=5)
    report = check(tmp_path, exported(tmp_path), is_complete=True)
    assert report.lines() == ["everything holds: 10 records in files"]


def test_every_field_comes_back_as_it_was_hashed(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, 0)
    full = outcome("s1", cost=Decimal("1234567.123456789"), plan_units=7, shadow_decision=ShadowDecision.FAILED)
    odd = intent("s2", sql_text="é\u2028\x7f", end_user="eve", queued_us=3, parameters=("a", None, ""), lane="bulk")
    journal.append([full, odd, Record(stage=full.stage)])
    journal.close()
    lines = exported(tmp_path)
    records = [record_of(frame.body, frame.prev_hash, frame.hash) for _, frame in frames_of(tmp_path)]
    assert [chained_record_of_json(json.loads(json.dumps(line))).record for line in lines] == records
    for broken in ({}, {"stage": "never"}, lines[0] | {"at": "yesterday"}, lines[0] | {"rows": "many"}):
        with pytest.raises(CorruptJournalError):
            chained_record_of_json(broken)


def test_a_part_holds_and_says_that_it_is_one(tmp_path: Path) -> None:
    fill(tmp_path, statements=5)
    lines = exported(tmp_path)
    report = check(tmp_path, [lines[8], lines[2], lines[5]])  # in any order
    assert report.ok
    assert "4 records between the first and the last aren't in the file" in report.notes[0]
    assert not check(tmp_path, lines[:6] + lines[7:], is_complete=True).ok


def _edit(lines: Lines) -> Lines:
    lines[3]["sql_text"] = "select 1"
    return lines


def _forged(lines: Lines) -> Lines:
    """With a hash that fits the edit: the next record doesn't follow then."""
    lines[3]["sql_text"] = "select 1"
    record = chained_record_of_json(lines[3]).record
    lines[3]["hash"] = hash_of(bytes.fromhex(record.prev_hash), body_of(record)).hex()
    return lines


def _moved(lines: Lines) -> Lines:
    lines[3]["sequence"], lines[4]["sequence"] = 5, 4
    return lines


def _doubled(lines: Lines) -> Lines:
    return [*lines, {**lines[5], "sequence": 4}]


@pytest.mark.parametrize(
    ("change", "record"),
    [(_edit, 4), (_forged, 5), (_moved, 4), (_doubled, 4)],
    ids=["edit", "forged", "moved", "twice"],
)
def test_a_change_names_the_first_bad_record(tmp_path: Path, change: Callable[[Lines], Lines], record: int) -> None:
    fill(tmp_path, statements=5)
    report = check(tmp_path, change(exported(tmp_path)))
    assert report.problems[0].record == record
    assert report.exit_code == 1


def test_a_history_written_anew_is_not_what_was_sealed_and_signed(tmp_path: Path) -> None:
    """Somebody who can write everything but has no key: hashes fit each other, seals and heads don't."""
    fill(tmp_path, statements=5)
    fill(tmp_path / "forged", statements=5)
    forged = [line | {"chain": load_or_make_signer(tmp_path).chain(0)} for line in exported(tmp_path / "forged")]
    told = " ".join(str(problem) for problem in check(tmp_path, forged).problems)
    assert "are not those that were sealed" in told
    assert "is not the one that was signed" in told


def test_a_cut_end_is_found_by_a_head_that_was_kept(tmp_path: Path) -> None:
    fill(tmp_path, statements=5)
    report = check(tmp_path, exported(tmp_path)[:8], is_complete=True)
    assert (report.problems[0].record, "to 10 are missing" in report.problems[0].message) == (9, True)


def test_a_forged_head_or_seal_has_a_false_signature(tmp_path: Path) -> None:
    fill(tmp_path, statements=5)
    lines = exported(tmp_path)
    path = witnesses(tmp_path, tmp_path / "heads.jsonl", [(1, 4)])
    path.write_text(path.read_text().replace('"records":10', '"records":9').replace('"records":4', '"records":3'))
    files = [written(tmp_path / "export.jsonl", lines), path]
    report = verify_files(files, [load_public_key(tmp_path / PUBLIC_KEY_FILE)], Witnesses())
    assert sum("false signature" in problem.message for problem in report.problems) == 2


def test_lines_that_are_nothing_are_named(tmp_path: Path) -> None:
    fill(tmp_path, statements=1)
    path = written(tmp_path / "export.jsonl", exported(tmp_path))
    path.write_bytes(path.read_bytes() + b"[]\n{\xff\n\n")
    report = verify_files([path], [], Witnesses())
    assert [problem.chain for problem in report.problems] == ["file export.jsonl:3", "file export.jsonl:4"]
    assert "no public key was given" in report.notes[0]
    with pytest.raises(CorruptJournalError, match="heads:1"):
        read_witnesses(b'{"head": 1}', "heads")


async def test_a_kept_head_outlives_journal_store_and_key(tmp_path: Path, store: Store) -> None:
    """The forger has the sidecar, the store and the key: he cuts both and signs anew. What was printed says so."""
    fill(tmp_path, statements=2)
    early = {path: path.read_bytes() for path in worker_directory(tmp_path, 0).iterdir()}
    fill(tmp_path, statements=3)
    kept = read_witnesses(witnesses(tmp_path, tmp_path / "heads.jsonl").read_bytes(), "heads.jsonl")
    for path in list(worker_directory(tmp_path, 0).iterdir()):
        path.write_bytes(early[path]) if path in early else path.unlink()
    assert (await verify(tmp_path)).ok
    report = await verify(tmp_path, None, (), kept)
    assert (report.problems[0].record, "the head in heads.jsonl" in report.problems[0].message) == (5, True)
    in_store = await verify(None, store, [load_public_key(tmp_path / PUBLIC_KEY_FILE)], kept)
    assert "to 10 are missing" in in_store.problems[0].message


def test_a_head_of_another_key_isnt_believed(tmp_path: Path) -> None:
    fill(tmp_path, statements=2)
    path = witnesses(tmp_path, tmp_path / "heads.jsonl")
    stranger = Ed25519PrivateKey.generate().public_key()
    report = verify_files([written(tmp_path / "e.jsonl", exported(tmp_path)), path], [stranger], Witnesses())
    assert report.ok
    assert any("is of another key" in note for note in report.notes)
