--: name dialect set-up
--: metadata
select current_schema()
--: name hstore probe
--: metadata
SELECT t.typname, t.oid FROM pg_type t WHERE t.typname = 'hstore'
--: name has_table
--: metadata
--: parameters ["customers", "shop"]
SELECT pg_catalog.pg_class.relname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_catalog.pg_namespace.oid = pg_catalog.pg_class.relnamespace WHERE pg_catalog.pg_class.relname = $1::VARCHAR AND pg_catalog.pg_class.relkind = ANY (ARRAY['r', 'p', 'f', 'v', 'm']) AND pg_catalog.pg_namespace.nspname = $2::VARCHAR
--: name has_table of a hidden table
--: metadata
--: parameters ["salaries", "shop"]
SELECT pg_catalog.pg_class.relname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_catalog.pg_namespace.oid = pg_catalog.pg_class.relnamespace WHERE pg_catalog.pg_class.relname = $1::VARCHAR AND pg_catalog.pg_namespace.nspname = $2::VARCHAR
--: name reflected enums
--: metadata
SELECT pg_catalog.pg_type.typname AS name, pg_catalog.pg_type_is_visible(pg_catalog.pg_type.oid) AS visible, pg_catalog.pg_namespace.nspname AS schema, lbl_agg.labels AS labels
FROM pg_catalog.pg_type JOIN pg_catalog.pg_namespace ON pg_catalog.pg_namespace.oid = pg_catalog.pg_type.typnamespace LEFT OUTER JOIN (SELECT pg_catalog.pg_enum.enumtypid AS enumtypid, array_agg(CAST(pg_catalog.pg_enum.enumlabel AS TEXT) ORDER BY pg_catalog.pg_enum.enumsortorder) AS labels
FROM pg_catalog.pg_enum GROUP BY pg_catalog.pg_enum.enumtypid) AS lbl_agg ON pg_catalog.pg_type.oid = lbl_agg.enumtypid
WHERE pg_catalog.pg_type.typtype = 'e' ORDER BY pg_catalog.pg_namespace.nspname, pg_catalog.pg_type.typname
--: name reflected primary keys
--: metadata
SELECT attr.conrelid, array_agg(CAST(attr.attname AS TEXT) ORDER BY attr.ord) AS cols, attr.conname, min(attr.description) AS description
FROM (SELECT con.conrelid AS conrelid, con.conname AS conname, con.conindid AS conindid, con.description AS description, con.ord AS ord, pg_catalog.pg_attribute.attname AS attname
FROM pg_catalog.pg_attribute JOIN (SELECT pg_catalog.pg_constraint.conrelid AS conrelid, pg_catalog.pg_constraint.conname AS conname, pg_catalog.pg_constraint.conindid AS conindid, unnest(pg_catalog.pg_constraint.conkey) AS attnum, generate_subscripts(pg_catalog.pg_constraint.conkey, 1) AS ord, pg_catalog.pg_description.description AS description
FROM pg_catalog.pg_constraint LEFT OUTER JOIN pg_catalog.pg_description ON pg_catalog.pg_description.objoid = pg_catalog.pg_constraint.oid
WHERE pg_catalog.pg_constraint.contype = 'p' AND pg_catalog.pg_constraint.conrelid IN ('shop.customers'::regclass, 'shop.order_items'::regclass)) AS con ON pg_catalog.pg_attribute.attnum = con.attnum AND pg_catalog.pg_attribute.attrelid = con.conrelid
WHERE con.conrelid IN ('shop.customers'::regclass, 'shop.order_items'::regclass)) AS attr GROUP BY attr.conrelid, attr.conname ORDER BY attr.conrelid, attr.conname
--: name reflected foreign keys
--: metadata
SELECT pg_catalog.pg_class.relname, pg_catalog.pg_constraint.conname, CASE WHEN (pg_catalog.pg_constraint.oid IS NOT NULL) THEN pg_catalog.pg_get_constraintdef(pg_catalog.pg_constraint.oid, true) END AS anon_1, nsp_ref.nspname, pg_catalog.pg_description.description
FROM pg_catalog.pg_class LEFT OUTER JOIN pg_catalog.pg_constraint ON pg_catalog.pg_class.oid = pg_catalog.pg_constraint.conrelid AND pg_catalog.pg_constraint.contype = 'f' LEFT OUTER JOIN pg_catalog.pg_class AS cls_ref ON cls_ref.oid = pg_catalog.pg_constraint.confrelid LEFT OUTER JOIN pg_catalog.pg_namespace AS nsp_ref ON cls_ref.relnamespace = nsp_ref.oid LEFT OUTER JOIN pg_catalog.pg_description ON pg_catalog.pg_description.objoid = pg_catalog.pg_constraint.oid JOIN pg_catalog.pg_namespace ON pg_catalog.pg_namespace.oid = pg_catalog.pg_class.relnamespace
WHERE pg_catalog.pg_class.relkind = ANY (ARRAY['r', 'p']) AND pg_catalog.pg_namespace.nspname = 'shop' AND pg_catalog.pg_class.relname IN ('orders', 'order_items') ORDER BY pg_catalog.pg_class.relname, pg_catalog.pg_constraint.conname
--: name reflected indexes
--: metadata
SELECT pg_catalog.pg_index.indrelid, pg_catalog.pg_class.relname, pg_catalog.pg_index.indisunique, pg_catalog.pg_constraint.conrelid IS NOT NULL AS has_constraint, pg_catalog.pg_index.indoption, pg_catalog.pg_class.reloptions, pg_catalog.pg_am.amname, CASE WHEN (pg_catalog.pg_index.indpred IS NOT NULL) THEN pg_catalog.pg_get_expr(pg_catalog.pg_index.indpred, pg_catalog.pg_index.indrelid) END AS filter_definition, pg_catalog.pg_index.indnkeyatts, idx_cols.elements
FROM pg_catalog.pg_index JOIN (SELECT idx_attr.indexrelid AS indexrelid, min(idx_attr.indrelid) AS min_1, array_agg(idx_attr.element ORDER BY idx_attr.ord) AS elements FROM (SELECT idx.indexrelid AS indexrelid, idx.indrelid AS indrelid, idx.ord AS ord, CASE WHEN (idx.attnum = 0) THEN pg_catalog.pg_get_indexdef(idx.indexrelid, idx.ord + 1, true) ELSE CAST(pg_catalog.pg_attribute.attname AS TEXT) END AS element FROM (SELECT pg_catalog.pg_index.indexrelid AS indexrelid, pg_catalog.pg_index.indrelid AS indrelid, unnest(pg_catalog.pg_index.indkey) AS attnum, generate_subscripts(pg_catalog.pg_index.indkey, 1) AS ord FROM pg_catalog.pg_index WHERE NOT pg_catalog.pg_index.indisprimary AND pg_catalog.pg_index.indrelid IN ('shop.customers'::regclass, 'shop.orders'::regclass)) AS idx LEFT OUTER JOIN pg_catalog.pg_attribute ON pg_catalog.pg_attribute.attnum = idx.attnum AND pg_catalog.pg_attribute.attrelid = idx.indrelid) AS idx_attr GROUP BY idx_attr.indexrelid) AS idx_cols ON pg_catalog.pg_index.indexrelid = idx_cols.indexrelid JOIN pg_catalog.pg_class ON pg_catalog.pg_class.oid = pg_catalog.pg_index.indexrelid JOIN pg_catalog.pg_am ON pg_catalog.pg_class.relam = pg_catalog.pg_am.oid LEFT OUTER JOIN pg_catalog.pg_constraint ON pg_catalog.pg_index.indrelid = pg_catalog.pg_constraint.conrelid AND pg_catalog.pg_index.indexrelid = pg_catalog.pg_constraint.conindid AND pg_catalog.pg_constraint.contype = ANY (ARRAY['p', 'u', 'x']) WHERE pg_catalog.pg_index.indrelid IN ('shop.customers'::regclass, 'shop.orders'::regclass) AND NOT pg_catalog.pg_index.indisprimary ORDER BY pg_catalog.pg_index.indrelid, pg_catalog.pg_class.relname
--: name ORM load by key
--: parameters ["11"]
SELECT customers.id AS customers_id, customers.tenant_id AS customers_tenant_id, customers.name AS customers_name, customers.email AS customers_email, customers.ssn AS customers_ssn, customers.tags AS customers_tags, customers.signature AS customers_signature
FROM shop.customers
WHERE customers.id = $1::INTEGER
--: name selectin load
SELECT orders_1.customer_id AS orders_1_customer_id, orders_1.id AS orders_1_id, orders_1.status AS orders_1_status, orders_1.total AS orders_1_total
FROM shop.orders AS orders_1
WHERE orders_1.customer_id IN (1, 2, 3, 4, 5, 6, 7, 8, 9, 10) ORDER BY orders_1.id
--: name joined load with a limit
SELECT anon_1.customers_id, anon_1.customers_name, anon_1.customers_email, orders_1.id, orders_1.total
FROM (SELECT customers.id AS customers_id, customers.name AS customers_name, customers.email AS customers_email FROM shop.customers ORDER BY customers.id LIMIT 10) AS anon_1 LEFT OUTER JOIN shop.orders AS orders_1 ON anon_1.customers_id = orders_1.customer_id ORDER BY anon_1.customers_id, orders_1.id
--: name count of a query
SELECT count(*) AS count_1 FROM (SELECT customers.id AS customers_id FROM shop.customers WHERE customers.country = 'FR') AS anon_1
--: name exists
SELECT EXISTS (SELECT 1 FROM shop.orders WHERE orders.total > 900) AS anon_1
--: name any relation
SELECT customers.id, customers.email FROM shop.customers WHERE EXISTS (SELECT 1 FROM shop.orders WHERE customers.id = orders.customer_id AND orders.status = 'returned') ORDER BY customers.id LIMIT 40
--: name window in a subquery
SELECT anon_1.customer_id, anon_1.total FROM (SELECT orders.customer_id AS customer_id, orders.total AS total, row_number() OVER (PARTITION BY orders.customer_id ORDER BY orders.total DESC, orders.id) AS rank FROM shop.orders) AS anon_1 WHERE anon_1.rank = 1 ORDER BY anon_1.customer_id LIMIT 100
--: name recursive CTE
WITH RECURSIVE reports(id, name, level) AS (SELECT employees.id AS id, employees.name AS name, 0 AS level FROM shop.employees WHERE employees.manager_id IS NULL UNION ALL SELECT employees.id AS id, employees.name AS name, reports.level + 1 FROM shop.employees JOIN reports ON employees.manager_id = reports.id) SELECT reports.level, count(*) AS n FROM reports GROUP BY reports.level ORDER BY reports.level
--: name union of statements
SELECT customers.email AS email FROM shop.customers WHERE customers.country = 'BR' UNION SELECT employees.email AS email FROM shop.employees WHERE employees.title = 'buyer' ORDER BY email
--: name values and a cast
SELECT anon_1.code, anon_1.label, count(customers.id) AS n FROM (VALUES ('US', 'States'), ('DE', 'Germany')) AS anon_1 (code, label) LEFT OUTER JOIN shop.customers ON customers.country = CAST(anon_1.code AS CHAR(2)) GROUP BY anon_1.code, anon_1.label ORDER BY anon_1.code
--: name array operators
SELECT support_tickets.id, support_tickets.labels FROM shop.support_tickets WHERE support_tickets.labels @> ARRAY['urgent']::TEXT[] ORDER BY support_tickets.id LIMIT 20
--: name JSON operators
SELECT products.id, products.details ->> 'colour' AS colour, CAST(products.details ->> 'stock' AS INTEGER) AS stock FROM shop.products WHERE (products.details ->> 'colour') = 'oak' ORDER BY products.id LIMIT 20
--: name insert with returning
--: as wes
BEGIN
--: then
INSERT INTO shop.orders (id, tenant_id, customer_id, status, total, ordered_at) VALUES (900001, 1, 1, 'new', 12.50, '2025-12-31 10:00:00+00') RETURNING orders.id, orders.status
--: then
SELECT count(*) FROM shop.orders
--: then
ROLLBACK
--: name unit of work
--: as wes
BEGIN
--: then
UPDATE shop.orders SET note='gift', shipped_on='2025-12-01' WHERE orders.id = 7
--: then
DELETE FROM shop.payments WHERE payments.order_id = 7
--: then
ROLLBACK
