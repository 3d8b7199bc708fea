"""Runs client programs of other languages and judges the JSON lines they print. It knows no language.

A program gets the connection in PGHOST, PGPORT, PGUSER, PGPASSWORD and PGDATABASE, the name of a scene as its last
argument and the statements of `same.sql` in SAME_SQL. It prints one JSON object a line, each with `what`, and ends
with `{"what": "done"}`. In the scene `same` it prints all that it sees: that must be the same through pgwarden, under
the allow-everything policy, and directly. In the scenes `analyst` and `writer` it runs under a narrow policy and
prints, for every path, `customers` (rows of COLUMNS for ids up to 20, as text), the `sqlstate` of a refusal, or
whether something went well as `ok`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
import pytest

from tests.drivers.sanitized import on_the_copy
from tests.fix_pgwarden import POLICIES, Pgwarden, until
from tests.unit.net.certificates import Authority

FOLDER = Path(__file__).parent
COLUMNS = "id, email, ssn, phone, birth_date, balance, preferences, tags, signature"
LAST_ID = 20
SAME_SQL = FOLDER / "same.sql"
PROGRAM_PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class TlsGate:
    """An instance that takes TLS connections only, and who vouches for it."""

    instance: Pgwarden
    authority: Authority


_REFUSED = ("42501", "0A000")
_EXPECTED = {"blocked": ("42501",), "not granted": ("42501",), "failed transaction": ("25P02",)}
_SECRET_SHAPES = re.compile(r"[\w.]+@[\w.]+|\d{3}-\d{2}-\d{4}|\+1 555 \d+ \d{4}")
Line = dict[str, Any]


def need(program: str, package: str) -> str:
    """The path of an installed program. Skips the test when it isn't there."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} isn't installed (Debian: {package}; `make test-drivers` installs it)")
    return found


def need_file(path: str | Path, package: str) -> Path:
    """A file of an installed package. Skips the test when it isn't there."""
    if not Path(path).exists():
        pytest.skip(f"{path} isn't there ({package}; `make test-drivers` installs it)")
    return Path(path)


def need_module(*probe: str, package: str) -> None:
    """Runs a command that does nothing but load a module. Skips the test when that fails."""
    if subprocess.run(probe, capture_output=True, check=False, timeout=PROGRAM_PATIENCE_S).returncode != 0:
        pytest.skip(f"`{' '.join(probe)}` fails ({package}; `make test-drivers` installs it)")


@dataclass(frozen=True, slots=True)
class Program:
    """How a client program is started; the scene's name comes behind `command`."""

    command: Sequence[str | Path]
    environment: Mapping[str, str]

    def start(self, dsn: str, scene: str, **more: str) -> subprocess.Popen[str]:
        """Its pipes are text; what it says of errors goes where pytest shows it."""
        url = urlsplit(dsn)
        parts = {
            "PGHOST": url.hostname or "",
            "PGPORT": str(url.port),
            "PGUSER": unquote(url.username or ""),
            "PGPASSWORD": unquote(url.password or ""),
            "PGDATABASE": unquote(url.path[1:]),
            "PGSSLMODE": "disable",
            "SAME_SQL": str(SAME_SQL),
        }
        return subprocess.Popen(
            [*map(str, self.command), scene],
            env={**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8", **self.environment, **parts, **more},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def play(self, dsn: str, scene: str, **more: str) -> str:
        """All that the program printed, once it has ended well."""
        with self.start(dsn, scene, **more) as process:
            try:
                output, complaints = process.communicate(timeout=PROGRAM_PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                output, complaints = process.communicate()
                raise AssertionError(f"it hangs after {output[-2000:]}\n{complaints[-2000:]}") from None
        assert process.returncode == 0, f"{complaints[-4000:]}\nafter {output[-2000:]}"
        return output


def lines_of(output: str) -> list[Line]:
    lines = [json.loads(line) for line in output.rstrip("\n").split("\n")]
    assert lines, "it printed nothing"
    assert lines[-1] == {"what": "done"}, lines[-1]
    return lines[:-1]


def assert_same(program: Program, pgwarden: Pgwarden, scene: str = "same") -> None:
    """Through pgwarden, under the allow-everything policy, it sees what it sees directly."""
    through = lines_of(program.play(pgwarden.dsn("admin"), scene))
    direct = lines_of(program.play(pgwarden.direct_dsn, scene))
    for seen, expected in zip(through, direct, strict=False):
        assert seen == expected
    assert len(through) == len(direct)


def assert_masked(program: Program, pgwarden: Pgwarden, user: str, scene: str, **more: str) -> list[Line]:
    """Every path gives the same masked rows, or a refusal; nothing hidden is anywhere in the output."""
    output = program.play(pgwarden.dsn(user), scene, **more)
    lines = lines_of(output)
    rows, secrets = sanitized(pgwarden.direct_dsn)
    for line in lines:
        if "customers" in line:
            assert [normal(row) for row in line["customers"]] == rows, line["what"]
        elif "ok" in line:
            assert line["ok"] is True, line
        else:
            assert line["sqlstate"] in _EXPECTED.get(line["what"].partition(":")[0], _REFUSED), line
    assert sum("customers" in line for line in lines) >= 2
    assert sum("sqlstate" in line for line in lines) >= 2
    assert leaked(output, secrets) == set()
    return lines


def leaked(output: str, secrets: Set[str]) -> Set[str]:
    """What in the output looks like an address, a social security number or a telephone number, and is a hidden one."""
    return secrets.intersection(_SECRET_SHAPES.findall(output))


@cache
def sanitized(dsn: str) -> tuple[list[list[object]], Set[str]]:
    """What an analyst may see of the first customers, made by hand on the bare server; and what never."""
    with psycopg.connect(dsn) as connection:
        copied = on_the_copy("ada", f"SELECT {COLUMNS} FROM shop.customers WHERE id <= {LAST_ID} ORDER BY id")
        visible = connection.execute(copied.encode()).fetchall()
        hidden = connection.execute("SELECT unnest(ARRAY[email, ssn, phone]) FROM shop.customers").fetchall()
    secrets = {secret for (secret,) in hidden if secret}
    assert leaked(" ".join(secrets), secrets) == secrets
    return [normal([value if value is None else str(value) for value in row]) for row in visible], secrets


def normal(row: Sequence[Any]) -> list[object]:
    """Drivers print numbers, dates and documents differently; a masked value's meaning must be the same."""
    number, email, ssn, phone, birth_date, balance, preferences, tags, signature = row
    return [
        int(number),
        email,
        ssn,
        phone,
        birth_date and birth_date[:10],
        Decimal(str(balance)),
        preferences.strip('"'),
        "{}" if tags in ([], "[]") else tags,
        signature,
    ]


def assert_masked_through_tls(program: Program, tls_gate: TlsGate) -> None:
    """The analyst's scene again, with the certificate verified in full; by the variables that libpq and others know."""
    authority = str(tls_gate.authority.file)
    more = {"PGSSLMODE": "verify-full", "PGSSL": "verify-full", "PGSSLROOTCERT": authority}
    assert_masked(program, tls_gate.instance, "ada", "analyst", NODE_EXTRA_CA_CERTS=authority, **more)


def assert_follows_policies(program: Program, gate: Pgwarden, scene: str = "changed") -> None:
    """A prepared `SELECT *` shows the masks of now, no column that is blocked now, and nothing of a blocked table.

    When columns are gone the client gets them without, having mended it, or 0A000, as after an ALTER TABLE.
    """
    text = POLICIES.read_text("utf-8")
    email, blocked = "{tag: pii.email, mask: {kind: email}}", "columns: {block: [shop.payments.card_number"
    change_policies(gate, text)
    with program.start(gate.dsn("ada"), scene) as process:
        assert set(answers(process).values()) == {"16 g***@example.org"}
        change_policies(gate, text.replace(email, email.replace("kind: email", "kind: redact")))
        assert set(answers(process, "go on\n").values()) == {"16 REDACTED"}
        change_policies(gate, text.replace(blocked, f"{blocked}, shop.customers.signature"))
        found = answers(process, "go on\n")
        assert set(found.values()) <= {"15 g***@example.org", "0A000"}, found
        change_policies(gate, text.replace("block: [shop.salaries]", "block: [shop.salaries, shop.customers]"))
        assert set(answers(process, "go on\n").values()) <= {"42501", "25P02"}
        output, complaints = process.communicate(timeout=PROGRAM_PATIENCE_S)
    assert (json.loads(output), complaints, process.returncode) == ({"what": "done"}, "", 0)


def answers(process: subprocess.Popen[str], command: str = "") -> dict[str, str]:
    """What a running program found in each of its ways; `command` makes it ask again."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(command)
    process.stdin.flush()
    found = {}
    while (line := json.loads(process.stdout.readline())) != {"what": "asked"}:
        found[line["what"]] = line["found"]
    return found


def change_policies(gate: Pgwarden, text: str) -> None:
    """Returns when they are in force."""
    before = gate.get("/version")[1]
    was = gate.policy_file.read_text("utf-8")
    gate.write_policies(text)
    if gate.policy_file.read_text("utf-8") != was:
        until(lambda: gate.get("/version")[1] != before, "the new policies")
