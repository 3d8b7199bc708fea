"""Records of real sessions leave a running pgwarden: by command, into daily files, to a syslog and a webhook."""

from __future__ import annotations

import functools
import http.server
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from audit.webhook import SIGNATURE, TIMESTAMP, is_signature_true
from tests.fix_pgwarden import ROOT, MakePgwarden, Pgwarden, until

SECRET = b"the webhook's secret"
HIDDEN = "SELECT * FROM shop.salaries"


def ask(instance: Pgwarden, mark: str, user: str = "ada") -> None:
    with psycopg.connect(instance.dsn(user), autocommit=True) as connection:
        connection.execute(f"SELECT '{mark}' FROM shop.customers LIMIT 1".encode())


def started(make_pgwarden: MakePgwarden, **audit: Any) -> Pgwarden:
    """With more keys below `audit`."""
    instance = make_pgwarden(is_started=False)
    instance.configuration["audit"] |= audit
    instance.start()
    return instance


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_an_export_has_all_that_was_asked_for_and_is_recorded(make_pgwarden: MakePgwarden, tmp_path: Path) -> None:
    instance = make_pgwarden()
    ask(instance, "the first mark")
    ask(instance, "not hers", "sam")
    instance.records_of("the first mark")
    file = tmp_path / "ada.jsonl"
    made = instance.run("audit", "export", "--user", "ada", "-o", str(file))
    assert made.returncode == 0, made.stderr
    found = lines(file.read_text("utf-8"))
    assert {record["user"] for record in found} == {"ada"}
    assert [record["stage"] for record in found if "the first mark" in record["sql_text"]] == ["intent"]
    assert sorted(found, key=lambda record: record["at"]) == found
    assert file.stat().st_mode & 0o777 == 0o600

    again = instance.run("audit", "export", "-o", str(file))
    assert (again.returncode, "exists already" in again.stderr) == (1, True)
    csv = instance.run("audit", "export", "--format", "csv", "--user", "ada")
    assert len(csv.stdout.splitlines()) == len(found) + 1
    (event,) = instance.records("shape = 'audit_export' AND sql_text LIKE '%%ada.jsonl%%'")
    assert event["sql_text"] == f"records with user ada go to {file} as jsonl"
    assert event["decision"] == "allow"
    assert instance.stop() == 0
    assert instance.run("audit", "verify").returncode == 0


@contextmanager
def followed(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """As a terminal starts it: tests that run in the background ignore Ctrl-C, and so would what they start."""
    pipe = subprocess.PIPE
    as_in_front = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True, preexec_fn=as_in_front)
    with process:
        try:
            yield process
        finally:
            process.kill()  # ended already, unless the test has failed


def test_what_comes_is_followed_to_the_end(make_pgwarden: MakePgwarden) -> None:
    instance = make_pgwarden(workers=2)
    ask(instance, "an old mark")
    instance.records_of("an old mark")
    command = [sys.executable, "-m", "proxy", "audit", "export", "-c", str(instance.config_file), "--follow"]
    with followed([*command, "--user", "ada"]) as following:
        until(lambda: instance.records("shape = 'audit_export'"), "the event of the export")
        time.sleep(1.0)  # it looks for the chains' ends
        for number in range(3):
            ask(instance, f"mark {number}")
        assert following.stdout is not None
        seen: list[str] = []
        while not all(any(f"mark {number}" in text for text in seen) for number in range(3)):
            seen.append(json.loads(following.stdout.readline())["sql_text"])
        following.send_signal(signal.SIGINT)
        _, told = following.communicate(timeout=20)
    assert not any("old mark" in text for text in seen)
    assert "Traceback" not in told


def test_daily_files_hold_every_record_once_also_after_a_kill(make_pgwarden: MakePgwarden, tmp_path: Path) -> None:
    folder = tmp_path / "daily"
    instance = started(make_pgwarden, export={"directory": str(folder)})

    def in_files() -> list[dict[str, Any]]:
        return [record for file in sorted(folder.glob("*.jsonl")) for record in lines(file.read_text("utf-8"))]

    ask(instance, "before the kill")
    until(lambda: any("before the kill" in record["sql_text"] for record in in_files()), "the first records in files")
    instance.kill()
    instance.start()
    ask(instance, "after the kill")
    until(lambda: any("after the kill" in record["sql_text"] for record in in_files()), "those after the kill")
    until(lambda: len(instance.records()) == len(in_files()), "all records in files")
    places = [(record["chain"], record["sequence"]) for record in in_files()]
    assert len(places) == len(set(places))
    assert instance.metric("pgwarden_export_failed") == 0
    assert instance.records("shape = 'audit_export'")


@contextmanager
def hook(statuses: list[int], port: int = 0) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A receiver that answers these, then 200: its address, and the alarms it was told, if they were signed."""
    told: list[dict[str, Any]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # noqa: N802 - the library's name
            body = self.rfile.read(int(self.headers["Content-Length"]))
            signed = int(self.headers[TIMESTAMP]), body, self.headers[SIGNATURE]
            status = statuses.pop(0) if statuses else 200
            if status == 200 and is_signature_true(SECRET, *signed, time.time()):
                told.extend(json.loads(body)["alarms"])
            self.send_response(status)
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/hooks/t0ken", told
        server.shutdown()


def refuse(instance: Pgwarden) -> None:
    with psycopg.connect(instance.dsn("ada"), autocommit=True) as connection, pytest.raises(psycopg.Error):
        connection.execute(HIDDEN.encode())


def test_refusals_and_failed_logins_are_told_at_once(make_pgwarden: MakePgwarden, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(SECRET + b"\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as syslog, hook([503, 302]) as (url, told):
        syslog.bind(("127.0.0.1", 0))
        syslog.settimeout(20)
        alarms = [
            {"syslog": f"udp://127.0.0.1:{syslog.getsockname()[1]}", "sql_text": True},
            {"webhook": url, "secret_file": str(secret)},
        ]
        instance = started(make_pgwarden, alarms=alarms)
        refuse(instance)
        message = syslog.recv(4096)
        head, _, body = message.partition(b'"] ')
        assert head.startswith(b"<84>1 20")
        assert b" pgwarden " in head
        assert b'sequenceId="1' in head
        alarm = json.loads(body)
        assert (alarm["level"], alarm["user"], alarm["sql_text"]) == ("denial", "ada", HIDDEN)

        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(instance.dsn("ada", "wrong"))
        assert json.loads(syslog.recv(4096).partition(b'"] ')[2])["name"] == "login"
        until(lambda: len(told) >= 2, "the webhook's alarms, in spite of its errors")
        assert [(one["level"], one["name"]) for one in told[:2]] == [("denial", "statement"), ("alarm", "login")]
        assert "sql_text" not in told[0]
        assert told[0]["id"] == instance.records_of(HIDDEN, outcomes=0)[0]["id"].hex
        place = url.rpartition("/hooks")[0]
        assert instance.metric(f'pgwarden_alarms_sent_total{{receiver="{place}"}}') >= 2
        assert "t0ken" not in instance.log_text
        assert "t0ken" not in str(instance.records("shape = 'start'"))
        assert instance.stop() == 0


def test_a_receiver_that_is_away_holds_up_nobody_and_is_told_later(make_pgwarden: MakePgwarden, tmp_path: Path) -> None:
    """Also what happened before the next start; and the sidecar is ready all the while."""
    secret = tmp_path / "secret"
    secret.write_bytes(SECRET)
    with hook([]) as (url, told):
        pass
    instance = started(make_pgwarden, alarms=[{"webhook": url, "secret_file": str(secret)}])
    refuse(instance)
    until(lambda: "alarms don't reach" in instance.log_text, "the warning")
    assert instance.readiness()[0]
    place = url.rpartition("/hooks")[0]
    assert instance.metric(f'pgwarden_alarms_waiting{{receiver="{place}"}}') == 1
    assert not told
    assert instance.stop() == 0
    with hook([], int(place.rpartition(":")[2])) as (_, told):
        instance.start()
        until(lambda: told, "the alarm of before")
    assert [(one["level"], one["user"]) for one in told] == [("denial", "ada")]
