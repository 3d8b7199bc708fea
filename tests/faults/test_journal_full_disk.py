"""A full disk refuses statements, loses nothing, and lets them pass again once there is room."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from audit_samples import frames_of, intent

from audit.errors import JournalError
from audit.journal import Journal
from audit.record import record_of
from audit.verify import verify


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB; only root can have one."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def append_until_refused(journal: Journal, name: str) -> int:
    """How many records went in before the journal refused."""
    for number in range(100_000):
        try:
            journal.append([intent(f"{name}{number}", sql_text="x" * 500)])
        except JournalError:
            return number
    raise AssertionError("the disk never filled")


async def test_a_full_disk_refuses_and_recovers(small_disk: Path) -> None:
    journal = Journal.open(small_disk, 0, segment_bytes=64 << 10)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(512 << 10))
    first = append_until_refused(journal, "a")
    assert first > 100
    assert journal.is_failed
    with pytest.raises(JournalError, match="No space left"):
        journal.append([intent("refused", sql_text="x" * 500)])

    ballast.unlink()
    second = append_until_refused(journal, "b")
    assert second > 100
    journal.close()
    found = [record_of(f.body, f.prev_hash, f.hash).statement_id for _, f in frames_of(small_disk)]
    assert found == [f"a{n}" for n in range(first)] + [f"b{n}" for n in range(second)]
    assert (await verify(small_disk)).problems == ()


def test_a_limit_on_file_size_refuses_too(tmp_path: Path) -> None:
    """The same without root: the kernel refuses to allocate beyond RLIMIT_FSIZE."""
    script = """
import resource, sys
from pathlib import Path
from audit.errors import JournalError
from audit.journal import Journal
from audit.record import Record, Stage
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
journal = Journal.open(Path(sys.argv[1]), 0, segment_bytes=1 << 16)
record = Record(stage=Stage.EVENT, shape="login", sql_text="x" * 30000)
journal.append([record])
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 14, hard))
journal.append([record])
try:
    journal.append([record])
except JournalError:
    assert journal.is_failed
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    journal.append([record])
    assert not journal.is_failed
    print("refused, then taken")
journal.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("refused, then taken\n", "")
    assert len(frames_of(tmp_path)) == 3
