"""What keeps records from being sealed is told once each, and again when it comes back."""

from __future__ import annotations

from pathlib import Path

from audit_samples import frames_of

from audit.record import record_of
from proxy.chronicle import Chronicle
from proxy.seal_watch import SealWatch


async def test_each_problem_is_told_once(tmp_path: Path) -> None:
    chronicle, problems = await Chronicle.open(tmp_path), list[str]()
    watch = SealWatch(lambda: problems, chronicle)
    for now in ([], ["one"], ["one", "two", "two"], ["two"], [], ["one"]):
        problems[:] = now
        watch.look()
        assert watch.check.is_ok == (not now)
        assert not watch.check.is_needed
    await chronicle.close()
    told = [record_of(frame.body, frame.prev_hash, frame.hash) for _, frame in frames_of(tmp_path)]
    assert [(record.shape, record.sql_text) for record in told] == [
        ("seal_problem", "one"),
        ("seal_problem", "two"),
        ("seal_problem", "one"),
    ]
