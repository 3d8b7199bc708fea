"""The supervisor's own records: its start, reloads and end stand in the store as everybody's do."""

from __future__ import annotations

import signal
import subprocess
import sys

from tests.fix_pgwarden import ROOT, MakePgwarden, until


def test_start_reload_and_end_are_recorded(make_pgwarden: MakePgwarden) -> None:
    instance = make_pgwarden()
    assert instance.process is not None
    instance.process.send_signal(signal.SIGHUP)
    until(lambda: instance.records("shape = 'reload'"), "the reload's record")
    assert instance.stop() == 0
    events = instance.records("stage = 'event' AND shape IN ('start', 'reload', 'stop')")
    assert sorted(event["shape"] for event in events) == ["reload", "start", "stop"]
    (start,) = [event for event in events if event["shape"] == "start"]
    assert '"durability"' in start["sql_text"] or '"directory"' in start["sql_text"]
    assert "-secret" not in start["sql_text"]
    assert start["policy_version"]
    assert {event["chain"].rpartition("/")[2] for event in events} == {"0"}


def test_a_second_sidecar_on_the_same_folder_says_so(make_pgwarden: MakePgwarden) -> None:
    instance = make_pgwarden()
    command = [sys.executable, "-m", "proxy", "serve", "--config", str(instance.config_file)]
    command += ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "another process uses the journal folder" in done.stderr
    assert instance.stop() == 0
    assert instance.faults() == []
