"""A client's TimeZone and DateStyle must not move a filter."""

import pytest

from policies.time_zones import session_dependent_parts

TYPES = {"ts": 1184, "tz": 1266, "local": 1114, "day": 1082, "name": 25, "tenant_id": 23}


@pytest.mark.parametrize(
    "expression",
    [
        "ts > '2024-01-01 00:00+00'",
        "ts > '2024-01-01 00:00:00.5 UTC'",
        "ts >= timestamptz '2024-01-01 00:00Z'",
        "ts BETWEEN '2024-01-01 00:00+00' AND now()",
        "ts > now() - interval '30 days'",
        "ts > (current_timestamp)",
        "ts > clock_timestamp()",
        "ts < 'infinity' AND tenant_id = {tenant_id}",
        "ts > {since}",
        "ts IS NULL OR NOT (ts = ts)",
        "(ts AT TIME ZONE 'UTC')::date = '2024-01-01'",
        "extract(epoch FROM ts) > 5",
        "local > '2024-01-01' AND day IN ('2024-01-01', '2024-01-02')",
        "day > (now() AT TIME ZONE 'UTC')::date",
        "local > now() AT TIME ZONE 'UTC' - interval '1 day'",
        "name > '01/02/2024' AND name = 'x'",
        "id IN (SELECT order_id FROM shop.payments)",
    ],
)
def test_what_holds_in_every_session(expression: str) -> None:
    assert session_dependent_parts(expression, TYPES) == []


@pytest.mark.parametrize(
    ("expression", "word"),
    [
        ("ts > '2024-01-01'", "TimeZone"),
        ("'2024-01-01 10:00' < ts", "TimeZone"),
        ("ts > '2024-01-01'::timestamptz", "TimeZone"),
        ("ts > timestamp '2024-01-01 00:00+00'", "TimeZone"),
        ("ts > date '2024-01-01'", "TimeZone"),
        ("ts BETWEEN '2024-01-01' AND now()", "TimeZone"),
        ("ts IN ('2024-01-01')", "TimeZone"),
        ("ts::date = '2024-01-01'", "AT TIME ZONE"),
        ("date_trunc('day', ts) = now()", "AT TIME ZONE"),
        ("extract(hour FROM ts) < 18", "AT TIME ZONE"),
        ("to_char(ts, 'YYYY') = '2024'", "AT TIME ZONE"),
        ("\"ts\"::text LIKE '2024%'", "AT TIME ZONE"),
        ("tz > '10:00'", "TimeZone"),
        ("day >= current_date", "TimeZone"),
        ("local > localtimestamp", "TimeZone"),
        ("local > now()", "TimeZone"),
        ("day >= clock_timestamp() - interval '1 day'", "TimeZone"),
        ("local < '2024-01-01 00:00+00'::timestamptz", "TimeZone"),
        ("day > '01/02/2024'", "DateStyle"),
        ("local > timestamp '1 Feb 2024'", "DateStyle"),
    ],
)
def test_what_a_client_could_move(expression: str, word: str) -> None:
    (problem, *_) = session_dependent_parts(expression, TYPES)
    assert word in problem
