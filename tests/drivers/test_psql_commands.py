"""psql's commands that do more than ask once: \\copy, \\watch, \\gdesc, \\gexec, \\bind, \\crosstabview, cursors of
FETCH_COUNT, -1, ON_ERROR_ROLLBACK, SIGINT. Output as psql gives it on the sanitized copy.
"""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Final

import psycopg
import pytest

from tests.drivers.interrupt import endless, wait_until_running
from tests.drivers.sanitized import COUNTS, on_the_copy
from tests.drivers.test_psql import psql, rows
from tests.fix_pgwarden import PATIENCE_S, Pgwarden

EVERYBODY = ["admin", "ada", "wes"]
GRANTED = ["admin", "wes"]
COLUMNS = "id, name, email, ssn, phone, birth_date, balance, preferences, tags, signature, created_at"
CUSTOMERS = f"SELECT {COLUMNS} FROM shop.customers ORDER BY id"


def assert_same(pgwarden: Pgwarden, user: str, script: str, *arguments: str) -> str:
    """What a script prints through pgwarden, which is what it prints on the copy."""
    through = psql(pgwarden, pgwarden.dsn(user), *arguments, "-f", "-", stdin=script)
    direct = psql(pgwarden, pgwarden.direct_dsn, *arguments, "-f", "-", stdin=on_the_copy(user, script))
    assert (through.stdout, through.stderr, through.returncode) == (direct.stdout, direct.stderr, direct.returncode)
    return through.stdout


@pytest.mark.parametrize(
    ("script", "mark"),
    [
        pytest.param(f"{CUSTOMERS} LIMIT 20;", "(20 rows)", id="semicolon"),
        pytest.param(f"{CUSTOMERS} LIMIT 20 \\g (format=csv)\n", "id,name,email", id="g"),
        pytest.param(f"{CUSTOMERS} LIMIT 3 \\gx\n", "RECORD 3", id="gx"),
        pytest.param(f"{CUSTOMERS} LIMIT 1 \\gset got_\n\\echo :got_email :got_ssn\n", "@", id="gset"),
        pytest.param(f"{CUSTOMERS} \\gdesc\n", "birth_date  | date", id="gdesc"),
        pytest.param(
            "SELECT format($$SELECT %L, count(*) FROM shop.customers$$, n) FROM generate_series(1, 3) AS n \\gexec\n",
            "2        |",
            id="gexec",
        ),
        pytest.param(
            "SELECT status, is_active, count(*) FROM shop.orders AS o JOIN shop.customers AS c "
            "ON c.id = customer_id GROUP BY 1, 2 ORDER BY 1, 2 \\crosstabview\n",
            "returned",
            id="crosstabview",
        ),
        pytest.param(
            "\\set low 5\n\\set name 'O''Reilly'\nSELECT :'name', count(*) FROM shop.customers WHERE id < :low;",
            "O'Reilly",
            id="variables",
        ),
        pytest.param("SELECT 1 \\; SELECT email FROM shop.customers WHERE id = 1 \\; SELECT 3;", "3", id="together"),
        pytest.param("\\timing off\n\\pset null '-'\n\\x\n" + CUSTOMERS + " LIMIT 2;", "signature", id="pset"),
        pytest.param("\\encoding\n", "UTF8", id="encoding"),
        pytest.param("SELECT 1/0;\n\\errverbose\n\\echo :SQLSTATE :LAST_ERROR_SQLSTATE\n", "22012", id="errverbose"),
    ],
)
@pytest.mark.parametrize("user", EVERYBODY)
def test_ways_to_ask(pgwarden: Pgwarden, user: str, script: str, mark: str) -> None:
    assert mark in assert_same(pgwarden, user, script).replace("\\N", "")


@pytest.mark.parametrize("user", EVERYBODY)
def test_watch(pgwarden: Pgwarden, user: str) -> None:
    if pgwarden.server.version.startswith("15"):
        pytest.skip("psql 15's \\watch has no count, so it never ends")
    command = "SELECT count(*) FROM shop.customers \\watch c=3 i=0.05\n"
    shown = rows(psql(pgwarden, pgwarden.dsn(user), "-At", "-f", "-", stdin=command))
    assert [line for line in shown if line.isdecimal()] == [str(COUNTS[user])] * 3


@pytest.mark.parametrize("user", EVERYBODY)
def test_bind(pgwarden: Pgwarden, user: str) -> None:
    if pgwarden.server.version.startswith("15"):
        pytest.skip("psql 15 has no \\bind")
    script = "SELECT $1::int + 1, email FROM shop.customers WHERE id = $2 \\bind 4 1 \\g\n"
    named = "SELECT email, ssn FROM shop.customers WHERE id = $1 \\parse one\n"
    named += "\\bind_named one 1 \\g\n\\bind_named one 3 \\g\n\\close_prepared one\n\\bind_named one 3 \\g\n"
    pipeline = "\\startpipeline\nSELECT email FROM shop.customers WHERE id = $1 \\bind 1 \\sendpipeline\n"
    pipeline += "SELECT 1 / 0 \\bind \\sendpipeline\nSELECT 2 \\bind \\sendpipeline\n\\syncpipeline\n"
    pipeline += "SELECT count(*) FROM shop.customers \\bind \\sendpipeline\n\\endpipeline\n"
    assert_same(pgwarden, user, script)
    assert "@" in assert_same(pgwarden, user, named)
    assert str(COUNTS[user]) in assert_same(pgwarden, user, pipeline)


@pytest.mark.parametrize("user", GRANTED)
def test_fetch_count_reads_by_cursors(pgwarden: Pgwarden, user: str) -> None:
    """psql 18 takes libpq's chunks instead; 15 declares a cursor named _psql_cursor."""
    assert_same(
        pgwarden, user, f"\\set FETCH_COUNT 100\n{CUSTOMERS};\nBEGIN;\n{CUSTOMERS} LIMIT 250;\nCOMMIT;\n", "-At"
    )


@pytest.mark.parametrize("options", ["", "(FORMAT csv, HEADER)", "(FORMAT binary)", "(DELIMITER '|', NULL 'none')"])
@pytest.mark.parametrize("user", GRANTED)
def test_copy_out(pgwarden: Pgwarden, user: str, options: str, tmp_path: Path) -> None:
    through, direct = tmp_path / "through", tmp_path / "direct"
    for dsn, file, sql in (
        (pgwarden.dsn(user), through, CUSTOMERS),
        (pgwarden.direct_dsn, direct, " ".join(on_the_copy(user, CUSTOMERS).split())),
    ):
        assert rows(psql(pgwarden, dsn, "-c", f"\\copy ({sql}) TO '{file}' {options}")) == [f"COPY {COUNTS[user]}"]
    assert through.read_bytes() == direct.read_bytes()


@pytest.mark.parametrize("user", GRANTED)
def test_copy_of_a_table_to_the_output_and_to_a_program(pgwarden: Pgwarden, user: str, tmp_path: Path) -> None:
    query = on_the_copy(user, "SELECT id, status, total FROM shop.orders")
    copy = f"COPY ({query}) TO STDOUT (FORMAT csv)"
    expected = psql(pgwarden, pgwarden.direct_dsn, "-c", copy).stdout
    for target in ("stdout", "pstdout", f"program 'cat > {tmp_path / 'out'}'"):
        command = f"\\copy shop.orders (id, status, total) TO {target} (FORMAT csv)"
        done = psql(pgwarden, pgwarden.dsn(user), "-c", command)
        assert (done.stderr, done.returncode) == ("", 0)
        if "stdout" in target:
            assert done.stdout == expected
    assert (tmp_path / "out").read_text() == expected


@pytest.mark.parametrize("user", GRANTED)
def test_copy_in(pgwarden: Pgwarden, user: str, tmp_path: Path) -> None:
    file = tmp_path / "lines.csv"
    file.write_text('1,one\n2,\n3,"a ""b"" c"\n')
    script = f"""
        CREATE TEMP TABLE loaded (a int, b text);
\\copy loaded FROM '{file}' (FORMAT csv)
\\copy loaded (a) FROM program 'seq 10 12'
COPY loaded FROM stdin;
20\ttwenty
\\.
\\copy loaded FROM stdin
21\t\\N
\\.
SELECT * FROM loaded ORDER BY a;
\\copy loaded FROM '{tmp_path / "none"}'
\\copy loaded FROM program 'echo x'
TABLE loaded;
"""
    assert "twenty" in assert_same(pgwarden, user, script)


def test_copy_in_where_rows_are_filtered(pgwarden: Pgwarden, tmp_path: Path) -> None:
    """No filter can be held against rows that are copied in: refused, and psql goes on. Other tables take them."""
    orders, products = tmp_path / "orders.csv", tmp_path / "products.csv"
    orders.write_text("1,1,2025-01-01\n")
    products.write_text("C-1,copied,decor,5,1\n")
    script = f"""
\\copy shop.orders (tenant_id, customer_id, ordered_at) FROM '{orders}' (FORMAT csv)
BEGIN;
\\copy shop.products (sku, name, category, price, weight_kg) FROM '{products}' (FORMAT csv)
SELECT name, price FROM shop.products WHERE sku = 'C-1';
ROLLBACK;
"""
    done = psql(pgwarden, pgwarden.dsn("wes"), "-At", "-f", "-", stdin=script)
    assert "COPY FROM can't check rows against the filter of shop.orders (rule pgwarden/copy)" in done.stderr
    assert done.stdout.splitlines() == ["BEGIN", "COPY 1", "copied|5.00", "ROLLBACK"]


@pytest.mark.parametrize("user", EVERYBODY)
def test_one_transaction(pgwarden: Pgwarden, user: str) -> None:
    """-1 and -c: several texts in one transaction, ended at the first failure."""
    for texts in (
        ("SELECT 1", "SELECT email FROM shop.customers WHERE id = 1"),
        ("SELECT 1", "SELECT 1/0", "SELECT 3"),
    ):
        found = []
        for dsn, edit in ((pgwarden.dsn(user), "admin"), (pgwarden.direct_dsn, user)):
            commands = [part for text in texts for part in ("-c", on_the_copy(edit, text))]
            done = psql(pgwarden, dsn, "-At", "-1", *commands)
            found.append((done.stdout, done.stderr, done.returncode))
        assert found[0] == found[1]


@pytest.mark.parametrize("user", EVERYBODY)
def test_several_statements_in_one_command(pgwarden: Pgwarden, user: str) -> None:
    script = "SELECT 1; SELECT count(*) FROM shop.customers; SELECT 'three'"
    assert rows(psql(pgwarden, pgwarden.dsn(user), "-At", "-c", script)) == ["1", str(COUNTS[user]), "three"]


@pytest.mark.parametrize("user", EVERYBODY)
def test_on_error_rollback(pgwarden: Pgwarden, user: str) -> None:
    """psql sets a savepoint before each statement of a transaction."""
    script = "\\set ON_ERROR_ROLLBACK on\nBEGIN;\nSELECT 1/0;\nSELECT count(*) FROM shop.customers;\n"
    assert str(COUNTS[user]) in assert_same(pgwarden, user, script + "SELECT 'still here';\nCOMMIT;\n")
    if user != "admin":
        refused = "\\set ON_ERROR_ROLLBACK on\nBEGIN;\nSELECT * FROM shop.salaries;\nSELECT 'still here';\nCOMMIT;\n"
        done = psql(pgwarden, pgwarden.dsn(user), "-At", "-f", "-", stdin=refused)
        assert done.stdout.splitlines() == ["BEGIN", "still here", "COMMIT"]


@pytest.mark.parametrize("user", ["ada", "wes"])
def test_passwords_cannot_be_set(pgwarden: Pgwarden, user: str) -> None:
    """\\password reads password_encryption and sends ALTER USER with a verifier."""
    done = psql(pgwarden, pgwarden.dsn(user), "-f", "-", stdin="\\password gateway\nnew\nnew\nSELECT 'still here';\n")
    assert "still here" in done.stdout
    with psycopg.connect(pgwarden.direct_dsn) as direct:
        assert direct.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("user", EVERYBODY)
def test_an_interrupt_cancels(pgwarden: Pgwarden, user: str) -> None:
    mark = f"interrupted by {user}"
    program = pgwarden.server.embedded.installation.program("psql")
    command = [str(program), "-X", "-At", "-f", "-", pgwarden.dsn(user)]
    environment = {**os.environ, "PSQLRC": os.devnull}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, **pipes, text=True) as process:  # type: ignore[call-overload]
        process.stdin.write(f"{endless(mark)};\n")
        process.stdin.flush()
        wait_until_running(pgwarden, mark)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate("SELECT 'after';\n", timeout=PATIENCE_S)
    assert "canceling statement due to user request" in errors


DESCRIBE: Final = r"""
    \d \d+:shop.events \d+:shop.customer_totals \dt+:shop.* \di+:shop.* \dv+:shop.* \ds+:shop.* \dn+ \df+:shop.*
    \dT+:shop.* \dp:shop.* \dPt:shop.* \dE \dm \dx \du+ \dg+ \l \da:count \db \dc \dC \dd \ddp \dD \des \dew \det \dF
    \dFd \dFp \dFt \dL \do:|| \dO \dRp \dRs \dy \dX \dA \dAc \dAf \dAo \dAp \z:shop.* \dconfig:work_mem \conninfo
    \sf:shop.safe_report
"""
# Sizes of everything, passwords, other users' settings.
REFUSED: Final = r"\l+ \db+ \deu \drds"


def test_every_command_that_describes(pgwarden: Pgwarden) -> None:
    """In one session under a policy: answered without a word of what is blocked, or refused by a rule of pgwarden's."""
    script = "".join(command.replace(":", " ") + "\n" for command in DESCRIBE.split())
    done = psql(pgwarden, pgwarden.dsn("ada"), "-f", "-", stdin=script)
    complaints = [line for line in done.stderr.splitlines() if "Did not find any" not in line]
    assert (complaints, done.returncode) == ([], 0)
    assert "customers" in done.stdout
    assert not [word for word in ("salaries", "card_number", "BEGIN ATOMIC") if word in done.stdout]
    for command in REFUSED.split():
        done = psql(pgwarden, pgwarden.dsn("ada"), "-c", command.replace(":", " "))
        assert "(rule pgwarden/" in done.stderr, command
