import json
import os
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import pytest
from audit_samples import intent

from audit.daily_files import POSITION_FILE, DailyFiles
from audit.errors import ExportError
from audit.export_lines import Form
from audit.store_rows import ChainedRecord

DAY_US = 86_400_000_000
NOON = 1_750_000_000_000_000 // DAY_US * DAY_US + DAY_US // 2  # 2025-06-15
FIRST, SECOND = "records-2025-06-15.jsonl", "records-2025-06-16.jsonl"


def records(*numbers: int, at: int = NOON) -> list[ChainedRecord]:
    return [ChainedRecord("a", number, intent(f"s{number}", at=at)) for number in numbers]


def numbers_in(path: Path) -> list[int]:
    return [json.loads(line)["sequence"] for line in path.read_text().splitlines()]


def test_each_day_has_its_file_and_a_late_record_goes_to_its_own(tmp_path: Path) -> None:
    files = DailyFiles.open(tmp_path / "out", Form.JSONL)
    files.write([*records(1), *records(2, at=NOON + DAY_US)], {"a": 2})
    files.write(records(3), {"a": 3})
    assert numbers_in(tmp_path / "out" / FIRST) == [1, 3]
    assert numbers_in(tmp_path / "out" / SECOND) == [2]
    assert (tmp_path / "out" / FIRST).stat().st_mode & 0o777 == 0o600
    files.close()


@pytest.mark.parametrize("form", Form)
def test_what_was_being_written_at_a_crash_is_written_once(tmp_path: Path, form: Form) -> None:
    name = f"records-2025-06-15.{form}"
    files = DailyFiles.open(tmp_path, form)
    files.write(records(1), {"a": 1})
    whole = (tmp_path / name).read_bytes()
    with patch.object(os, "replace", side_effect=OSError(28, "no space")), pytest.raises(OSError, match="no space"):
        files.write([*records(2), *records(2, at=NOON + DAY_US)], {"a": 2})
    files.close()  # as a kill would leave it: written, not noted
    with open(tmp_path / name, "ab") as stream:
        stream.write(b'{"torn')
    files = DailyFiles.open(tmp_path, form)
    assert files.position.chains == {"a": 1}
    assert (tmp_path / name).read_bytes() == whole
    files.write(records(2), {"a": 2})
    lines = (tmp_path / name).read_text().splitlines()
    assert len(lines) == (2 if form is Form.JSONL else 3)
    files.close()


def test_a_write_that_failed_leaves_nothing_for_the_next_one(tmp_path: Path) -> None:
    files = DailyFiles.open(tmp_path, Form.JSONL)
    with patch.object(os, "fsync", side_effect=OSError(5, "I/O error")), pytest.raises(OSError, match="I/O"):
        files.write(records(1), {"a": 1})
    files.write(records(1), {"a": 1})
    assert numbers_in(tmp_path / FIRST) == [1]
    files.close()


def test_two_writers_of_one_folder_are_told_apart(tmp_path: Path) -> None:
    files = DailyFiles.open(tmp_path, Form.JSONL)
    with pytest.raises(ExportError, match="another process"):
        DailyFiles.open(tmp_path, Form.JSONL)
    files.close()
    DailyFiles.open(tmp_path, Form.JSONL).close()


@pytest.mark.parametrize("content", [None, b"", b'{"chains": 3}'])
def test_a_lost_position_writes_nothing_twice(tmp_path: Path, content: bytes | None) -> None:
    files = DailyFiles.open(tmp_path, Form.JSONL)
    files.write(records(1), {"a": 1})
    files.close()
    if content is None:
        (tmp_path / POSITION_FILE).unlink()
    else:
        (tmp_path / POSITION_FILE).write_bytes(content)
    with pytest.raises(ExportError, match="position"):
        DailyFiles.open(tmp_path, Form.JSONL)
    assert numbers_in(tmp_path / FIRST) == [1]


def test_a_file_that_was_taken_away_is_begun_anew(tmp_path: Path) -> None:
    files = DailyFiles.open(tmp_path, Form.CSV)
    files.write(records(1), {"a": 1})
    (tmp_path / "records-2025-06-15.csv").rename(tmp_path / "taken")
    files.write(records(2), {"a": 2})
    assert (tmp_path / "records-2025-06-15.csv").read_text().startswith("schema,chain,sequence,")
    files.close()


def test_old_days_go(tmp_path: Path) -> None:
    files = DailyFiles.open(tmp_path, Form.JSONL)
    files.write([*records(1), *records(2, at=NOON + DAY_US)], {"a": 2})
    (tmp_path / "records-2020-01-01.jsonl").write_text("somebody else's")
    assert files.drop(datetime(2025, 6, 18, 1, tzinfo=UTC), 3) == []
    assert files.drop(datetime(2025, 6, 19, 1, tzinfo=UTC), 3) == [FIRST]
    assert not (tmp_path / FIRST).exists()
    assert list(files.position.files) == [SECOND]
    files.close()
    DailyFiles.open(tmp_path, Form.JSONL).close()
    assert (tmp_path / "records-2020-01-01.jsonl").read_text() == "somebody else's"
