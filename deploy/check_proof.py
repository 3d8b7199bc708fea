#!/usr/bin/env python3
"""Checks a proof that `pgwarden audit prove` made, without pgwarden: Python 3.10 or newer and openssl 3 suffice.

    python3 check_proof.py proof.json signing.pub

signing.pub is the journal's public key; get it from somebody you trust, not from whoever gave you the proof. Ends with
0 and shows the record if it was sealed by that key as it stands here; else with 1 and what doesn't hold.

What is checked: the record's bytes and the hash before it make the record's hash (SHA-256); that hash and those beside
its way make the root of a Merkle tree, node = SHA-256(1, left, right); the key has signed that root (Ed25519).
"""

import base64
import hashlib
import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

FORMAT = "pgwarden-proof-1"
DOMAIN = b"pgwarden seal\0"
FIELDS = (
    ("id", "stage", "statement_id", "at", "tenant", "team", "user", "database", "session", "client_address")
    + ("application", "workload", "trace_id", "shape", "sql_text", "decision", "rule_ids", "policy_version", "tables")
    + ("filtered_tables", "masked_columns", "rows", "bytes_out", "duration_us", "cost", "currency", "sqlstate")
    + ("prev_hash", "hash", "server_error", "shadow_decision", "shadow_rule_ids", "raw_columns", "plan_units")
    + ("end_user", "lane", "queued_us", "parameters")
)
NUMBERS = {0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}


class Unproven(Exception):
    """What doesn't hold."""


def check(document, key_file):
    """The record's fields, read from the bytes that were hashed. Raises Unproven."""
    try:
        proof = json.loads(document)
        seal, number = proof["seal"], proof["number"]
        body = base64.b64decode(proof["body"], validate=True)
        leaf = hashlib.sha256(bytes.fromhex(proof["prev_hash"]) + body).digest()
        path = [bytes.fromhex(step) for step in proof["path"]]
        parts = [seal[name] for name in ("chain", "first", "records", "root", "hash", "at")]
        signature = bytes.fromhex(seal["signature"])
        index, size = number - seal["first"], seal["records"]
    except (KeyError, TypeError, ValueError) as error:
        raise Unproven(f"this is no proof: {error}") from None
    if proof.get("format") != FORMAT:
        raise Unproven(f"a proof of another format: {proof.get('format')}")
    signed = DOMAIN + json.dumps(parts, separators=(",", ":"), ensure_ascii=False).encode()
    if not is_signed(signed, signature, key_file):
        raise Unproven("the seal was not signed by this key, or was edited")
    if root_by(leaf, index, size, path) != bytes.fromhex(seal["root"]):
        raise Unproven("the record is not among those that were sealed")
    return record_of(body)


def root_by(leaf, index, size, path):
    """The root that the path leads to; None when it has not the right length."""
    if not 0 <= index < size:
        return None
    steps, last = list(path), size - 1
    while last:
        if index % 2 or index < last:
            if not steps:
                return None
            pair = (steps.pop(0), leaf) if index % 2 else (leaf, steps.pop(0))
            leaf = hashlib.sha256(b"\x01" + pair[0] + pair[1]).digest()
        index, last = index // 2, last // 2
    return None if steps else leaf


def is_signed(message, signature, key_file):
    with tempfile.TemporaryDirectory() as folder:
        text, mark = Path(folder) / "message", Path(folder) / "signature"
        text.write_bytes(message)
        mark.write_bytes(signature)
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(key_file), "-rawin"]
        done = subprocess.run([*command, "-in", str(text), "-sigfile", str(mark)], capture_output=True, check=False)
    return done.returncode == 0


def record_of(body):
    """The fields by name; the later ones are left out of records in which they say nothing."""
    values, end = unpacked(body, 0)
    if end != len(body) or not isinstance(values, list) or len(values) > len(FIELDS):
        raise Unproven("the bytes are not a record")
    return {name: value for name, value in zip(FIELDS, values, strict=False) if name not in ("prev_hash", "hash")}


def unpacked(data, at):
    """One value of MessagePack, and where it ends: what records are made of, texts, whole numbers, lists, nil."""
    try:
        kind = data[at]
        if kind <= 0x7F or kind >= 0xE0:
            return (kind if kind <= 0x7F else kind - 256), at + 1
        if kind == 0xC0:
            return None, at + 1
        if 0xA0 <= kind <= 0xBF:
            return text_of(data, at + 1, kind & 31)
        if 0x90 <= kind <= 0x9F:
            return list_of(data, at + 1, kind & 15)
        form = {0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}.get(
            kind
        )
        if form:
            return struct.unpack_from(form, data, at + 1)[0], at + 1 + struct.calcsize(form)
        form, read = {
            0xD9: (">B", text_of), 0xDA: (">H", text_of), 0xDB: (">I", text_of),
            0xDC: (">H", list_of), 0xDD: (">I", list_of),
        }[kind]  # fmt: skip
        return read(data, at + 1 + struct.calcsize(form), struct.unpack_from(form, data, at + 1)[0])
    except (KeyError, IndexError, struct.error, UnicodeDecodeError):
        raise Unproven("the bytes are not a record") from None


def text_of(data, at, length):
    return data[at : at + length].decode(), at + length


def list_of(data, at, length):
    values = []
    for _ in range(length):
        value, at = unpacked(data, at)
        values.append(value)
    return values, at


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        record = check(Path(sys.argv[1]).read_text("utf-8"), sys.argv[2])
    except (Unproven, OSError, UnicodeDecodeError) as error:
        sys.exit(f"not proven: {error}")
    print("proven: this record was sealed by that key.")
    print(json.dumps(record, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
