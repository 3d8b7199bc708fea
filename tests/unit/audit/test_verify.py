"""Each way of quietly changing a journal is found, and the first record concerned is named."""

from collections.abc import Callable
from pathlib import Path

import pytest
from audit_samples import fill, frames_of, intent, outcome, overwrite

from audit.findings import Report
from audit.journal import Journal, worker_directory
from audit.record import hash_of, head_of
from audit.segment import HEADER_BYTES, SegmentHeader, frame_bytes, header_bytes, write_frame
from audit.verify import verify

WORKER = "worker-000"


def first_problem(report: Report) -> tuple[str, int]:
    assert not report.ok
    assert report.exit_code == 1
    return report.problems[0].chain, report.problems[0].record


async def test_an_honest_journal_holds(tmp_path: Path) -> None:
    fill(tmp_path, statements=60, segment_bytes=8192)
    report = await verify(tmp_path)
    assert report.lines() == ["everything holds: 120 records in the journal; the store was not checked"]
    assert (report.ok, report.exit_code, report.journal_records) == (True, 0, 120)


async def test_a_journal_in_use_holds(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, 0, segment_bytes=4096)
    for number in range(30):
        journal.append([intent(f"s{number}"), outcome(f"s{number}")])
        assert (await verify(tmp_path)).problems == ()
    journal.close()


async def test_a_recovered_crash_holds(tmp_path: Path) -> None:
    """Without a checkpoint that says otherwise, a frame torn by a power cut is no fault once recovery has said so."""
    fill(tmp_path, statements=3)
    path, last = frames_of(tmp_path)[-1]
    with open(path, "ab") as stream:
        stream.write((500).to_bytes(4, "little") + b"x" * 200)
    assert first_problem(await verify(tmp_path)) == (WORKER, 7)
    Journal.open(tmp_path, 0).close()
    report = await verify(tmp_path)
    assert report.problems == ()
    assert "torn" in report.notes[0]


@pytest.mark.parametrize("number", [1, 30, 77, 120])
async def test_an_edited_byte_names_the_record(tmp_path: Path, number: int) -> None:
    fill(tmp_path, statements=60, segment_bytes=8192)
    path, frame = frames_of(tmp_path)[number - 1]
    overwrite(path, frame.start + 72 + len(frame.body) // 2, b"\xf7")
    assert first_problem(await verify(tmp_path)) == (WORKER, number)


async def test_an_edit_with_a_new_checksum_names_the_record(tmp_path: Path) -> None:
    fill(tmp_path, statements=60, segment_bytes=8192)
    path, frame = frames_of(tmp_path)[40]
    body = frame.body.replace(b"customers", b"suppliers")
    data = bytearray(frame_bytes(len(body)))
    write_frame(memoryview(data), 0, frame.prev_hash, frame.hash, body)
    overwrite(path, frame.start, bytes(data))
    report = await verify(tmp_path)
    assert first_problem(report) == (WORKER, 41)
    assert report.problems[0].record_id == head_of(frame.body).id


Bodies = list[bytes]


def removed(bodies: Bodies) -> Bodies:
    return [*bodies[:40], *bodies[41:]]


def swapped(bodies: Bodies) -> Bodies:
    return [*bodies[:40], bodies[41], bodies[40], *bodies[42:]]


def edited(bodies: Bodies) -> Bodies:
    return [body.replace(b"customers", b"suppliers") if n == 40 else body for n, body in enumerate(bodies)]


def rewrite_frames(
    path: Path, change: Callable[[list[tuple[bytes, bytes, bytes]]], list[tuple[bytes, bytes, bytes]]]
) -> None:
    """Writes a segment anew with other frames, checksums right, hashes as they were."""
    frames = [(f.prev_hash, f.hash, f.body) for of, f in frames_of(path.parent.parent) if of == path]
    header = path.read_bytes()[:HEADER_BYTES]
    changed = change(frames)
    data = bytearray(header + bytes(sum(frame_bytes(len(body)) for _, _, body in changed)))
    offset = HEADER_BYTES
    for prev_hash, own_hash, body in changed:
        offset = write_frame(memoryview(data), offset, prev_hash, own_hash, body)
    path.write_bytes(data)


async def test_a_removed_record_names_its_place(tmp_path: Path) -> None:
    fill(tmp_path, statements=60, segment_bytes=1 << 20)
    path = frames_of(tmp_path)[0][0]
    rewrite_frames(path, lambda frames: [*frames[:40], *frames[41:]])
    assert first_problem(await verify(tmp_path)) == (WORKER, 41)


async def test_swapped_records_are_named(tmp_path: Path) -> None:
    fill(tmp_path, statements=60, segment_bytes=1 << 20)
    path = frames_of(tmp_path)[0][0]
    rewrite_frames(path, lambda frames: [*frames[:40], frames[41], frames[40], *frames[42:]])
    assert first_problem(await verify(tmp_path)) == (WORKER, 41)


@pytest.mark.parametrize("change", [removed, swapped, edited])
async def test_a_chain_forged_anew_differs_from_the_signed_one(
    tmp_path: Path, change: Callable[[Bodies], Bodies]
) -> None:
    """The forger computes every checksum and hash again; only the signature can't be made."""
    fill(tmp_path, statements=60, segment_bytes=1 << 20)
    path = frames_of(tmp_path)[0][0]

    def forge(frames: list[tuple[bytes, bytes, bytes]]) -> list[tuple[bytes, bytes, bytes]]:
        forged, prev_hash = [], frames[0][0]
        for body in change([body for _, _, body in frames]):
            own_hash = hash_of(prev_hash, body)
            forged.append((prev_hash, own_hash, body))
            prev_hash = own_hash
        return forged

    rewrite_frames(path, forge)
    report = await verify(tmp_path)
    assert not report.ok
    assert any("signed" in problem.message for problem in report.problems)


async def test_a_cut_tail_is_found_by_the_checkpoint(tmp_path: Path) -> None:
    fill(tmp_path, statements=60, segment_bytes=1 << 20)
    path, frame = frames_of(tmp_path)[99]
    with open(path, "r+b") as stream:
        stream.truncate(frame.end)
    assert first_problem(await verify(tmp_path)) == (WORKER, 101)
    Journal.open(tmp_path, 0).close()  # and the chain going on doesn't hide it
    report = await verify(tmp_path)
    assert not report.ok


async def test_a_cut_tail_stays_found_when_new_records_take_its_numbers(tmp_path: Path) -> None:
    fill(tmp_path, statements=10)
    path, frame = frames_of(tmp_path)[15]
    with open(path, "r+b") as stream:
        stream.truncate(frame.end)
    fill(tmp_path, statements=10)
    report = await verify(tmp_path)
    assert any("not the one that was signed" in problem.message for problem in report.problems)


async def test_a_missing_segment_names_the_gap(tmp_path: Path) -> None:
    fill(tmp_path, statements=60, segment_bytes=8192)
    frames = frames_of(tmp_path)
    second = frames[0][0].with_name("0000000002.seg")
    first_lost = next(number for number, (path, _) in enumerate(frames, 1) if path == second)
    second.unlink()
    assert first_problem(await verify(tmp_path)) == (WORKER, first_lost)


async def test_missing_first_segments_were_never_shipped(tmp_path: Path) -> None:
    fill(tmp_path, statements=60, segment_bytes=8192)
    frames_of(tmp_path)[0][0].unlink()
    report = await verify(tmp_path)
    assert first_problem(report) == (WORKER, 1)
    assert "never shipped" in report.problems[0].message


async def test_an_emptied_folder_is_found_by_its_checkpoints(tmp_path: Path) -> None:
    fill(tmp_path, statements=5)
    for path in worker_directory(tmp_path, 0).glob("*.seg"):
        path.unlink()
    assert first_problem(await verify(tmp_path)) == (WORKER, 1)


async def test_a_false_checkpoint_is_found(tmp_path: Path) -> None:
    fill(tmp_path, statements=5)
    path = worker_directory(tmp_path, 0) / "checkpoints.jsonl"
    path.write_text(path.read_text().replace('"records":10', '"records":8'))
    report = await verify(tmp_path)
    assert any("false signature" in problem.message for problem in report.problems)


async def test_removed_checkpoints_are_found(tmp_path: Path) -> None:
    fill(tmp_path, statements=5)
    (worker_directory(tmp_path, 0) / "checkpoints.jsonl").unlink()
    report = await verify(tmp_path)
    assert "no signed checkpoint" in report.problems[0].message


async def test_a_replaced_key_is_found_by_who_kept_the_old_one(tmp_path: Path) -> None:
    from audit.signing import load_public_key

    fill(tmp_path, statements=5)
    kept = load_public_key(tmp_path / "signing.pub")
    other = tmp_path / "other"
    fill(other, statements=5)
    assert (await verify(other)).ok
    assert not (await verify(other, None, [kept])).ok


async def test_an_edited_header_is_found(tmp_path: Path) -> None:
    fill(tmp_path, statements=60, segment_bytes=8192)
    path = frames_of(tmp_path)[0][0].with_name("0000000002.seg")
    overwrite(path, 24, b"\x07")
    assert not (await verify(tmp_path)).ok


async def test_a_forged_header_is_found(tmp_path: Path) -> None:
    fill(tmp_path, statements=60, segment_bytes=8192)
    path = frames_of(tmp_path)[0][0].with_name("0000000002.seg")
    overwrite(path, 0, header_bytes(SegmentHeader(2, 8192, 3, bytes(32))))
    assert not (await verify(tmp_path)).ok


async def test_no_key_no_trust(tmp_path: Path) -> None:
    fill(tmp_path, statements=2)
    (tmp_path / "signing.pub").unlink()
    report = await verify(tmp_path)
    assert "signing.pub" in report.problems[0].message


async def test_a_zeroed_record_is_found(tmp_path: Path) -> None:
    fill(tmp_path, statements=60, segment_bytes=1 << 20)
    path, frame = frames_of(tmp_path)[40]
    overwrite(path, frame.start, bytes(frame.end - frame.start))
    assert first_problem(await verify(tmp_path)) == (WORKER, 41)
