"""Rates before a real server: all sessions and workers of a tenant share one bucket, and the refusal says when."""

from __future__ import annotations

import re
import time

import psycopg
import pytest

from tests.fix_pgwarden import POLICIES, MakePgwarden, Pgwarden, until

RATES = "rates:\n  - {tenant: acme, per_second: 2, burst: 10}\n"


def taken(instance: Pgwarden, user: str, attempts: int, **options: int) -> int:
    """How many statements of a new session pass."""
    refused: list[psycopg.errors.ConfigurationLimitExceeded] = []
    with psycopg.connect(instance.dsn(user), autocommit=True, **options) as connection:  # type: ignore[arg-type]
        for _ in range(attempts):
            try:
                connection.execute("SELECT 1")
            except psycopg.errors.ConfigurationLimitExceeded as error:
                refused.append(error)
    for one in refused:
        assert 'tenant "acme" may begin 2 statements a second, 10 at once' in str(one)
        assert re.search(r"policies\.yaml:\d+:5", one.diag.message_detail or "")
        assert re.fullmatch(r"Try again in \d+ ms\.", one.diag.message_hint or "")
    return attempts - len(refused)


@pytest.mark.parametrize("pool", [None, {"mode": "transaction"}], ids=["session", "pool"])
def test_a_tenants_bucket_is_one_for_all_its_users_and_workers(make_pgwarden: MakePgwarden, pool: object) -> None:
    text = POLICIES.read_text("utf-8") + RATES
    instance = make_pgwarden(policies=text, workers=2, pool=pool)
    begun = time.monotonic()
    passed = sum(taken(instance, user, 6, prepare_threshold=0) for user in ("ada", "tim", "wes", "ada"))
    assert 10 <= passed <= 10 + 2 * (time.monotonic() - begun) + 1
    assert taken(instance, "sam", 15) == 15
    assert instance.metric('pgwarden_limits_reached_total{limit="rate"}') == 24 - passed
    denied = until(lambda: instance.records("decision = 'deny' AND sqlstate = '53400'"), "the refusals' records")
    assert {tuple(record["rule_ids"]) for record in denied} == {("rates[0]",)}


def test_another_rate_counts_from_the_next_statement_on(make_pgwarden: MakePgwarden) -> None:
    plain = POLICIES.read_text("utf-8")
    instance = make_pgwarden(policies=plain + "rates: [{each: user, per_second: 0.001, burst: 1}]\n")
    with psycopg.connect(instance.dsn("ada"), autocommit=True) as connection:
        connection.execute("SELECT 1")
        with pytest.raises(psycopg.errors.ConfigurationLimitExceeded, match="user .ada. may begin 0.001"):
            connection.execute("SELECT 1")
        instance.write_policies(plain)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                connection.execute("SELECT 1")
                return
            except psycopg.errors.ConfigurationLimitExceeded:
                time.sleep(0.05)
    raise AssertionError("the rate still holds")
