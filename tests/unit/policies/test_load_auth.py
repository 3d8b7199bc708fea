"""`auth` of a principal: each way to prove who one is, and every fault with its file, line and column."""

from __future__ import annotations

import base64
import datetime
import hashlib
from pathlib import Path

import pytest

from policies.errors import PolicyFileError
from policies.load import load_folder, load_texts
from policies.model import ApiKey, Principal, Statement
from policies.resolve import resolve

DIGEST = hashlib.sha256(b"key").hexdigest()


def verifier(word: bytes = b"k") -> str:
    salt, key = (base64.b64encode(word * length).decode() for length in (16, 32))
    return f"SCRAM-SHA-256$4096:{salt}${key}:{key}"


def principal(auth: str) -> Principal:
    return load_texts({"a.yaml": f"principals: [{{user: a, auth: {auth}}}]".encode()}, {}).principals["a"]


def problems(auth: str) -> list[str]:
    with pytest.raises(PolicyFileError) as caught:
        principal(auth)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("ada", [("CN", "ada")]),
        ("CN=ada", [("CN", "ada")]),
        ('"cn=ada, ou=finance,O=Acme"', [("CN", "ada"), ("OU", "finance"), ("O", "Acme")]),
        ('"CN=ada,OU=a,OU=b"', [("CN", "ada"), ("OU", "a"), ("OU", "b")]),
        (r'"CN=Lovelace\\, Ada,O=A\\=B"', [("CN", "Lovelace, Ada"), ("O", "A=B")]),
        ('"emailaddress=ada@acme.example"', [("emailAddress", "ada@acme.example")]),
        ("Ada Lovelace", [("CN", "Ada Lovelace")]),
    ],
)
def test_a_certificates_subject(written: str, expected: list[tuple[str, str]]) -> None:
    assert principal(f"{{certificate: {written}}}").certificate == tuple(expected)


def test_api_keys_with_and_without_an_end() -> None:
    found = principal(
        f'{{api_keys: [{{id: ci, sha256: "{DIGEST.upper()}"}}, '
        f"{{id: ci.2, sha256: {'0' * 63}a, expires: 2027-01-01}}, "
        f'{{id: ci-3, sha256: {"f" * 64}, expires: "2027-12-31"}}]}}'
    ).api_keys
    assert found == (
        ApiKey("ci", DIGEST),
        ApiKey("ci.2", "0" * 63 + "a", datetime.date(2027, 1, 1)),
        ApiKey("ci-3", "f" * 64, datetime.date(2027, 12, 31)),
    )
    assert DIGEST not in repr(found), "a hash belongs in no log either"


def test_all_that_is_given_has_to_be_proved() -> None:
    both = principal(f'{{certificate: ada, scram: "{verifier()}"}}')
    assert (both.certificate, both.scram) == ((("CN", "ada"),), verifier())


@pytest.mark.parametrize(
    ("auth", "column", "words"),
    [
        ("{}", 30, "'auth' needs 'scram' or another of scram, scram_file, certificate, api_keys"),
        ("{certificat: a}", 31, "unknown key 'certificat' in 'auth'; did you mean 'certificate'?"),
        ("{certificate: 1}", 44, "'certificate' must be text"),
        ("{certificate: 'XX=a'}", 44, "'certificate' is no subject"),
        ("{certificate: 'CN=a,b'}", 44, "'certificate' is no subject"),
        ("{certificate: 'CN='}", 44, "'certificate' is no subject"),
        ("{certificate: '=a'}", 44, "'certificate' is no subject"),
        ("{api_keys: []}", 41, "'api_keys' is empty"),
        ("{api_keys: x}", 41, "'api_keys' must be a list"),
        ("{api_keys: [x]}", 42, "an API key must be a mapping"),
        ("{api_keys: [{id: a}]}", 42, "an API key needs 'sha256'"),
        (f"{{api_keys: [{{sha256: '{DIGEST}'}}]}}", 42, "an API key needs 'id'"),
        (f"{{api_keys: [{{id: a b, sha256: '{DIGEST}'}}]}}", 47, "'id' must be letters"),
        ("{api_keys: [{id: a, sha256: hunter2}]}", 58, "'sha256' must be 64 hexadecimal digits"),
        (f"{{api_keys: [{{id: a, sha256: '{DIGEST}', expires: soon}}]}}", 135, "'expires' must be a day"),
        (f"{{api_keys: [{{id: a, sha256: '{DIGEST}', expires: '2027-06-31'}}]}}", 135, "'expires' must be a day"),
        (
            f"{{api_keys: [{{id: a, sha256: '{DIGEST}', expires: 2027-01-01 10:00:00}}]}}",
            135,
            "'expires' must be a day",
        ),
        (f"{{api_keys: [{{id: a, sha256: '{DIGEST}', secret: x}}]}}", 126, "unknown key 'secret' in an API key"),
        (f"{{api_keys: [{{id: a, sha256: '{DIGEST}'}}], scram: '{verifier()}'}}", 135, "asked for one secret only"),
        ("{scram_file: nowhere}", 43, "the file 'nowhere' can't be read: there is no folder"),
    ],
)
def test_a_fault_is_named_with_its_place(auth: str, column: int, words: str) -> None:
    found = problems(auth)
    assert any(p.startswith(f"a.yaml:1:{column}: ") and words in p for p in found), found
    assert not any("hunter2" in p for p in found), "a secret is never quoted"


def test_a_key_or_a_hash_that_stands_twice() -> None:
    twice = f"{{id: a, sha256: '{DIGEST}'}}, {{id: b, sha256: '{DIGEST}'}}"
    assert any("stands twice" in p for p in problems(f"{{api_keys: [{twice}]}}"))


# files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "p.yaml").write_text("principals:\n  - {user: a, auth: {scram_file: secrets/a}}\n")
    return tmp_path


def test_a_verifier_in_a_file_beside_the_policies(folder: Path) -> None:
    prints = set()
    for word in (b"k", b"l"):
        (folder / "secrets/a").write_text(verifier(word) + "\n")
        loaded = load_folder(folder, {})
        assert loaded.principals["a"].scram == verifier(word)
        prints.add(loaded.fingerprint)
    assert len(prints) == 2, "a changed file is a changed policy set"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "can't be read: no such file"),
        (b"hunter2", "'scram_file' is no verifier"),
        (b"", "'scram_file' is no verifier"),
        (b"\xff\xfe", "can't be read: not UTF-8"),
        (verifier().encode() * 2, "'scram_file' is no verifier"),
    ],
)
def test_a_file_without_a_verifier(folder: Path, content: bytes | None, words: str) -> None:
    if content is not None:
        (folder / "secrets/a").write_bytes(content)
    with pytest.raises(PolicyFileError) as caught:
        load_folder(folder, {})
    (problem,) = (str(problem) for problem in caught.value.problems)
    assert problem.startswith("p.yaml:2:34: ")
    assert words in problem
    assert "hunter2" not in problem


# replication, which goes with what one may prove


@pytest.mark.parametrize(
    ("statements", "is_everything", "replicates"),
    [("[all]", True, False), ("[all, replication]", True, True), ("[select, replication]", False, True)],
)
def test_replication_is_granted_by_name_only(statements: str, is_everything: bool, replicates: bool) -> None:
    open_to_all = 'tables: {allow: ["*.*"]}, functions: {allow: ["*"]}'
    text = f"""
principals: [{{user: a}}]
policies: [{{name: p, subjects: {{any: true}}, statements: {statements}, {open_to_all}}}]
"""
    policy = resolve(load_texts({"a.yaml": text.encode()}, {}), "a", "shop")
    assert policy is not None
    assert (policy.is_everything, Statement.REPLICATION in policy.statements) == (is_everything, replicates)


def test_of_two_policies_both_have_to_name_it() -> None:
    both = "subjects: {any: true}, tables: {allow: ['*.*']}, functions: {allow: ['*']}"
    text = f"""
principals: [{{user: a}}]
policies:
  - {{name: p, statements: [all, replication], {both}}}
  - {{name: q, statements: [all], {both}}}
"""
    policy = resolve(load_texts({"a.yaml": text.encode()}, {}), "a", "shop")
    assert policy is not None
    assert policy.is_everything
    assert Statement.REPLICATION not in policy.statements
