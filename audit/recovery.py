"""What an earlier run left in a worker's folder: where its chain ends and what it didn't finish. Writes no
records.

Segments are never edited here, so the evidence of damage stays; a new segment goes on behind the last good
record.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from audit.checkpoints import read_checkpoints
from audit.errors import CorruptJournalError
from audit.record import NO_HASH, Record, Stage, Verdict, head_of, record_of
from audit.segment import HEADER_BYTES, SegmentReader, segment_path, sequences_in


@dataclass(frozen=True, slots=True)
class ChainState:
    """The end of a chain: the next segment's sequence, its base position, and the last record."""

    next_sequence: int = 1
    position: int = 0
    records: int = 0
    hash: bytes = NO_HASH
    record_id: str = ""


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What an earlier run left. `unfinished`: intents that have no outcome. `notes`: a sentence per damage
    found.
    """

    state: ChainState
    unfinished: tuple[Record, ...] = ()
    notes: tuple[str, ...] = ()


def recover(directory: Path) -> Leftovers:
    """Reads every segment of a worker's folder. Raises OSError if one can't be read at all."""
    for stray in directory.glob("*.tmp"):
        stray.unlink()
    survey = _Survey()
    for sequence in sequences_in(directory):
        _survey_segment(directory, sequence, survey)
    _look_for_lost_records(directory, survey)
    return Leftovers(survey.state, tuple(survey.intents.values()), tuple(survey.notes))


class _Survey:
    """What has been seen while walking through the segments."""

    def __init__(self) -> None:
        self.state = ChainState()
        self.intents: dict[str, Record] = {}
        self.notes: list[str] = []


def _survey_segment(directory: Path, sequence: int, survey: _Survey) -> None:
    path = segment_path(directory, sequence)
    try:
        reader = SegmentReader(path)
    except CorruptJournalError as error:
        if _is_blank(path):
            path.unlink()  # made just before the power went: neither its header nor a record had reached the disk
            return
        survey.notes.append(f"segment {sequence}: {error}; it is left as it is")
        survey.state = replace(survey.state, next_sequence=sequence + 1)
        return
    with reader:
        _walk(reader, survey)
        _note_damage(reader, survey)
    if survey.state.records == reader.header.records_before and not _is_damaged(survey, sequence):
        path.unlink()  # nothing was written to it: its number can be used again
        survey.state = replace(survey.state, next_sequence=sequence, position=reader.header.base)


def _is_blank(path: Path) -> bool:
    with open(path, "rb") as stream:
        return not any(chunk.strip(b"\0") for chunk in iter(lambda: stream.read(1 << 20), b""))


def _walk(reader: SegmentReader, survey: _Survey) -> None:
    """Follows one segment's records and keeps the intents that wait for an outcome."""
    header = reader.header
    if (
        0 < survey.state.records < header.records_before
    ):  # the end of one was lost, and the beginning of the next wasn't
        lost = f"{survey.state.records + 1} to {header.records_before}"
        survey.notes.append(f"segment {header.sequence}: records {lost} before it are missing")
    end, last_hash, record_id, count = HEADER_BYTES, header.prev_hash, survey.state.record_id, 0
    for frame in reader.frames():
        head = head_of(frame.body)
        if head.stage is Stage.INTENT:
            survey.intents[head.statement_id] = record_of(frame.body, frame.prev_hash, frame.hash)
        elif head.stage is Stage.OUTCOME:
            survey.intents.pop(head.statement_id, None)
        end, last_hash, record_id, count = frame.end, frame.hash, head.id, count + 1
    survey.state = ChainState(
        header.sequence + 1, header.base + end, header.records_before + count, last_hash, record_id
    )


def _note_damage(reader: SegmentReader, survey: _Survey) -> None:
    """Notes what stands behind the last good record; gives back the room where nothing does."""
    end = survey.state.position - reader.header.base
    if not reader.has_bytes_after(end):
        os.truncate(reader.path, end)
        return
    kind = "torn" if reader.offset_behind(end) is None else "damaged, with whole records behind it,"
    survey.notes.append(f"segment {reader.header.sequence}: {kind} at offset {end}; the chain skips it")


def _is_damaged(survey: _Survey, sequence: int) -> bool:
    return any(note.startswith(f"segment {sequence}:") for note in survey.notes)


def _look_for_lost_records(directory: Path, survey: _Survey) -> None:
    """A checkpoint beyond the end says that records were there: say so, and don't use their numbers again."""
    checkpoints, _ = read_checkpoints(directory)
    last = max(checkpoints, key=lambda checkpoint: checkpoint.records, default=None)
    if last is None or last.records <= survey.state.records:
        return
    lost = last.records - survey.state.records
    survey.notes.append(f"{lost} records before the checkpoint at record {last.records} are missing")
    if survey.state.records == 0:
        survey.state = ChainState(
            last.sequence + 1, last.position, last.records, bytes.fromhex(last.hash), last.record_id
        )


def recovery_records(leftovers: Leftovers) -> list[Record]:
    """What the journal must remember about them: an event per damage, an outcome per unfinished statement.

    A denied statement's intent needs no outcome: it never ran. 08007 is PostgreSQL's
    transaction_resolution_unknown.
    """
    events = [
        Record(stage=Stage.EVENT, shape="journal_recovery", sql_text=note, rule_ids=("pgwarden/journal",))
        for note in leftovers.notes
    ]
    ran = [intent for intent in leftovers.unfinished if intent.decision != Verdict.DENY]
    return events + [_unknown_outcome(intent) for intent in ran]


def _unknown_outcome(intent: Record) -> Record:
    return msgspec.structs.replace(
        intent,
        stage=Stage.OUTCOME,
        id="",
        at=0,
        sqlstate="08007",
        rule_ids=(*intent.rule_ids, "pgwarden/journal"),
    )
