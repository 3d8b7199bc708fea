--: name context comment and a plain aggregate
-- Looker Query Context '{"user_id":42,"history_slug":"b3d1f9c2a6","instance_slug":"8d1f0c"}'
SELECT
    orders.status  AS "orders.status",
    COUNT(*) AS "orders.count",
    COALESCE(SUM(orders.total ), 0) AS "orders.total_revenue"
FROM shop.orders  AS orders
GROUP BY
    1
ORDER BY
    2 DESC, 1
FETCH NEXT 500 ROWS ONLY
--: name dates with a time zone
SELECT
    (DATE(orders.ordered_at  AT TIME ZONE 'UTC' AT TIME ZONE 'Europe/Berlin')) AS "orders.ordered_date",
    COALESCE(SUM(orders.total ), 0) AS "orders.total"
FROM shop.orders  AS orders
WHERE ((( orders.ordered_at  ) >= ((SELECT (DATE_TRUNC('month', TIMESTAMP '2025-06-15')))) AND ( orders.ordered_at  ) < ((SELECT (DATE_TRUNC('month', TIMESTAMP '2025-06-15') + (1 || ' month')::INTERVAL)))))
GROUP BY
    1
ORDER BY
    1 DESC
FETCH NEXT 500 ROWS ONLY
--: name month and week text
SELECT
    (TO_CHAR(DATE_TRUNC('month', orders.ordered_at ), 'YYYY-MM')) AS "orders.ordered_month",
    (TO_CHAR(DATE_TRUNC('week', orders.ordered_at ), 'YYYY-MM-DD')) AS "orders.ordered_week",
    COUNT(DISTINCT orders.customer_id) AS "orders.customers"
FROM shop.orders AS orders
GROUP BY 1, 2
ORDER BY 1 DESC, 2 DESC
LIMIT 500
--: name symmetric aggregate
-- Looker Query Context '{"user_id":7,"history_slug":"77aa","instance_slug":"8d1f0c"}'
SELECT
    customers.country  AS "customers.country",
    COALESCE(COALESCE( ( SUM(DISTINCT (CAST(FLOOR(COALESCE(orders.total  ,0)*(1000000*1.0)) AS DECIMAL(65,0))) + ('x' || MD5(orders.id ::varchar))::bit(64)::bigint::DECIMAL(65)  *18446744073709551616 + ('x' || SUBSTR(MD5(orders.id ::varchar),17))::bit(64)::bigint::DECIMAL(65) ) - SUM(DISTINCT ('x' || MD5(orders.id ::varchar))::bit(64)::bigint::DECIMAL(65)  *18446744073709551616 + ('x' || SUBSTR(MD5(orders.id ::varchar),17))::bit(64)::bigint::DECIMAL(65)) )  / (1000000*1.0), 0), 0) AS "orders.total",
    COUNT(DISTINCT orders.id ) AS "orders.count",
    COUNT(*) AS "order_items.count"
FROM shop.order_items  AS order_items
INNER JOIN shop.orders  AS orders ON order_items.order_id = orders.id
INNER JOIN shop.customers  AS customers ON orders.customer_id = customers.id
GROUP BY
    1
ORDER BY
    1
FETCH NEXT 500 ROWS ONLY
--: name derived table
WITH customer_facts AS (SELECT
      customer_id,
      COUNT(*) AS lifetime_orders,
      SUM(total) AS lifetime_revenue,
      MIN(NULLIF(ordered_at,'epoch')) AS first_order,
      MAX(NULLIF(ordered_at,'epoch')) AS latest_order
    FROM shop.orders
    GROUP BY customer_id)
SELECT
    CASE
WHEN customer_facts.lifetime_orders  < 2 THEN '0'
WHEN customer_facts.lifetime_orders  >= 2 AND customer_facts.lifetime_orders  < 4 THEN '1'
ELSE '2'
END AS "customer_facts.tier__sort_",
    CASE
WHEN customer_facts.lifetime_orders  < 2 THEN 'Below 2'
WHEN customer_facts.lifetime_orders  >= 2 AND customer_facts.lifetime_orders  < 4 THEN '2 to 3'
ELSE '4 or Above'
END AS "customer_facts.tier",
    COUNT(*) AS "customers.count", AVG(customer_facts.lifetime_revenue ) AS "customer_facts.average"
FROM shop.customers  AS customers
LEFT JOIN customer_facts ON customers.id = customer_facts.customer_id
GROUP BY
    1, 2
ORDER BY
    1
FETCH NEXT 500 ROWS ONLY
--: name pivot with ranks
SELECT * FROM (
SELECT *, DENSE_RANK() OVER (ORDER BY z___min_rank) as z___pivot_row_rank, RANK() OVER (PARTITION BY z__pivot_col_rank ORDER BY z___min_rank) as z__pivot_col_ordering, CASE WHEN z___min_rank = z___rank THEN 1 ELSE 0 END AS z__is_highest_ranked_cell FROM (
SELECT *, MIN(z___rank) OVER (PARTITION BY "orders.ordered_month") as z___min_rank FROM (
SELECT *, RANK() OVER (ORDER BY CASE WHEN z__pivot_col_rank=1 THEN (CASE WHEN "orders.count" IS NOT NULL THEN 0 ELSE 1 END) ELSE 2 END, CASE WHEN z__pivot_col_rank=1 THEN "orders.count" ELSE NULL END DESC, "orders.count" DESC, z__pivot_col_rank, "orders.ordered_month") AS z___rank FROM (
SELECT *, DENSE_RANK() OVER (ORDER BY "orders.status" NULLS LAST) AS z__pivot_col_rank FROM (
SELECT
    orders.status  AS "orders.status",
    (TO_CHAR(DATE_TRUNC('month', orders.ordered_at ), 'YYYY-MM')) AS "orders.ordered_month",
    COUNT(*) AS "orders.count"
FROM shop.orders  AS orders
GROUP BY
    1,
    2) ww
) bb WHERE z__pivot_col_rank <= 16384
) aa
) xx
) zz
 WHERE (z__pivot_col_rank <= 50 OR z__is_highest_ranked_cell = 1) AND (z___pivot_row_rank <= 500 OR z__pivot_col_ordering = 1) ORDER BY z___pivot_row_rank, z__pivot_col_rank
--: name totals row
SELECT
    COUNT(*) AS "orders.count",
    COALESCE(SUM(orders.total ), 0) AS "orders.total"
FROM shop.orders  AS orders
LIMIT 1
--: name filter suggestions
SELECT
    customers.name  AS "customers.name"
FROM shop.customers  AS customers
WHERE (UPPER(customers.name )) LIKE UPPER('Gra%')
GROUP BY
    1
ORDER BY
    1
FETCH NEXT 1000 ROWS ONLY
--: name suggestions over a masked column
SELECT customers.email  AS "customers.email" FROM shop.customers  AS customers WHERE (UPPER(customers.email )) LIKE UPPER('%a%') GROUP BY 1 ORDER BY 1 FETCH NEXT 1000 ROWS ONLY
--: name yesno dimension
SELECT CASE WHEN customers.is_active  THEN 'Yes' ELSE 'No' END AS "customers.is_active", COUNT(*) AS "customers.count", AVG(customers.balance ) AS "customers.average_balance" FROM shop.customers  AS customers GROUP BY 1 ORDER BY 1 DESC
--: name duration dimension
SELECT CAST(FLOOR(EXTRACT(EPOCH FROM support_tickets.closed_at - support_tickets.opened_at) / 3600) AS BIGINT) AS "support_tickets.hours_open", COUNT(*) AS "support_tickets.count" FROM shop.support_tickets AS support_tickets WHERE support_tickets.closed_at IS NOT NULL GROUP BY 1 ORDER BY 1 LIMIT 500
--: name age from a masked birth date
SELECT DATE_PART('year', AGE(DATE '2025-12-31', customers.birth_date)) AS "customers.age", COUNT(*) AS "customers.count" FROM shop.customers AS customers WHERE customers.birth_date IS NOT NULL GROUP BY 1 ORDER BY 1 LIMIT 500
--: name row numbers of native derived tables
WITH ranked AS (
  SELECT orders.customer_id, orders.id, orders.total, ROW_NUMBER() OVER (PARTITION BY orders.customer_id ORDER BY orders.ordered_at, orders.id) AS order_sequence
  FROM shop.orders AS orders)
SELECT ranked.order_sequence AS "ranked.order_sequence", COUNT(DISTINCT ranked.customer_id) AS "ranked.customers", COALESCE(SUM(ranked.total), 0) AS "ranked.total"
FROM ranked GROUP BY 1 ORDER BY 1 FETCH NEXT 500 ROWS ONLY
--: name persistent derived table in a temporary schema
--: as wes
CREATE TEMPORARY TABLE lr_5gqy1_customer_facts AS SELECT customer_id, COUNT(*) AS orders, SUM(total) AS total FROM shop.orders GROUP BY 1
--: then
CREATE INDEX lr_5gqy1_customer_facts_customer ON lr_5gqy1_customer_facts (customer_id)
--: then
SELECT customers.email AS "customers.email", f.total AS "f.total" FROM lr_5gqy1_customer_facts f JOIN shop.customers customers ON customers.id = f.customer_id ORDER BY f.total DESC, customers.id LIMIT 20
--: name percentile measure
SELECT orders.status AS "orders.status", PERCENTILE_CONT(0.25) WITHIN GROUP (ORDER BY orders.total ) AS "orders.p25", PERCENTILE_DISC(0.75) WITHIN GROUP (ORDER BY orders.total ) AS "orders.p75" FROM shop.orders AS orders GROUP BY 1 ORDER BY 1
--: name list measure
SELECT customers.country AS "customers.country", STRING_AGG(DISTINCT CAST(customers.birth_date AS VARCHAR), '|RECORD|') AS "customers.births" FROM shop.customers AS customers GROUP BY 1 ORDER BY 1
--: name liquid condition
SELECT products.category AS "products.category", SUM(order_items.quantity) AS "order_items.quantity" FROM shop.order_items AS order_items LEFT JOIN shop.products AS products ON products.id = order_items.product_id WHERE (1=1) AND (products.category = 'light' OR products.category LIKE 'dec%') AND NOT (products.name IS NULL) GROUP BY 1 ORDER BY 1
