from pathlib import Path

import pytest
from audit_samples import TickingClock, frames_of, intent, outcome, overwrite

from audit.alarm import MARKS
from audit.journal import Journal, worker_directory
from audit.journal_tail import JournalTail, Place
from audit.record import Record, Verdict

SEGMENT = 1 << 12  # few records each


def tail_of(directory: Path, place: Place | None = None) -> JournalTail:
    return JournalTail(worker_directory(directory, 0), MARKS, place)


def read_all(tail: JournalTail) -> list[str]:
    records: list[Record] = []
    while True:
        before = tail.place
        found = tail.read()
        assert all((place.sequence, place.offset) <= (tail.place.sequence, tail.place.offset) for place, _ in found)
        records += [record for _, record in found]
        if tail.place == before:
            return [record.statement_id for record in records]


def denied(name: str) -> Record:
    return intent(name, decision=Verdict.DENY)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal.open(tmp_path, 0, segment_bytes=SEGMENT, clock=TickingClock())


def test_only_what_is_marked_and_new_is_given(tmp_path: Path, journal: Journal) -> None:
    journal.append([denied("before"), intent("plain")])
    tail = tail_of(tmp_path)
    assert read_all(tail) == []
    journal.append([intent("plain"), denied("one"), outcome("plain")])
    assert read_all(tail) == ["one"]
    journal.append([denied("two")])
    assert read_all(tail) == ["two"]
    tail.close()
    journal.close()


def test_it_goes_on_through_segments_and_from_a_noted_place(tmp_path: Path, journal: Journal) -> None:
    tail, seen = tail_of(tmp_path, Place()), []
    for number in range(60):
        journal.append([denied(f"d{number}"), intent("plain")])
        if number % 7 == 0:
            seen += read_all(tail)
        if number == 30:
            place = tail.place
            tail.close()
            tail = tail_of(tmp_path, place)
    journal.close()
    assert seen + read_all(tail) == [f"d{number}" for number in range(60)]
    assert tail.place.sequence > 3
    tail.close()


def test_segments_that_were_shipped_and_deleted_are_passed_over(tmp_path: Path, journal: Journal) -> None:
    tail = tail_of(tmp_path, Place())
    for number in range(60):
        journal.append([denied(f"d{number}")])
    folder = worker_directory(tmp_path, 0)
    for old in sorted(folder.glob("*.seg"))[:-1]:
        old.unlink()
    found = read_all(tail)
    assert found
    assert found[-1] == "d59"
    tail.close()
    journal.close()


def test_a_damaged_record_is_passed_over(tmp_path: Path, journal: Journal) -> None:
    journal.append([denied("one"), denied("two"), denied("three")])
    journal.close()
    path, frame = frames_of(tmp_path)[1]
    overwrite(path, frame.start + 100, b"\xff\xff")
    tail = tail_of(tmp_path, Place())
    assert read_all(tail) + read_all(tail) == ["one", "three"]
    tail.close()


def test_a_folder_without_records_is_waited_for(tmp_path: Path) -> None:
    tail = tail_of(tmp_path, Place())
    assert read_all(tail) == []
    journal = Journal.open(tmp_path, 0, segment_bytes=SEGMENT)
    journal.append([denied("one")])
    assert read_all(tail) == ["one"]
    journal.close()
    tail.close()
