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
import math
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

from tests.fix_pgwarden import Pgwarden

FOLDER = Path(__file__).parent
COLUMNS = "id, email, ssn, phone, birth_date, balance, preferences, tags, signature"
LAST_ID = 20
SAME_SQL = FOLDER / "same.sql"
PROGRAM_PATIENCE_S = 120.0
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


def assert_masked(program: Program, pgwarden: Pgwarden, user: str, scene: str) -> list[Line]:
    """Every path gives the same masked rows, or a refusal; nothing hidden is anywhere in the output."""
    output = program.play(pgwarden.dsn(user), scene)
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
    """What an analyst of tenant 1 may see of the first customers, made from the data itself; and what never."""
    with psycopg.connect(dsn) as connection:
        known = connection.execute(f"SELECT tenant_id, {COLUMNS} FROM shop.customers ORDER BY id".encode()).fetchall()
    visible = [_masked(row) for tenant, *row in known if tenant == 1 and row[0] <= LAST_ID]
    hidden = {value for _, _, email, ssn, phone, *_ in known for value in (email, ssn, phone) if value}
    assert leaked(" ".join(hidden), hidden) == hidden
    return visible, hidden


def _masked(row: Sequence[Any]) -> list[object]:
    number, email, _, phone, birth_date, balance, *_ = row
    name, _, host = email.partition("@")
    return [
        number,
        f"{name[0]}***@{host}",
        "REDACTED   ",
        phone and "*" * (len(phone) - 4) + phone[-4:],
        birth_date and f"{birth_date.year}-01-01",
        math.floor(balance / 1000) * 1000,
        "REDACTED",
        "{}",
        None,
    ]


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
