"""`pgwarden test` against a real database's catalog: passing, failing, files that can't be used, JUnit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.fix_pgwarden import Pgwarden, run_pgwarden
from tests.fix_servers import TestServer

GOOD = """\
tests:
  - name: analysts see masked addresses
    user: ada
    sql: SELECT email FROM shop.customers
    expect: {decision: rewrite, masked: [shop.customers.email], filtered: [shop.customers]}
  - name: nobody of them sees salaries
    user: ada
    sql: SELECT * FROM shop.salaries
    expect: {sqlstate: 42501, rule: "analysts/tables.block[0]"}
"""
BAD = 'tests: [{name: "odd \\u0001 <name>", user: ada, sql: SELECT 1, expect: {decision: deny}}]\n'


@pytest.fixture(scope="module")
def installation(server18: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pgwarden]:
    """Configured, not running: the command needs the database alone."""
    with run_pgwarden(tmp_path_factory.mktemp("installation"), server18, is_started=False) as instance:
        instance.write_configuration()
        yield instance


def ask(installation: Pgwarden, *arguments: str | Path) -> tuple[int, str, str]:
    result = installation.run("test", *map(str, arguments), "--config", str(installation.config_file))
    return result.returncode, result.stdout, result.stderr


def test_a_folder_of_tests_that_pass(installation: Pgwarden, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    assert ask(installation, tmp_path) == (0, "2 passed\n", "")


def test_a_failing_test_has_a_place_and_ends_with_3(installation: Pgwarden, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text(BAD)
    code, out, _ = ask(installation, tmp_path, "--junit", tmp_path / "results.xml")
    assert code == 3
    assert f"{tmp_path}/b.yaml:1:9: " in out
    assert out.endswith("expected deny, got allow\n2 passed, 1 failed\n")
    suite = ElementTree.parse(tmp_path / "results.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("3", "1")
    assert [case.get("name") for case in suite] == [
        "analysts see masked addresses",
        "nobody of them sees salaries",
        "odd \ufffd <name>",
    ]
    assert suite[2][0].get("message") == "expected deny, got allow"


def test_files_that_cant_be_used(installation: Pgwarden, tmp_path: Path) -> None:
    code, _, err = ask(installation, tmp_path / "nowhere.yaml")
    assert (code, "nowhere.yaml can't be read" in err) == (1, True)
    code, _, err = ask(installation, tmp_path)
    assert (code, "holds no tests" in err) == (1, True)
    (tmp_path / "c.yaml").write_text("tests: [{name: n, user: nobody, sql: x, expect: {rule: r}}]")
    code, _, err = ask(installation, tmp_path)
    assert (code, f"{tmp_path}/c.yaml:1:" in err) == (3, True)


def test_junit_that_cant_be_written(installation: Pgwarden, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    code, _, err = ask(installation, tmp_path / "a.yaml", "--junit", tmp_path / "no" / "r.xml")
    assert (code, "can't be written" in err) == (1, True)
