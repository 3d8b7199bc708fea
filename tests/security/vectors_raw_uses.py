"""What `use` lets a statement do with real values, and how it may be asked for more. See test_raw_uses."""

from __future__ import annotations

# What pia asks, and what a superuser would ask to get the same rows: `use` makes them true.
TRUE: tuple[tuple[str, str, str], ...] = (
    (
        "equal to a value",
        "SELECT id FROM customers WHERE ssn = '@[own customer 3 ssn]'",
        "SELECT id FROM shop.customers WHERE tenant_id = 1 AND ssn = '@[own customer 3 ssn]'",
    ),
    (
        "a hidden row's value",
        "SELECT count(*) FROM customers WHERE ssn = '@[hidden customer 1 ssn]'",
        "SELECT 0::bigint",
    ),
    (
        "shown and compared",
        "SELECT id, ssn FROM customers WHERE ssn IN ('@[own customer 3 ssn]', 'none') OR ssn IS NULL",
        "SELECT id, CASE WHEN ssn IS NULL THEN NULL ELSE 'REDACTED' END FROM shop.customers"
        " WHERE tenant_id = 1 AND (ssn = '@[own customer 3 ssn]' OR ssn IS NULL)",
    ),
    (
        "a number, and a star",
        "SELECT c.* FROM (SELECT 1) AS one, customers c WHERE points = @[own customer 2 points] AND false",
        "SELECT c.* FROM shop.customers c WHERE false",
    ),
    (
        "unequal",
        "SELECT count(*) FROM customers WHERE ssn <> ALL ('{@[own customer 3 ssn],x}'::text[])",
        "SELECT count(*) FROM shop.customers WHERE tenant_id = 1 AND ssn <> '@[own customer 3 ssn]'",
    ),
    (
        "groups",
        "SELECT ssn, count(*) FROM customers GROUP BY ssn",
        "SELECT CASE WHEN ssn IS NULL THEN NULL ELSE 'REDACTED' END, count(*)"
        " FROM shop.customers WHERE tenant_id = 1 GROUP BY ssn",
    ),
    (
        "groups by ordinal, sorted by their size",
        "SELECT points AS p, count(*) FROM customers GROUP BY 1 HAVING count(*) > 0 ORDER BY 2 DESC",
        "SELECT CASE WHEN points IS NULL THEN NULL ELSE 7::bigint END, count(*)"
        " FROM shop.customers WHERE tenant_id = 1 GROUP BY points",
    ),
    (
        "how many there are",
        "SELECT city, count(DISTINCT ssn), count(credit_limit) FROM customers GROUP BY city",
        "SELECT city, count(DISTINCT ssn), count(credit_limit) FROM shop.customers WHERE tenant_id = 1 GROUP BY city",
    ),
    (
        "a join of two masked columns",
        "SELECT a.id, b.ssn FROM customers a JOIN customers b ON a.ssn = b.ssn",
        "SELECT id, 'REDACTED' FROM shop.customers WHERE tenant_id = 1 AND ssn IS NOT NULL",
    ),
    (
        "a join of two tables",
        "SELECT count(*) FROM customers c LEFT JOIN payments p ON c.ssn = p.card_number",
        "SELECT count(*) FROM shop.customers WHERE tenant_id = 1",
    ),
    (
        "a join by USING",
        "SELECT a.email, b.id FROM customers a FULL JOIN customers b USING (email) WHERE a.email IS NOT NULL",
        "SELECT left(email, 1) || '***@' || split_part(email, '@', 2), id FROM shop.customers"
        " WHERE tenant_id = 1 AND email IS NOT NULL",
    ),
)

# Uses beyond those: pia gets what lea gets, masked at the source.
MASKED: tuple[tuple[str, str], ...] = (
    ("a cut", "SELECT id FROM customers WHERE left(ssn, 4) = 'cnry'"),
    ("an order", "SELECT id, ssn FROM customers ORDER BY ssn, id"),
    ("an order by name", "SELECT ssn AS s FROM customers WHERE ssn = '@[own customer 3 ssn]' ORDER BY s"),
    ("an order by ordinal", "SELECT points, id FROM customers WHERE points = 7 ORDER BY 1, 2"),
    ("a range", "SELECT id FROM customers WHERE points > 8 OR points = 1"),
    ("a pattern", "SELECT id FROM customers WHERE ssn LIKE 'cnry%' OR ssn = 'x'"),
    ("as an output", "SELECT ssn = '@[own customer 3 ssn]' FROM customers"),
    ("a case", "SELECT CASE ssn WHEN '@[own customer 3 ssn]' THEN 1 END FROM customers"),
    ("a filter of an aggregate", "SELECT count(*) FILTER (WHERE ssn = '@[own customer 3 ssn]') FROM customers"),
    ("the whole row", "SELECT c::text FROM customers c WHERE ssn = '@[own customer 3 ssn]'"),
    ("the whole row as JSON", "SELECT row_to_json(c) FROM customers c WHERE c.ssn = '@[own customer 3 ssn]'"),
    ("a subquery's star", "SELECT s.* FROM (SELECT * FROM customers WHERE ssn = '@[own customer 3 ssn]') s"),
    ("a subquery's name", "SELECT s.x FROM (SELECT ssn FROM customers GROUP BY ssn) s(x)"),
    ("lateral", "SELECT l.* FROM customers c, LATERAL (SELECT c.ssn WHERE c.ssn = '@[own customer 3 ssn]') l"),
    ("a CTE", "WITH c AS (SELECT * FROM customers) SELECT ssn FROM c WHERE ssn = '@[own customer 3 ssn]'"),
    ("a union", "SELECT ssn FROM customers WHERE ssn = '@[own customer 3 ssn]' UNION ALL SELECT 'x'"),
    ("distinct", "SELECT DISTINCT ssn FROM customers"),
    ("an aggregate", "SELECT max(ssn) FROM customers GROUP BY ssn"),
    ("an expression in GROUP BY", "SELECT count(*) FROM customers GROUP BY ssn || ''"),
    ("grouping sets", "SELECT ssn, count(*) FROM customers GROUP BY ROLLUP (1)"),
    ("HAVING", "SELECT count(*) FROM customers GROUP BY ssn HAVING ssn > 'cnry8'"),
    ("a view", "SELECT phone FROM contacts WHERE phone = '@[own customer 3 phone]1003'"),
    (
        "a join with plain values",
        "SELECT v.x, id FROM customers JOIN (VALUES ('@[own customer 3 ssn]')) v(x) ON ssn = v.x",
    ),
    ("a join with a plain column", "SELECT o.memo FROM customers c JOIN orders o ON c.ssn = o.memo"),
    ("a join without the use", "SELECT 1 FROM customers c JOIN payments p ON c.phone = p.card_number"),
    ("a join that also shows", "SELECT a.id FROM customers a JOIN customers b ON a.ssn = b.ssn WHERE b.ssn < 'cnry8'"),
    ("a comparison across columns", "SELECT id FROM customers WHERE ssn = nickname"),
    ("groups without the use", "SELECT phone, count(*) FROM customers GROUP BY phone"),
    ("equality without the use", "SELECT id FROM customers WHERE loyalty_code = '@[own customer 3 loyalty]'"),
    ("a cast", "SELECT id FROM customers WHERE points::text = '@[own customer 3 points]'"),
    ("a cast that fails", "SELECT count(*) FROM customers WHERE credit_limit = 1::float8"),
    ("a row", "SELECT id FROM customers WHERE (ssn, 1) = ('@[own customer 3 ssn]', 1)"),
    ("EXPLAIN", "EXPLAIN (COSTS OFF) SELECT id FROM customers WHERE ssn = '@[own customer 3 ssn]'"),
    ("COPY", "COPY (SELECT id FROM customers WHERE ssn = '@[own customer 3 ssn]') TO STDOUT"),
)

# Each would hand rows, as the server sorted them by their raw values, to something that remembers their order.
ORDERED: tuple[tuple[str, str], ...] = (
    ("a window over groups", "SELECT id, row_number() OVER () FROM customers GROUP BY ssn, id"),
    ("a list behind a sort", "SELECT array_agg(id), count(DISTINCT ssn) FROM customers"),
    ("a list behind a merge", "SELECT array_agg(a.id) FROM customers a JOIN customers b ON a.ssn = b.ssn"),
    ("texts behind a sort", "SELECT string_agg(id::text, ','), count(DISTINCT ssn) FROM customers"),
    ("JSON behind a sort", "SELECT json_agg(id), count(DISTINCT ssn) FROM customers"),
    (
        "a sum of floats",
        "SELECT sum((CASE id WHEN 1 THEN 1e16 ELSE 1 END)::float8), count(DISTINCT ssn) FROM customers",
    ),
    ("random numbers", "SELECT id, random() > 2 FROM customers GROUP BY ssn, id"),
)
