"""JDBC, Debian's driver: query modes, prepareThreshold, fetch size, batches, COPY, metadata, changes of policy."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest

from tests.drivers.programs import (
    FOLDER,
    Line,
    Program,
    TlsGate,
    answers,
    assert_follows_policies,
    assert_masked,
    assert_masked_through_tls,
    assert_same,
    change_policies,
    lines_of,
    need,
    need_file,
)
from tests.fix_pgwarden import POLICIES, Pgwarden

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


def test_an_analysts_metadata_lacks_what_is_hidden_and_nothing_else(classes: str, pgwarden: Pgwarden) -> None:
    metadata = program(classes, "Metadata")
    seen, known = (lines_of(metadata.play(dsn, "")) for dsn in (pgwarden.dsn("ada"), pgwarden.direct_dsn))
    for line, all_of_it in zip(seen, known, strict=True):
        what, rows = line["what"], _comparable(line)
        assert [row for row in rows if row not in _comparable(all_of_it)] == [], what
        missing = [row for row in _comparable(all_of_it) if row not in rows]
        assert [row for row in missing if not re.search("salaries|card_number|safe_report", f"{what} {row}")] == []
        assert not re.search("salaries_|card_number|iban", str(rows)), what


def _comparable(line: Line) -> list[Any]:
    """Without what a policy changes in rows that it shows: statistics, defaults of masked columns, columns' numbers."""
    if line["what"].startswith("getIndexInfo"):
        return [[*row[:10], *row[12:]] for row in line["found"]]
    if line["what"] == "getColumns":
        masked = ("preferences", "tags")
        return [[*row[:12], "" if row[3] in masked else row[12], *row[13:16], *row[17:]] for row in line["found"]]
    return list(line["found"])


def test_a_writer_sees_masks_on_every_path(classes: str, pgwarden: Pgwarden) -> None:
    assert_masked(program(classes, "Narrow"), pgwarden, "wes", "writer")


def test_prepared_statements_follow_the_policies(classes: str, changing: Pgwarden) -> None:
    assert_follows_policies(program(classes, "Changed"), changing)


def test_the_driver_mends_what_a_policy_changed(classes: str, changing: Pgwarden) -> None:
    """A result of another type: it prepares anew outside transactions, or with autosave; else it tells 0A000."""
    text, blocked = POLICIES.read_text("utf-8"), "columns: {block: [shop.payments.card_number"
    change_policies(changing, text)
    with program(classes, "Changed").start(changing.dsn("ada"), "") as process:
        answers(process)
        change_policies(changing, text.replace(blocked, f"{blocked}, shop.customers.signature"))
        for way, found in answers(process, "go on\n").items():
            is_told = "in a transaction" in way and "autosave" not in way and "simple" not in way
            assert found == ("0A000" if is_told else "15 g***@example.org"), way
        process.communicate(timeout=60)


def test_tls(classes: str, tls_gate: TlsGate) -> None:
    assert_masked_through_tls(program(classes, "Narrow"), tls_gate)
