"""JDBC, Debian's driver: query modes, prepareThreshold, fetch size, batches, COPY, metadata, changes of policy."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.drivers.programs import FOLDER, Program, assert_masked, assert_same, need, need_file
from tests.fix_pgwarden import POLICIES, MakePgwarden, Pgwarden, until

JAR = "/usr/share/java/postgresql.jar"
PACKAGE = "Debian: libpostgresql-jdbc-java"


@pytest.fixture(scope="session")
def classes(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The class path: compiled once."""
    compiler, jar = need("javac", "default-jdk-headless"), need_file(JAR, PACKAGE)
    target = tmp_path_factory.mktemp("classes")
    sources = sorted((FOLDER / "java").glob("*.java"))
    command = [compiler, "-Xlint:all", "-Werror", "-cp", str(jar), "-d", str(target), *map(str, sources)]
    subprocess.run(command, check=True, timeout=120)
    return f"{jar}:{target}"


def program(classes: str, name: str) -> Program:
    return Program([need("java", "default-jre-headless"), "-XX:TieredStopAtLevel=1", "-cp", classes, name], {})


@pytest.mark.parametrize("name", ["Same", "Metadata"])
def test_an_administrator_sees_what_the_server_says(classes: str, name: str, pgwarden: Pgwarden) -> None:
    assert_same(program(classes, name), pgwarden)


def test_an_analyst_sees_masks_on_every_path(classes: str, pgwarden: Pgwarden) -> None:
    assert_masked(program(classes, "Narrow"), pgwarden, "ada", "analyst")


def test_a_writer_sees_masks_on_every_path(classes: str, pgwarden: Pgwarden) -> None:
    assert_masked(program(classes, "Narrow"), pgwarden, "wes", "writer")


def test_prepared_statements_follow_the_policies(classes: str, make_pgwarden: MakePgwarden) -> None:
    """When a result changes its type the driver mends it where it can: outside transactions, or with autosave."""
    gate, text = make_pgwarden(), POLICIES.read_text("utf-8")
    email, blocked = "{tag: pii.email, mask: {kind: email}}", "shop.payments.card_number"
    with program(classes, "Changed").start(gate.dsn("ada"), "") as process:
        assert set(_answers(process).values()) == {"16 g***@example.org"}
        _change(gate, text.replace(email, email.replace("kind: email", "kind: redact")))
        assert set(_answers(process, "go on\n").values()) == {"16 REDACTED"}
        _change(gate, text.replace(blocked, f"{blocked}, shop.customers.signature"))
        for way, found in _answers(process, "go on\n").items():
            is_told = "in a transaction" in way and "autosave" not in way and "simple" not in way
            assert found == ("0A000" if is_told else "15 g***@example.org"), way
        _change(gate, text.replace("block: [shop.salaries]", "block: [shop.salaries, shop.customers]"))
        for way, found in _answers(process, "go on\n").items():
            assert found in ("42501", "25P02"), way
        output, complaints = process.communicate(timeout=60)
    assert (json.loads(output), complaints) == ({"what": "done"}, "")


def _answers(process: subprocess.Popen[str], command: str = "") -> dict[str, str]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(command)
    process.stdin.flush()
    found = {}
    while (line := json.loads(process.stdout.readline())) != {"what": "asked"}:
        found[line["what"]] = line["found"]
    return found


def _change(gate: Pgwarden, text: str) -> None:
    before = gate.get("/version")[1]
    gate.write_policies(text)
    until(lambda: gate.get("/version")[1] != before, "the new policies")
