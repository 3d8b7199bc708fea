"""Verifies one worker's journal: checksums, hashes, order, gaps, signed checkpoints, and what the store holds of it.

Reads only; a running sidecar may go on writing.
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass, field
from pathlib import Path

from audit.checkpoints import read_checkpoints
from audit.errors import CorruptJournalError
from audit.findings import Findings
from audit.record import NO_HASH, head_of
from audit.segment import HEADER_BYTES, End, Frame, SegmentHeader, SegmentReader, segment_path, sequences_in
from audit.shipped import ShippedPosition, read_shipped
from audit.signing import Checkpoint, is_signature_true
from audit.trust import KeysInTurn
from audit.verify_store import StoredTail

_LOCK_FILE = "lock"


@dataclass(frozen=True, slots=True)
class JournalWitnesses:
    """What speaks for a journal from outside its segments; taken before they are read, as they may grow meanwhile.

    `checkpoints` by the number of records they cover (several, if a chain was cut and went on); `first_record` is
    the number of the oldest record on disk.
    """

    shipped: ShippedPosition
    checkpoints: dict[int, list[Checkpoint]]
    first_record: int


@dataclass(slots=True)
class _Walk:
    """Where the walk through one journal stands; `hash` is None behind a record that couldn't be read."""

    name: str
    directory: Path
    findings: Findings
    witnesses: JournalWitnesses
    tail: StoredTail | None
    hash: bytes | None = NO_HASH
    number: int = 0
    record_id: str = ""
    missing_in_store: list[tuple[int, str]] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)  # segments since the last readable one

    def fault(self, message: str, number: int | None = None, record_id: str = "") -> None:
        self.findings.add(self.name, self.number if number is None else number, record_id, message)


def take_witnesses(directory: Path, name: str, keys: KeysInTurn, findings: Findings) -> JournalWitnesses:
    """Reads the shipped position and the checkpoints; a checkpoint with a false signature is a problem, no witness."""
    shipped = read_shipped(directory)
    checkpoints, unreadable = read_checkpoints(directory)
    if unreadable:
        findings.add(name, 0, "", f"{unreadable} checkpoints can't be read")
    true: dict[int, list[Checkpoint]] = {}
    for checkpoint in checkpoints:
        if keys.is_true(lambda key, one=checkpoint: is_signature_true(one, key)):  # type: ignore[misc]
            true.setdefault(checkpoint.records, []).append(checkpoint)
        else:
            message = "the checkpoint here has a false signature"
            findings.add(name, checkpoint.records, checkpoint.record_id, message)
    return JournalWitnesses(shipped, true, _first_record(directory))


def verify_journal(
    directory: Path, name: str, witnesses: JournalWitnesses, tail: StoredTail | None, findings: Findings
) -> int:
    """Walks all segments of a worker's folder and gives the last record's number.

    `tail` is what the store holds from the first record on, if asked.
    """
    walk = _Walk(name, directory, findings, witnesses, tail)
    sequences = sequences_in(directory)
    is_live = _is_in_use(directory)
    for index, sequence in enumerate(sequences):
        try:
            reader = SegmentReader(segment_path(directory, sequence))
        except FileNotFoundError:  # shipped and deleted since we looked
            continue
        except CorruptJournalError as error:
            walk.unreadable.append(f"segment {sequence}: {error}")
            continue
        with reader:
            _judge_unreadable(walk, reader.header)
            _check_start(walk, reader, is_first=index == 0)
            end = _walk_frames(walk, reader)
            _check_rest(walk, reader, end, is_last=index == len(sequences) - 1, is_live=is_live)
    _judge_unreadable(walk, None)
    _check_end(walk, is_live)
    return walk.number


def _judge_unreadable(walk: _Walk, header: SegmentHeader | None) -> None:
    """Where the chain goes on as if they weren't there, they never held a record of it: a power cut made them so."""
    is_none_missing = header is not None and (header.records_before, header.prev_hash) == (walk.number, walk.hash)
    for segment in walk.unreadable:
        if is_none_missing:
            walk.findings.notes.append(f"{walk.name}: {segment}; the chain goes on without it")
        else:
            walk.fault(f"and those behind it can't be read: {segment}", walk.number + 1)
            walk.hash = None
    walk.unreadable.clear()


def _first_record(directory: Path) -> int:
    """The number of the oldest record on disk, by the first readable header."""
    for sequence in sequences_in(directory):
        try:
            with SegmentReader(segment_path(directory, sequence)) as reader:
                return reader.header.records_before + 1
        except (CorruptJournalError, FileNotFoundError):
            continue
    return 1


def _check_start(walk: _Walk, reader: SegmentReader, is_first: bool) -> None:
    """A segment must go on where the one before ended; the first one may begin where shipping had come to."""
    header = reader.header
    if is_first:
        _check_first(walk, reader)
    elif header.records_before != walk.number and walk.hash is not None:
        walk.fault(f"to {header.records_before} are missing before segment {header.sequence}", walk.number + 1)
    elif walk.hash is not None and header.prev_hash != walk.hash:
        walk.fault(f"does not follow the record before it (segment {header.sequence})", walk.number + 1)
    if segment_path(walk.directory, header.sequence) != reader.path:
        walk.fault(f"stands in a segment that was renamed to {reader.path.name}", header.records_before + 1)
    walk.number, walk.hash = header.records_before, header.prev_hash


def _check_first(walk: _Walk, reader: SegmentReader) -> None:
    header = reader.header
    if header.records_before > walk.witnesses.shipped.records:
        walk.fault(f"to {header.records_before} are missing and were never shipped", 1)
    if header.records_before == 0 and header.prev_hash != NO_HASH:
        walk.fault("is not the first of its chain", 1)
    stored = walk.tail.hash_at(header.records_before) if walk.tail and header.records_before else None
    if stored is not None and stored != header.prev_hash:
        walk.fault("does not follow the last one that was shipped", header.records_before + 1)


def _walk_frames(walk: _Walk, reader: SegmentReader) -> int:
    """Checks every frame; a damaged one with whole ones behind it is named and passed over. Gives the end's offset."""
    offset = HEADER_BYTES
    while True:
        scan = reader.read(offset)
        for frame in scan.frames:
            _check_frame(walk, frame)
        offset = scan.offset
        if scan.end is None:
            continue
        behind = reader.offset_behind(offset) if scan.end is End.DAMAGED else None
        if behind is None:
            return offset
        walk.number += 1
        walk.fault("is damaged: its bytes don't match its checksum")
        walk.hash, offset = None, behind


def _check_frame(walk: _Walk, frame: Frame) -> None:
    walk.number += 1
    walk.findings.journal_records += 1
    try:
        record_id = head_of(frame.body).id
    except CorruptJournalError:
        record_id = ""
    if not frame.is_hash_true():
        walk.fault("was edited: its hash is not that of its bytes", record_id=record_id)
    elif walk.hash is not None and frame.prev_hash != walk.hash:
        walk.fault("does not follow the record before it: removed, repeated or reordered", record_id=record_id)
    elif record_id <= walk.record_id:
        walk.fault("is out of order: its id is not greater than the one before", record_id=record_id)
    walk.hash, walk.record_id = frame.hash, record_id
    _check_witnesses(walk, frame, record_id)


def _check_witnesses(walk: _Walk, frame: Frame, record_id: str) -> None:
    """The record must be the one that a checkpoint signed and that the store holds under its number."""
    for checkpoint in walk.witnesses.checkpoints.get(walk.number, ()):
        if checkpoint.hash != frame.hash.hex():
            walk.fault(f"is not the one that was signed ({checkpoint.record_id})", record_id=record_id)
    if walk.tail is None:
        return
    stored = walk.tail.hash_at(walk.number)
    if stored is None and walk.number <= walk.witnesses.shipped.records:
        walk.missing_in_store.append((walk.number, record_id))
    elif stored is not None and stored != frame.hash:
        walk.fault("is not the one that the store holds", record_id=record_id)


def _check_rest(walk: _Walk, reader: SegmentReader, end: int, is_last: bool, is_live: bool) -> None:
    """Bytes behind the last whole record: being written, torn by a crash, or damaged."""
    if (is_last and is_live) or not reader.has_bytes_after(end):
        return
    place = f"{walk.name}: segment {reader.header.sequence} ends torn at offset {end}"
    is_frame = reader.read(end).end is End.DAMAGED
    if is_last and is_frame:
        walk.fault("is damaged or torn, and no start of the sidecar has dealt with it", walk.number + 1)
    else:
        walk.findings.notes.append(f"{place}: a crash, behind the last whole record")


def _check_end(walk: _Walk, is_live: bool) -> None:
    """Nothing that was signed or stored may be behind the end; nothing that was shipped may lack in the store."""
    signed = max(walk.witnesses.checkpoints, default=None)
    if signed is not None and signed > walk.number:
        named = walk.witnesses.checkpoints[signed][-1].record_id
        walk.fault(f"to {signed} are missing: a signed checkpoint names the last, {named}", walk.number + 1)
    elif signed is None and walk.number and not is_live:  # the first checkpoint comes within 50 ms
        walk.fault("and those before it are covered by no signed checkpoint", record_id=walk.record_id)
    if walk.tail is not None and walk.tail.last > walk.number:
        message = f"to {walk.tail.last} are missing: the store holds them, the last is {walk.tail.last_id}"
        walk.fault(message, walk.number + 1)
    is_lack_allowed = walk.tail is not None and walk.tail.may_lack
    if walk.missing_in_store and walk.witnesses.shipped.by_bus:
        first, count = walk.missing_in_store[0][0], len(walk.missing_in_store)
        walk.findings.notes.append(
            f"{walk.name}: the bus has taken {count} records that the store doesn't hold yet, from {first} on"
        )
        is_lack_allowed = True
    for number, record_id in [] if is_lack_allowed else walk.missing_in_store:
        walk.fault("was shipped, and the store doesn't hold it", number, record_id)


def _is_in_use(directory: Path) -> bool:
    """Whether a journal is open in this folder now."""
    try:
        file = os.open(directory / _LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False
