"""What the rules of `ada` and `wes` leave of a table, written as plain SQL by hand: the answers to compare with.

A client asks `shop.customers` through pgwarden and `CUSTOMERS` of the bare server, with the same driver in the same
mode; the answers must be equal in everything that the driver shows.
"""

from __future__ import annotations

from typing import Final

CUSTOMERS: Final = """(
    SELECT id, tenant_id, external_id, name,
        left(email, 1) || '***@' || split_part(email, '@', 2) AS email,
        'REDACTED'::char(11) AS ssn,
        (repeat('*', length(phone) - 4) || right(phone, 4))::varchar(20) AS phone,
        date_trunc('year', birth_date)::date AS birth_date,
        loyalty_code, country,
        (floor(balance / 1000) * 1000)::numeric(12, 2) AS balance,
        is_active, '"REDACTED"'::jsonb AS preferences, '{}'::text[] AS tags, NULL::bytea AS signature, created_at
    FROM shop.customers WHERE tenant_id = 1) AS customers"""
ORDERS: Final = "(SELECT * FROM shop.orders WHERE tenant_id = 1) AS orders"
PAYMENTS: Final = """(
    SELECT id, tenant_id, order_id, method, amount, paid_at FROM shop.payments WHERE tenant_id = 1) AS payments"""
COUNTS: Final = {"admin": 4000, "ada": 2224, "wes": 2224}  # customers that each may see


def on_the_copy(user: str, sql: str) -> str:
    """The statement that gives on the bare server what `sql` gives `user` through pgwarden."""
    if user == "admin":
        return sql
    for table, copy in (("customers", CUSTOMERS), ("orders", ORDERS), ("payments", PAYMENTS)):
        for keyword in ("FROM", "JOIN"):
            sql = sql.replace(f"{keyword} shop.{table}", f"{keyword} {copy}")
    return sql
