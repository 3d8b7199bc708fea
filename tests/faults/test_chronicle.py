"""The supervisor's own records: its start, reloads and end stand in the store as everybody's do."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psycopg

from tests.fix_pgwarden import ROOT, MakePgwarden, until


def test_start_reload_and_end_are_recorded(make_pgwarden: MakePgwarden) -> None:
    instance = make_pgwarden()
    assert instance.process is not None
    instance.process.send_signal(signal.SIGHUP)
    until(lambda: instance.records("shape = 'reload'"), "the reload's record")
    assert instance.get("/drain")[0] == 404
    (call,) = until(lambda: instance.records("shape = 'admin_call'"), "the record of a call to the admin port")
    assert (call["decision"], call["sql_text"]) == ("deny", "GET /drain was answered with 404")
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


def test_what_cant_be_signed_is_told_and_statements_go_on(make_pgwarden: MakePgwarden) -> None:
    """/readyz says it and stays ready, a metric counts it, an event remembers it."""
    instance = make_pgwarden()
    assert instance.readiness()[1]["seals"] == "ok"
    keys = instance.folder / "journal" / "keys.jsonl"
    kept = keys.read_bytes()
    keys.write_bytes(b"not a list of keys\n")

    def look() -> str:
        with psycopg.connect(instance.dsn(), autocommit=True) as connection:
            connection.execute("SELECT 1")
        return instance.readiness()[1]["seals"] if instance.readiness()[1]["seals"] != "ok" else ""

    assert "keys.jsonl is damaged" in until(look, "the problem on /readyz")
    assert instance.readiness()[0]
    assert instance.metric("pgwarden_seal_problems") >= 1
    until(lambda: instance.records("shape = 'seal_problem'"), "the problem's record")
    keys.write_bytes(kept)
    assert instance.stop() == 0
    assert instance.run("audit", "verify").returncode == 0


def test_a_lost_key_stops_the_start_and_a_new_one_goes_on(make_pgwarden: MakePgwarden) -> None:
    instance = make_pgwarden()
    instance.stop()
    (instance.folder / "journal" / "signing.key").unlink()
    refused = instance.run("serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
    assert refused.returncode == 1
    assert "signing.key is missing" in refused.stderr
    assert instance.run("audit", "rotate-key", "--lost").returncode == 0
    instance.start()
    until(lambda: instance.records("shape = 'key_rotation'"), "the record of the new key")
    assert instance.stop() == 0
    assert instance.run("audit", "verify").returncode == 0


def test_heads_that_were_kept_find_a_cut_end(make_pgwarden: MakePgwarden, tmp_path: Path) -> None:
    instance = make_pgwarden()
    assert instance.stop() == 0
    heads, export, key = tmp_path / "heads.jsonl", tmp_path / "all.jsonl", instance.folder / "journal" / "signing.pub"
    assert instance.run("audit", "heads", "--seals", "-o", str(heads)).returncode == 0
    assert instance.run("audit", "export", "-o", str(export)).returncode == 0
    store_only = ("audit", "verify", "--store-only", "--public-key", str(key), "--heads", str(heads))
    assert instance.run(*store_only).returncode == 0
    offline = ("audit", "verify", "--file", str(export), "--file", str(heads), "--public-key", str(key))
    done = instance.run(*offline)
    assert (done.returncode, done.stderr) == (0, "")
    with psycopg.connect(instance.store_dsn, autocommit=True) as store:
        store.execute("DELETE FROM pgwarden.records WHERE shape = 'stop'")
        store.execute("TRUNCATE pgwarden.seals, pgwarden.heads")
    cut = instance.run(*store_only)
    assert (cut.returncode, "the head in heads.jsonl" in cut.stdout) == (3, True)
    export.write_text(export.read_text("utf-8").replace("pgwarden ends", "pgwarden goes on"), "utf-8")
    edited = instance.run(*offline)
    assert (edited.returncode, "was edited" in edited.stdout) == (3, True)
