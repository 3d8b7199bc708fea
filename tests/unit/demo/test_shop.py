"""The sample shop holds what the documentation and the tour say of it, the same every time."""

import psycopg

from proxy.demo.shop import create_shop, gateway_password
from tests.fix_servers import TestServer

DIGEST = """
SELECT md5(string_agg(md5(t::text), '' ORDER BY md5(t::text))) FROM (
    SELECT c::text AS t FROM shop.customers c UNION ALL SELECT o::text FROM shop.orders o
    UNION ALL SELECT i::text FROM shop.order_items i UNION ALL SELECT p::text FROM shop.payments p) x
"""


def test_the_shop_is_large_enough_and_has_two_tenants(server: TestServer) -> None:
    with psycopg.connect(server.dsn(server.shop())) as connection:
        tables = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'shop'::regnamespace AND relkind IN ('r', 'p')"
        ).fetchall()
        rows = sum(connection.execute(f"SELECT count(*) FROM shop.{name}").fetchone()[0] for (name,) in tables)
        tenants = connection.execute("SELECT tenant_id, count(*) FROM shop.customers GROUP BY 1 ORDER BY 1").fetchall()
    assert len(tables) >= 6
    assert rows >= 50_000
    assert [tenant for tenant, _ in tenants] == [1, 2]
    assert all(count > 100 for _, count in tenants)


def test_two_shops_hold_the_same_rows(server: TestServer) -> None:
    digests = set()
    for database in (server.shop(), server.empty()):
        create_shop(server.dsn(database), gateway_password(server.embedded))
        with psycopg.connect(server.dsn(database), options="-c timezone=UTC") as connection:
            digests.add(connection.execute(DIGEST).fetchone())
    assert len(digests) == 1


def test_it_is_made_once(server: TestServer) -> None:
    database = server.empty()
    assert create_shop(server.dsn(database), gateway_password(server.embedded))
    assert not create_shop(server.dsn(database), gateway_password(server.embedded))


def test_the_gateway_reads_and_is_no_superuser(server: TestServer) -> None:
    with psycopg.connect(server.gateway_dsn(server.shop())) as connection:
        row = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
        assert row == (False,)
        count = connection.execute("SELECT count(*) FROM shop.customers").fetchone()
        assert count is not None
        assert count[0] > 1000
