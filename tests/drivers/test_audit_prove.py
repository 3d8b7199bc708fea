"""A record of a real session, proven to somebody who has the public key, a script and nothing of ours."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import psycopg

from tests.fix_pgwarden import ROOT, MakePgwarden

SCRIPT = ROOT / "deploy" / "check_proof.py"


def check(proof: Path, key: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", str(SCRIPT), str(proof), str(key)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_what_a_session_asked_is_proven_to_an_outsider(make_pgwarden: MakePgwarden, tmp_path: Path) -> None:
    instance = make_pgwarden()
    with psycopg.connect(instance.dsn("ada"), autocommit=True) as connection:
        connection.execute("SELECT 'the proven mark' FROM shop.customers LIMIT 1")
    assert instance.stop() == 0  # what was shipped is sealed
    listed = instance.run("audit", "query", "--json", "--user", "ada")
    (record,) = (
        found
        for found in map(json.loads, listed.stdout.splitlines())
        if found["stage"] == "intent" and "the proven mark" in found["sql_text"]
    )
    proof, key = tmp_path / "proof.json", instance.folder / "journal" / "signing.pub"
    made = instance.run("audit", "prove", record["id"], "-o", str(proof))
    assert made.returncode == 0, made.stderr
    shown = check(proof, key)
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout.partition("\n")[2])["sql_text"] == record["sql_text"]

    proof.write_text(proof.read_text("utf-8").replace('"number": ', '"number": 1'), "utf-8")
    assert "not proven" in check(proof, key).stderr
    refused = instance.run("audit", "prove", "0" * 32)
    assert refused.returncode != 0
    assert "holds no record" in refused.stderr
