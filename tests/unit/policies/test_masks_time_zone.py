"""Masks of moments don't depend on the session's time zone."""

import psycopg

from policies.masks import sql_form
from policies.model import MaskSpec
from tests.fix_servers import TestServer


def test_a_shifted_time_zone_tells_nothing_of_a_truncated_moment(server: TestServer) -> None:
    """Were it truncated in the session's zone, the zone at which the answer jumps would tell the hour and minute."""
    expression = sql_form(MaskSpec("truncate", (("unit", "day"),)), 1184, "timestamp with time zone", "moment", {})
    question = (
        f"SELECT extract(epoch FROM {expression}) FROM (SELECT timestamptz '2024-05-05 14:37:00+00' AS moment) AS m"
    )
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        seen = set()
        for zone in ("UTC", "<+14:37>-14:37", "<-14:37>+14:37", "Asia/Tokyo", "<+09:23>-09:23"):
            connection.execute("SELECT set_config('TimeZone', %s, false)", (zone,))
            seen.add(connection.execute(question.encode()).fetchone())
    assert len(seen) == 1
