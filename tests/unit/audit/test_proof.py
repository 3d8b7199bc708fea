"""Proofs: made here, checked here and by the stand-alone script, and refused wherever one byte differs."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.errors import ProofError
from audit.merkle import root_of
from audit.proof import checked_record, encode_proof, make_proof
from audit.record import NO_HASH, Record, ShadowDecision, Stage, Verdict, body_of, completed, hash_of
from audit.ring import Ring, first_entry
from audit.seal import Seal, sealed
from audit.signing import Signer

SCRIPT = Path(__file__).parents[3] / "deploy" / "check_proof.py"
KEY = Ed25519PrivateKey.generate()
SIGNER = Signer(KEY, Ring((first_entry(KEY, 0),)))
FIRST = 41
CHAIN = "0123456789abcdef/1"
KINDS: list[dict[str, Any]] = [
    {
        "stage": Stage.INTENT,
        "sql_text": "SELECT 'ä€😀' -- x" * 30,
        "decision": Verdict.REWRITE,
        "tables": ("shop.a",) * 20,
    },
    {"stage": Stage.OUTCOME, "rows": 70_000, "bytes_out": 1 << 40, "duration_us": 5, "user": "ada"},
    {"stage": Stage.EVENT, "shape": "login", "sql_text": "", "server_error": "x" * 300},
    {"stage": Stage.INTENT, "shadow_decision": ShadowDecision.DENY, "plan_units": 1 << 33, "raw_columns": ("a.b.c",)},
    {"stage": Stage.INTENT, "sql_text": "SELECT " + "1," * 40_000},
]


def chain(count: int) -> list[Record]:
    made, before = [], NO_HASH
    for number in range(count):
        record = completed(Record(**KINDS[number % len(KINDS)]), f"{number:032x}", 1_700_000_000_000_000 + number)
        own = hash_of(before, body_of(record))
        made.append(msgspec.structs.replace(record, prev_hash=before.hex(), hash=own.hex()))
        before = own
    return made


def hashes_of(records: list[Record]) -> list[bytes]:
    return [bytes.fromhex(record.hash) for record in records]


def seal_of(records: list[Record]) -> Seal:
    root = root_of(hashes_of(records)).hex()
    plain = Seal(chain=CHAIN, first=FIRST, records=len(records), root=root, hash=records[-1].hash, at=7)
    return sealed(plain, SIGNER)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "signing.pub"
    form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    path.write_bytes(SIGNER.private_key.public_key().public_bytes(*form))
    return path


def by_script(document: bytes, key_file: Path) -> subprocess.CompletedProcess[str]:
    """In an interpreter that finds neither our packages nor anybody else's."""
    proof = key_file.with_name("proof.json")
    proof.write_bytes(document)
    command = [sys.executable, "-I", "-S", str(SCRIPT), str(proof), str(key_file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_record_of_a_seal_can_be_proven(key_file: Path) -> None:
    records = chain(13)
    for index, record in enumerate(records):
        document = encode_proof(make_proof(record, FIRST + index, hashes_of(records), seal_of(records)))
        assert checked_record(document, SIGNER.private_key.public_key()) == record
        if index < len(KINDS):
            shown = by_script(document, key_file)
            assert shown.returncode == 0, shown.stderr
            fields = json.loads(shown.stdout.partition("\n")[2])
            assert (fields["id"], fields["sql_text"]) == (record.id, record.sql_text)
            assert fields["tables"] == list(record.tables)
            assert fields.get("plan_units") == record.plan_units


def altered(part: str, change: Callable[[Any], Any]) -> bytes:
    records = chain(7)
    document = json.loads(encode_proof(make_proof(records[3], FIRST + 3, hashes_of(records), seal_of(records))))
    holder = document["seal"] if part.startswith("seal.") else document
    name = part.removeprefix("seal.")
    holder[name] = change(holder[name])
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("body", lambda body: ("A" if body[60] != "A" else "B").join((body[:60], body[61:]))),
        ("prev_hash", lambda text: "00" * 32),
        ("number", lambda number: number + 1),
        ("number", lambda number: number - 1000),
        ("path", lambda path: path[:-1]),
        ("path", lambda path: [*path, "00" * 32]),
        ("path", lambda path: path[::-1]),
        ("format", lambda text: "pgwarden-proof-0"),
        ("seal.root", lambda text: "00" * 32),
        ("seal.chain", lambda text: text + "0"),
        ("seal.first", lambda number: number + 1),
        ("seal.records", lambda number: number + 1),
        ("seal.at", lambda number: number + 1),
        ("seal.signature", lambda text: "00" * 64),
        ("seal.signature", lambda text: ""),
        ("seal", lambda seal: None),
    ],
)
def test_nothing_of_a_proof_can_be_altered(part: str, change: Callable[[Any], Any], key_file: Path) -> None:
    document = altered(part, change)
    with pytest.raises(ProofError):
        checked_record(document, SIGNER.private_key.public_key())
    shown = by_script(document, key_file)
    assert shown.returncode == 1
    assert shown.stderr.startswith("not proven: ")


def test_another_key_proves_nothing() -> None:
    records = chain(2)
    document = encode_proof(make_proof(records[0], FIRST, hashes_of(records), seal_of(records)))
    with pytest.raises(ProofError, match="not signed by this key"):
        checked_record(document, Ed25519PrivateKey.generate().public_key())


@pytest.mark.parametrize("index", [-1, 4])
def test_no_proof_is_made_of_a_record_outside_or_of_other_hashes(index: int) -> None:
    records = chain(4)
    with pytest.raises(ProofError, match="not the one that was sealed"):
        make_proof(records[0], FIRST + index, hashes_of(records), seal_of(records))
    with pytest.raises(ProofError, match="not those that were sealed"):
        make_proof(records[0], FIRST, hashes_of(records)[::-1], seal_of(records))


def test_the_scripts_fields_are_the_records() -> None:
    assert runpy.run_path(str(SCRIPT))["FIELDS"] == Record.__struct_fields__
