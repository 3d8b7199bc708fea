"""What the rules of `ada` and `wes` leave of a table, written as plain SQL by hand: the answers to compare with.

A client asks `shop.customers` through pgwarden and a subselect of that name on the bare server, with the same driver
in the same mode; the answers must be equal in everything that the driver shows.
"""

from __future__ import annotations

import re
from typing import Final

_CUSTOMERS: Final = """(
    SELECT id, tenant_id, external_id, name,
        left(email, 1) || '***@' || split_part(email, '@', 2) AS email,
        'REDACTED'::char(11) AS ssn,
        (repeat('*', length(phone) - 4) || right(phone, 4))::varchar(20) AS phone,
        date_trunc('year', birth_date)::date AS birth_date,
        loyalty_code, country,
        (floor(balance / 1000) * 1000)::numeric(12, 2) AS balance,
        is_active, '"REDACTED"'::jsonb AS preferences, '{}'::text[] AS tags, NULL::bytea AS signature, created_at
    FROM shop.customers WHERE tenant_id = 1)"""
_ORDERS: Final = "(SELECT * FROM shop.orders WHERE tenant_id = 1)"
_PAYMENTS: Final = "(SELECT id, tenant_id, order_id, method, amount, paid_at FROM shop.payments WHERE tenant_id = 1)"
_COPIES: Final = {"customers": " ".join(_CUSTOMERS.split()), "orders": _ORDERS, "payments": _PAYMENTS}
_TABLE: Final = re.compile(r"\b(FROM|JOIN) shop\.(customers|orders|payments)\b(?: AS (\w+))?")
COUNTS: Final = {"admin": 4000, "ada": 2224, "wes": 2224}  # customers that each may see


def on_the_copy(user: str, sql: str) -> str:
    """The statement that gives on the bare server what `sql` gives `user` through pgwarden; as many lines."""
    if user == "admin":
        return sql
    return _TABLE.sub(lambda found: f"{found[1]} {_COPIES[found[2]]} AS {found[3] or found[2]}", sql)
