"""`pgwarden key` over a real store: what it makes, what it refuses, and what stands when nobody can record it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from audit.store import Store
from audit.store_keys import StoreKeys
from proxy.cli import make_app

POLICIES = """
principals:
  - {user: ci, auth: {stored_keys: true}}
  - {user: ada}
prices: {per_second: 1}
tiers: {free: {statements_per_month: 10, cost_per_month: 2.5}}
"""
Run = Callable[..., Coroutine[Any, Any, Result]]


@pytest.fixture
def run(tmp_path: Path, store_dsn: str) -> Run:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "p.yaml").write_text(POLICIES)
    config = tmp_path / "pgwarden.yaml"
    databases = "databases: {shop: {upstream: 'postgresql://u@127.0.0.1:1/d'}}"
    config.write_text(f"{databases}\naudit: {{directory: journal, store: '{store_dsn}'}}\n")

    async def command(*arguments: str) -> Result:
        given = ["key", *arguments, "--config", str(config)]
        return await asyncio.to_thread(CliRunner().invoke, make_app("key"), given)

    return command


async def test_making_listing_and_revoking(run: Run, store_dsn: str) -> None:
    made = json.loads((await run("create", "--user", "ci", "--tier", "free", "--json")).stdout)
    text = (await run("create", "--user", "ci", "--tier", "free", "--owner", "[red]", "--expires", "9d")).stdout
    other = dict(line.split(":", 1) for line in text.splitlines())
    assert made["expires"] is None
    assert other["key"].strip().startswith(other["id"].strip() + "_")
    table = (await run("list", "--user", "ci")).stdout
    assert f"{made['id']}  ci    free  -" in table
    assert "[red]" in table
    assert "0 of 10" in table
    assert "0.00 of 2.50 USD" in table
    assert made["key"] not in table
    assert (await run("revoke", made["id"])).stdout == f"{made['id']} is revoked\n"
    rows = [json.loads(line) for line in (await run("list", "--json", "--all")).stdout.splitlines()]
    assert [row["state"] for row in rows] == ["revoked", "active"]
    assert made["id"] not in (await run("list")).stdout
    assert (await run("list", "--user", "ada", "--json")).stdout == ""
    store = Store(store_dsn)
    async with store.connected("pgwarden_auditor") as connection:
        events = await connection.fetch("SELECT shape, sql_text FROM pgwarden.records ORDER BY sequence")
    assert [event["shape"] for event in events] == ["key_created", "key_created", "key_revoked"]
    assert events[2]["sql_text"] == f"API key {made['id']} is revoked: no reason given"
    assert made["key"][13:] not in str([dict(event) for event in events])


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("--user nobody --tier free", 1, "no principal has user 'nobody'"),
        ("--user ada --tier free", 1, "user 'ada' can't log in by keys: add auth: {stored_keys: true} at p.yaml:4:5"),
        ("--user ci --tier pro", 1, "tier 'pro' isn't defined under 'tiers' of the policies (defined: free)"),
        ("--user ci --tier gold", 2, "'gold' is not one of"),
        ("--user ci", 2, "Missing option '--tier'"),
        ("--user ci --tier free --expires 2020-01-01", 2, "--expires is past"),
        ("--user ci --tier free --expires 2027-02-30", 2, "--expires must be a day"),
        ("--user ci --tier free --expires 0d", 2, "--expires must be a day"),
        ("--user ci --tier free --owner a\x07b", 2, "--owner must be printable"),
    ],
)
async def test_a_key_that_nobody_could_use_is_not_made(
    run: Run, store_dsn: str, arguments: str, code: int, message: str
) -> None:
    result = await run("create", *arguments.split(" "))
    assert (result.exit_code, message in result.output) == (code, True), result.output
    await Store(store_dsn).migrate()
    assert (await StoreKeys(Store(store_dsn)).listed(date(2026, 11, 1)))[0] == []


@pytest.mark.parametrize(("key", "code"), [("pgw_aaaaaaaa", 1), ("pgw_", 2), ("'; drop table x", 2)])
async def test_what_cannot_be_revoked(run: Run, key: str, code: int) -> None:
    assert (await run("revoke", key)).exit_code == code


async def test_a_key_is_revoked_also_where_nothing_can_be_recorded_and_made_only_where_it_can(
    run: Run, tmp_path: Path
) -> None:
    made = json.loads((await run("create", "--user", "ci", "--tier", "free", "--json")).stdout)
    (tmp_path / "journal").rename(tmp_path / "elsewhere")
    (tmp_path / "journal").write_text("a file")
    revoked = await run("revoke", made["id"])
    assert revoked.exit_code == 0
    assert "the revocation stands, but could not be recorded" in revoked.output
    refused = await run("create", "--user", "ci", "--tier", "free")
    assert (refused.exit_code, refused.output) == (1, "the journal folder can't be used: File exists\n")
    rows = [json.loads(line) for line in (await run("list", "--json", "--all")).stdout.splitlines()]
    assert [row["state"] for row in rows] == ["revoked"]
