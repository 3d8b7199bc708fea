SELECT 1 AS a, 'x'::text AS b, NULL AS c
SELECT id, tenant_id, external_id, name, email, ssn, phone, birth_date, balance, is_active, tags, signature FROM shop.customers ORDER BY id LIMIT 40
SELECT id, preferences, created_at FROM shop.customers ORDER BY id LIMIT 10
SELECT id, sku, price, weight_kg, details, thumbnail FROM shop.products ORDER BY id LIMIT 20
SELECT id, status, total, note, ordered_at, shipped_on FROM shop.orders ORDER BY id LIMIT 40
SELECT id, happened_at, client_address, payload FROM shop.events ORDER BY id LIMIT 20
SELECT status, count(*), sum(total) FROM shop.orders GROUP BY status ORDER BY status
SELECT c.name, o.total FROM shop.customers AS c JOIN shop.orders AS o ON o.customer_id = c.id ORDER BY o.id LIMIT 20
WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 50) SELECT n FROM t
SELECT 1::int2, 2::int4, 9007199254740993::int8, 1.5::numeric(10, 3), 'NaN'::numeric, 1e-7::float8, true
SELECT '2024-02-29'::date, '12:34:56.789'::time, '2024-02-29 12:00:00.5+02'::timestamptz, '2024-02-29 12:00:00'::timestamp
SELECT '1 year 2 months -3 days 04:05:06.7'::interval, '10.0.0.0/8'::cidr, '08:00:2b:01:02:03'::macaddr
SELECT '\x00ff'::bytea, '{"a": [1, null]}'::jsonb, '{"a" :1}'::json, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid
SELECT ARRAY[1, 2, NULL], ARRAY['a', 'b c', NULL], '{}'::int[]
SELECT repeat('é', 20000)
SELECT g, repeat('y', 50) FROM generate_series(1, 500) AS g
SHOW DateStyle
SELEC 1
SELECT missing FROM shop.customers
SELECT * FROM shop.missing
SELECT 1 / 0
SELECT 'x'::int
INSERT INTO shop.tenants VALUES (1, 'twice')
INSERT INTO shop.orders (tenant_id, customer_id, ordered_at) VALUES (99, 1, now())
DO $$ BEGIN RAISE EXCEPTION 'own' USING ERRCODE = 'UE001', DETAIL = 'd', HINT = 'h'; END $$
BEGIN
UPDATE shop.orders SET note = 'changed' WHERE id < 5 RETURNING id, note
SAVEPOINT a
SELECT 1 / (id - 3) FROM shop.orders ORDER BY id
SELECT 'in a failed transaction'
ROLLBACK TO a
DELETE FROM shop.order_items WHERE order_id = 1
ROLLBACK
CREATE TEMP TABLE kept (a int PRIMARY KEY, b text)
INSERT INTO kept SELECT g, 'row ' || g FROM generate_series(1, 10) AS g
SELECT a + 0 AS a, upper(b) AS b FROM kept ORDER BY a
DROP TABLE kept
PREPARE p (int) AS SELECT name FROM shop.customers WHERE id = $1
EXECUTE p (5)
DEALLOCATE p
EXECUTE p (5)
EXPLAIN (COSTS off) SELECT * FROM shop.customers WHERE id = 5
SELECT * FROM shop.safe_report('2025-03-01')
SELECT relname FROM pg_class WHERE relnamespace = 'shop'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1
DISCARD ALL
