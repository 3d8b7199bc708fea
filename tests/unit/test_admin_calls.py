"""Calls to the admin port are recorded, as many as anybody can read."""

from __future__ import annotations

from pathlib import Path

from audit_samples import frames_of

from admin.calls import Call
from audit.record import record_of
from proxy.admin_calls import AdminCalls
from proxy.chronicle import Chronicle


async def test_a_flood_of_calls_is_cut_and_counted(tmp_path: Path) -> None:
    chronicle, now = await Chronicle.open(tmp_path), [0.0]
    calls = AdminCalls(chronicle, lambda: now[0])
    for _ in range(500):
        calls.note(Call("DELETE", "/", "127.0.0.1:9", 405))
    now[0] = 61.0
    calls.note(Call("GET", "/x", "127.0.0.1:9", 200))
    await chronicle.close()
    records = [record_of(frame.body, frame.prev_hash, frame.hash) for _, frame in frames_of(tmp_path)]
    assert len(records) == 62
    assert records[60].sql_text == "440 more calls within a minute"
    assert (records[61].decision, records[61].client_address) == ("allow", "127.0.0.1:9")
