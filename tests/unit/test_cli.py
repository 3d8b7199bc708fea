"""The commands as scripts meet them: exit codes, what goes to which stream, places of problems."""

from __future__ import annotations

import base64
import datetime
import hashlib
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from policies.load import load_texts
from policies.model import ApiKey
from proxy.cli import make_app
from proxy.wire.scram import make_verifier

AWAY = "postgresql://nobody@127.0.0.1:9/nothing?connect_timeout=2"

POLICIES = """\
principals:
  - {user: ada, tenant: acme, roles: [analyst], attributes: {tenant_id: 1}}
policies:
  - name: analysts
    database: shop
    subjects: {roles: [analyst]}
    statements: [select]
    tables: {allow: ["shop.*"]}
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(make_app(), list(arguments))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration whose database and store are away."""
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "shop.yaml").write_text(POLICIES)
    file = tmp_path / "pgwarden.yaml"
    file.write_text(f"databases: {{shop: {{upstream: '{AWAY}'}}}}\naudit: {{store: '{AWAY}'}}\n")
    return file


def test_help_teaches_with_examples_and_exit_codes() -> None:
    shown = run("--help").output
    assert "pgwarden serve --config pgwarden.yaml" in shown
    assert "Exit codes: 0 all is well" in shown


COMMANDS = ("serve", "demo", "check", "test", "explain", "diff", "schema", "verifier", "api-key")


@pytest.mark.parametrize("command", [*COMMANDS, "audit query", "audit verify"])
def test_each_command_shows_an_example(command: str) -> None:
    result = run(*command.split(), "--help")
    assert result.exit_code == 0
    assert f"pgwarden {command}" in result.output


def test_verifier_makes_what_a_policy_keeps_of_a_password() -> None:
    lines = [
        CliRunner().invoke(make_app(), ["verifier"], input=text).output.strip() for text in ("s3cret\n", "s3cret", "\n")
    ]
    for line in lines[:2]:
        salt = line.split("$")[1].split(":")[1]
        assert line == make_verifier("s3cret", salt=base64.b64decode(salt))
    assert lines[0] != lines[1], "each has a salt of its own"
    assert "empty" in lines[2]


def test_an_api_key_and_its_entry_belong_together() -> None:
    lines = run("api-key", "--id", "ci", "--expires", "2999-01-01").output.splitlines()
    key, entry = (line.partition(":")[2].strip() for line in lines)
    assert len(key) > 40
    policies = load_texts({"p.yaml": f"principals: [{{user: ci, auth: {{api_keys: [{entry}]}}}}]".encode()}, {})
    digest = hashlib.sha256(key.encode()).hexdigest()
    assert policies.principals["ci"].api_keys == (ApiKey("ci", digest, datetime.date(2999, 1, 1)),)
    assert run("api-key").output.splitlines()[0] != lines[0]


@pytest.mark.parametrize(
    "wrong", [("--id", "a b"), ("--id", ""), ("--expires", "tomorrow"), ("--expires", "2027-06-31")]
)
def test_what_could_not_stand_in_a_policy_is_refused(wrong: tuple[str, str]) -> None:
    result = run("api-key", *wrong)
    assert (result.exit_code, "pgw_" in result.output) == (2, False)


def test_version() -> None:
    assert run("--version").output.startswith("pgwarden 0.")


def test_check_is_content_with_a_good_folder(config: Path) -> None:
    result = run("check", str(config.parent / "policies"))
    assert (result.exit_code, "everything holds" in result.stdout) == (0, True)


def test_check_names_the_place_of_each_problem_and_ends_with_3(config: Path) -> None:
    folder = config.parent / "policies"
    (folder / "shop.yaml").write_text(
        POLICIES.replace("statements", "statments").replace("roles: [analyst]}\n", "rols: [a]}\n")
    )
    result = run("check", str(folder))
    assert result.exit_code == 3
    assert f"{folder}/shop.yaml:6:16: " in result.stdout
    assert f"{folder}/shop.yaml:7:5: " in result.stdout


def test_check_says_that_a_database_is_away_and_checks_the_rest(config: Path) -> None:
    result = run("check", "--config", str(config))
    assert result.exit_code == 0
    assert "catalog of shop can't be read" in result.stderr


def test_check_knows_the_databases_of_the_configuration(config: Path) -> None:
    file = config.parent / "policies" / "shop.yaml"
    file.write_text(POLICIES.replace("database: shop", "database: shp"))
    result = run("check", "--config", str(config))
    assert result.exit_code == 3
    assert "shop.yaml:5:15: " in result.stdout


def test_check_needs_to_be_told_what(config: Path) -> None:
    assert run("check").exit_code == 2


def test_a_bad_configuration_ends_with_2_and_its_place(config: Path) -> None:
    config.write_text("listn: 127.0.0.1:1\n")
    for command in (["serve"], ["audit", "query"], ["audit", "verify"], ["check"]):
        result = run(*command, "--config", str(config))
        assert result.exit_code == 2
        assert f"{config}:1:1: listn: unknown key" in result.stderr


def test_explain_names_whom_it_knows(config: Path) -> None:
    result = run("explain", "--config", str(config), "--user", "eve", "--sql", "SELECT 1")
    assert (result.exit_code, "knows ada" in result.stderr) == (1, True)


def test_explain_names_the_databases_there_are(config: Path) -> None:
    result = run("explain", "-c", str(config), "-u", "ada", "-d", "shp", "--sql", "SELECT 1")
    assert (result.exit_code, "has shop" in result.stderr) == (1, True)


def test_explain_says_when_the_catalog_is_away(config: Path) -> None:
    result = run("explain", "--config", str(config), "--user", "ada", "--sql", "SELECT 1")
    assert (result.exit_code, "can't be read" in result.stderr) == (1, True)


def test_query_without_its_store_fails_and_quotes_no_dsn(config: Path) -> None:
    result = run("audit", "query", "--config", str(config))
    assert result.exit_code == 1
    assert result.stderr
    assert "postgresql://" not in result.stderr


@pytest.mark.parametrize(
    "arguments", [["--since", "yesterday"], ["--decision", "maybe"], ["--json", "--csv"], ["--limit", "0"]]
)
def test_query_refuses_what_it_does_not_understand(config: Path, arguments: list[str]) -> None:
    assert run("audit", "query", "--config", str(config), *arguments).exit_code == 2


def test_query_of_an_embedded_store_that_never_was_says_so(tmp_path: Path) -> None:
    file = tmp_path / "pgwarden.yaml"
    file.write_text("")
    result = run("audit", "query", "--config", str(file))
    assert result.exit_code == 1
    assert "`pgwarden serve` makes it" in result.stderr


def test_verify_of_a_journal_that_is_not_there_is_a_finding(config: Path) -> None:
    result = run("audit", "verify", "--journal-only", "--config", str(config))
    assert result.exit_code == 3
    assert "PROBLEM" in result.stdout


def test_serve_with_bad_policies_does_not_start(config: Path) -> None:
    (config.parent / "policies" / "shop.yaml").write_text("policies: [{nam: x}]\n")
    result = run("serve", "--config", str(config), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
    assert result.exit_code == 3
    assert "shop.yaml:1:13: " in result.stderr
