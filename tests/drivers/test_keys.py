"""API keys of the store before a real server: made, used, counted, revoked, and what holds while the store is away."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest

from audit.api_keys import KeyUse, NewKey
from audit.api_keys import make_key as make_new
from audit.store import Store
from audit.store_keys import StoreKeys
from policies.tiers import month_of
from tests.fix_pgwarden import POLICIES, MakePgwarden, Pgwarden, until

Found = TypeVar("Found")

PEOPLE = (
    "principals:\n"
    "  - {user: ci, tenant: acme, roles: [admin], auth: {stored_keys: true}}\n"
    "  - {user: etl, tenant: acme, roles: [admin], auth: {stored_keys: true}}\n"
)
TIERS = (
    "tiers:\n"
    "  free: {statements_per_month: 5}\n"
    "  pro: {cost_per_month: 0.000001}\n"
    "  premium: {per_second: 0.01, burst: 3}\n"
    "  enterprise: {}\n"
)
TEXT = POLICIES.read_text("utf-8").replace("principals:\n", PEOPLE) + TIERS


@pytest.fixture
def local(make_pgwarden: MakePgwarden, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Starts an instance behind a unix socket, where keys are taken without TLS."""

    def make(**options: Any) -> Pgwarden:
        folder = tmp_path_factory.mktemp("s")
        options = {"policies": TEXT, "keys": {"refresh": "100ms", "max_age": "1h"}} | options
        instance = make_pgwarden(is_started=False, **options)
        instance.socket_folder = folder  # type: ignore[attr-defined]
        instance.configuration["listen"] = [f"unix:{folder}", f"{instance.host}:0"]
        instance.start()
        return instance

    return make


def connect(instance: Pgwarden, key: str, user: str = "ci") -> psycopg.Connection[Any]:
    folder: Path = instance.socket_folder  # type: ignore[attr-defined]
    return psycopg.connect(host=str(folder), port=6432, user=user, password=key, dbname="shop", autocommit=True)


def asked(instance: Pgwarden, ask: Callable[[StoreKeys], Awaitable[Found]]) -> Found:
    """What the commands do, without a process of its own each time."""

    async def run() -> Found:
        store = Store(instance.store_dsn)
        try:
            return await ask(StoreKeys(store))
        finally:
            await store.close()

    return asyncio.run(run())


def make_key(instance: Pgwarden, tier: str = "enterprise", user: str = "ci") -> NewKey:
    new = make_new(os.urandom)
    assert asked(instance, lambda keys: keys.make(new, user=user, tier=tier, owner="", by="me", expires_at=None))
    return new


def used(instance: Pgwarden, key: str) -> KeyUse | None:
    month = month_of(datetime.now(UTC).date())
    return asked(instance, lambda keys: keys.listed(month))[1].get(key)


def listed(instance: Pgwarden) -> dict[str, dict[str, Any]]:
    done = instance.run("key", "list", "--all", "--json")
    assert done.returncode == 0, done.stderr
    return {row["id"]: row for row in map(json.loads, done.stdout.splitlines())}


def logged_in(instance: Pgwarden, key: str, user: str = "ci") -> psycopg.Connection[Any]:
    """Once the sidecar knows of the key."""

    def attempt() -> psycopg.Connection[Any] | None:
        try:
            return connect(instance, key, user)
        except psycopg.OperationalError:
            return None

    return until(attempt, "the key's being known", 10)


def test_a_key_is_made_used_revoked_and_all_of_it_recorded(local: Any) -> None:
    instance = local(workers=2)
    given = ("--user", "ci", "--tier", "enterprise", "--owner", "data [team]", "--expires", "30d", "--json")
    made = json.loads(instance.run("key", "create", *given).stdout)
    with logged_in(instance, made["key"]) as idle, connect(instance, made["key"]) as busy:
        assert idle.execute("SELECT current_setting('server_version_num')").fetchone()
        failure: list[Exception] = []
        sleeper = threading.Thread(target=lambda: _run(busy, "SELECT pg_sleep(60)", failure))
        sleeper.start()
        begun = time.monotonic()
        done = instance.run("key", "revoke", made["id"], "--reason", "lost")
        assert done.stdout == f"{made['id']} is revoked\n"
        sleeper.join(10)
        with pytest.raises(psycopg.OperationalError, match=f"API key {made['id']} has been revoked"):
            idle.execute("SELECT 1")
        assert time.monotonic() - begun < 10
        assert f"API key {made['id']} has been revoked" in str(failure[0])
    with pytest.raises(psycopg.OperationalError, match="has been revoked"):
        connect(instance, made["key"])
    until(lambda: not _sleepers(instance), "the end of what ran")
    row = listed(instance)[made["id"]]
    assert (row["state"], row["owner"], row["reason"]) == ("revoked", "data [team]", "lost")
    assert "data [team]" in instance.run("key", "list", "--all").stdout
    assert "pgw_" not in instance.run("key", "list").stdout
    assert instance.run("key", "revoke", made["key"]).stdout == f"{made['id']} was revoked before\n"
    shapes = {"key_created", "key_revoked", "key_learned", "key_revocation_learned", "key_session_ended"}
    events = until(lambda: _all_of(instance.records("stage = 'event'"), shapes), "the events")
    texts = {record["shape"]: record["sql_text"] for record in events if record["shape"] in shapes}
    assert texts["key_created"].endswith("is made for user ci, tier enterprise, owner data [team]")
    assert "owner data [team], was made by" in texts["key_learned"]
    assert texts["key_revoked"] == f"API key {made['id']} is revoked: lost"
    assert texts["key_revocation_learned"].endswith(": lost")
    logins = [record["sql_text"] for record in instance.records("shape = 'login'")]
    assert f"login by API key {made['id']}" in logins
    assert f"login failed: API key {made['id']} has been revoked" in logins
    whole = json.dumps(instance.records(), default=str) + instance.log_text
    assert made["key"] not in whole
    assert instance.run("audit", "verify").returncode == 0


def _run(connection: psycopg.Connection[Any], sql: str, failure: list[Exception]) -> None:
    try:
        connection.execute(sql.encode())
    except psycopg.Error as error:
        failure.append(error)


def _sleepers(instance: Pgwarden) -> list[Any]:
    with psycopg.connect(instance.server.dsn(instance.database)) as connection:
        query = "SELECT query FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)' AND state = 'active'"
        return connection.execute(query).fetchall()


def _all_of(events: list[dict[str, Any]], shapes: set[str]) -> list[dict[str, Any]]:
    return events if shapes <= {event["shape"] for event in events} else []


def test_a_months_statements_hold_over_workers_restarts_and_kills(local: Any) -> None:
    instance = local(workers=2, pool={"mode": "transaction"})
    made = make_key(instance, "free")
    passed = 0
    logged_in(instance, made.text).close()
    for ending in (None, instance.stop, instance.kill):
        if ending is not None:
            ending()
            instance.start()
        for _ in range(2):
            with logged_in(instance, made.text) as connection:
                passed += _passing(connection)
    assert passed == 5
    with logged_in(instance, made.text) as connection, pytest.raises(psycopg.Error) as caught:
        connection.execute("SELECT 1")
    assert caught.value.sqlstate == "53400"
    assert f"API key {made.id} has begun its 5 statements of" in str(caught.value)
    assert "Rule tiers.free at policies.yaml" in (caught.value.diag.message_detail or "")
    assert "-01 00:00 UTC on." in (caught.value.diag.message_hint or "")
    until(lambda: (use := used(instance, made.id)) is not None and use.statements == 5, "the store's count")
    assert instance.metric('pgwarden_limits_reached_total{limit="key_quota"}') >= 1
    assert instance.metric("pgwarden_api_keys") == 1
    assert instance.metric("pgwarden_api_keys_age_seconds") < 60


def _passing(connection: psycopg.Connection[Any]) -> int:
    try:
        connection.execute("SELECT 1")
    except psycopg.errors.ConfigurationLimitExceeded:
        return 0
    return 1


def test_a_months_cost_and_a_tiers_rate(local: Any) -> None:
    instance = local()
    costly, quick = make_key(instance, "pro"), make_key(instance, "premium", "etl")
    with logged_in(instance, costly.text) as connection:
        connection.execute("SELECT pg_sleep(0.1)")
        with pytest.raises(psycopg.errors.ConfigurationLimitExceeded, match="has used up its 0.000001 USD of"):
            connection.execute("SELECT 1")
    with logged_in(instance, quick.text, "etl") as connection:
        assert [_passing(connection) for _ in range(5)] == [1, 1, 1, 0, 0]
    outcome = instance.records_of("pg_sleep(0.1)")[-1]
    use = until(lambda: (found := used(instance, costly.id)) and found.cost_nano and found, "the cost")
    assert use.cost_nano == int(outcome["cost"].scaleb(9))


def test_who_may_not_have_a_key_and_who_does_not_get_in(local: Any) -> None:
    instance = local()
    done = instance.run("key", "create", "--user", "ada", "--tier", "free")
    assert (done.returncode, "user 'ada' can't log in by keys" in done.stderr) == (1, True)
    made = make_key(instance)
    logged_in(instance, made.text).close()
    for user, key in [("etl", made.text), ("ci", made.text + "0"), ("ci", made.id), ("ci", made.sha256)]:
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            connect(instance, key, user)
    with pytest.raises(psycopg.OperationalError, match="over TLS only"):
        psycopg.connect(instance.dsn("ci", made.text))


def test_while_the_store_is_away_known_keys_count_for_a_while(local: Any) -> None:
    instance = local()
    made = make_key(instance)
    logged_in(instance, made.text).close()
    instance.kill()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        away = f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/none"
        instance.configuration["audit"] = instance.configuration["audit"] | {"store": away}
        instance.start(is_ready=False)
        with connect(instance, made.text) as connection:
            connection.execute("SELECT 1")
        assert instance.readiness()[1]["keys"] == "ok"
        instance.stop()
        kept = instance.folder / "journal" / "keys.json"
        snapshot = json.loads(kept.read_bytes())
        assert made.text not in kept.read_text()
        kept.write_text(json.dumps(snapshot | {"at_s": time.time() - 7200}))
        kept.with_name("key-quotas").unlink()
        instance.start(is_ready=False)
        with pytest.raises(psycopg.OperationalError, match="the API key of user .ci. can't be checked now"):
            connect(instance, made.text)
        assert "API keys were read 72" in instance.readiness()[1]["keys"]
