--: name ping
SELECT 1
--: name version
--: metadata
select pg_catalog.version()
--: name standard_conforming_strings
show standard_conforming_strings
--: name isolation level
show transaction isolation level
--: name schemas
--: metadata
SELECT pg_catalog.pg_namespace.nspname FROM pg_catalog.pg_namespace WHERE pg_catalog.pg_namespace.nspname NOT LIKE 'pg_%' ORDER BY pg_catalog.pg_namespace.nspname
--: name tables of a schema
--: metadata
SELECT pg_catalog.pg_class.relname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_catalog.pg_namespace.oid = pg_catalog.pg_class.relnamespace WHERE pg_catalog.pg_class.relkind = ANY (ARRAY['r', 'p']) AND pg_catalog.pg_class.relpersistence != 't' AND pg_catalog.pg_namespace.nspname = 'shop'
--: name views of a schema
--: metadata
SELECT pg_catalog.pg_class.relname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_catalog.pg_namespace.oid = pg_catalog.pg_class.relnamespace WHERE pg_catalog.pg_class.relkind = ANY (ARRAY['v']) AND pg_catalog.pg_class.relpersistence != 't' AND pg_catalog.pg_namespace.nspname = 'shop'
--: name SQL Lab preview
SELECT id, tenant_id, external_id, name, email, ssn, phone, birth_date, loyalty_code, country, balance, is_active, preferences, tags, signature, created_at
FROM shop.customers
LIMIT 101
--: name SQL Lab star with a limit added
SELECT *
FROM shop.orders
ORDER BY id
LIMIT 1001
--: name virtual dataset columns
SELECT * FROM (SELECT o.*, c.country, c.email FROM shop.orders o JOIN shop.customers c ON c.id = o.customer_id) AS virtual_table LIMIT 0
--: name time series
SELECT DATE_TRUNC('day', ordered_at) AS __timestamp,
       count(*) AS count
FROM shop.orders
WHERE ordered_at >= TO_TIMESTAMP('2025-01-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US')
  AND ordered_at < TO_TIMESTAMP('2025-07-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US')
GROUP BY DATE_TRUNC('day', ordered_at)
ORDER BY count DESC, __timestamp
LIMIT 10000
--: name time series with a series limit
SELECT DATE_TRUNC('week', ordered_at) AS __timestamp, country AS country, SUM(total) AS "SUM(total)"
FROM (SELECT o.ordered_at, o.total, c.country FROM shop.orders o JOIN shop.customers c ON o.customer_id = c.id) AS virtual_table
JOIN (SELECT country AS country__, SUM(total) AS mme_inner__
      FROM (SELECT o.ordered_at, o.total, c.country FROM shop.orders o JOIN shop.customers c ON o.customer_id = c.id) AS virtual_table
      WHERE ordered_at >= TO_TIMESTAMP('2025-01-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US')
      GROUP BY country ORDER BY mme_inner__ DESC, country__ LIMIT 3) AS series_limit ON country = country__
WHERE ordered_at >= TO_TIMESTAMP('2025-01-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US')
GROUP BY DATE_TRUNC('week', ordered_at), country
ORDER BY "SUM(total)" DESC, __timestamp, country
LIMIT 50000
--: name pivot table
SELECT status AS status, DATE_TRUNC('month', ordered_at) AS ordered_at, COUNT(*) AS count, AVG(total) AS "AVG(total)"
FROM shop.orders
GROUP BY status, DATE_TRUNC('month', ordered_at)
ORDER BY status, ordered_at
LIMIT 50000
--: name big number with trend
SELECT DATE_TRUNC('month', paid_at) AS __timestamp, sum(amount) AS "SUM(amount)" FROM shop.payments GROUP BY DATE_TRUNC('month', paid_at) ORDER BY __timestamp ASC LIMIT 50000
--: name table chart raw records
SELECT name AS name, email AS email, ssn AS ssn, phone AS phone, birth_date AS birth_date, balance AS balance
FROM shop.customers
WHERE country IN ('DE', 'FR') AND is_active IS true
ORDER BY name ASC, id ASC
LIMIT 1000
--: name filter box values
SELECT DISTINCT country AS country FROM shop.customers ORDER BY country ASC LIMIT 10000
--: name filter values of a masked column
SELECT DISTINCT phone AS phone FROM shop.customers ORDER BY phone ASC LIMIT 10000
--: name histogram
SELECT total AS total FROM shop.orders WHERE total IS NOT NULL LIMIT 50000
--: name box plot
SELECT DATE_TRUNC('day', ordered_at) AS ordered_at, status AS status, AVG(total) AS "avg__total" FROM shop.orders GROUP BY DATE_TRUNC('day', ordered_at), status ORDER BY 1, 2 LIMIT 50000
--: name sunburst over a masked column
SELECT EXTRACT(YEAR FROM birth_date) AS born, country AS country, COUNT(*) AS count FROM shop.customers GROUP BY EXTRACT(YEAR FROM birth_date), country ORDER BY count DESC, born, country LIMIT 50000
--: name custom metric with a filter
SELECT country AS country, SUM(CASE WHEN is_active THEN 1 ELSE 0 END)::float / COUNT(*) AS active_share, COUNT(DISTINCT email) AS "COUNT_DISTINCT(email)" FROM shop.customers GROUP BY country HAVING COUNT(*) > 10 ORDER BY active_share DESC, country LIMIT 100
--: name row count of samples
SELECT COUNT(*) AS rowcount FROM (SELECT id, name FROM shop.customers WHERE country = 'US') AS rowcount_qry
--: name drill to detail
SELECT id AS id, status AS status, total AS total, ordered_at AS ordered_at FROM shop.orders WHERE status = 'shipped' AND ordered_at >= TO_TIMESTAMP('2025-02-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US') ORDER BY id LIMIT 50 OFFSET 50
--: name latest partition style maximum
SELECT MAX(ordered_at), MIN(ordered_at) FROM shop.orders
--: name alert query
SELECT COUNT(*) > 100 AS value FROM (SELECT 1 FROM shop.support_tickets WHERE closed_at IS NULL) AS open_tickets
--: name time shift
SELECT DATE_TRUNC('month', ordered_at + INTERVAL '1 year') AS __timestamp, SUM(total) AS "SUM(total)__1 year ago" FROM shop.orders WHERE ordered_at >= TO_TIMESTAMP('2025-01-01', 'YYYY-MM-DD') GROUP BY 1 ORDER BY 1 LIMIT 10000
--: name jinja template result
SELECT o.status, count(*) AS n FROM shop.orders o WHERE 1 = 1 AND o.ordered_at BETWEEN '2025-01-01' AND '2025-03-31' GROUP BY 1 ORDER BY 2 DESC, 1
--: name estimate of cost is not asked
--: as wes
--: metadata
EXPLAIN SELECT category, count(*) FROM shop.products GROUP BY category
--: name reflected columns
--: metadata
SELECT pg_catalog.pg_attribute.attname AS name, pg_catalog.format_type(pg_catalog.pg_attribute.atttypid, pg_catalog.pg_attribute.atttypmod) AS format_type, (SELECT pg_catalog.pg_get_expr(pg_catalog.pg_attrdef.adbin, pg_catalog.pg_attrdef.adrelid) AS pg_get_expr_1
FROM pg_catalog.pg_attrdef
WHERE pg_catalog.pg_attrdef.adrelid = pg_catalog.pg_attribute.attrelid AND pg_catalog.pg_attrdef.adnum = pg_catalog.pg_attribute.attnum AND pg_catalog.pg_attribute.atthasdef) AS "default", pg_catalog.pg_attribute.attnotnull AS not_null, pg_catalog.pg_class.relname AS table_name, pg_catalog.pg_description.description AS comment, pg_catalog.pg_attribute.attgenerated AS generated, (SELECT json_build_object('always', pg_catalog.pg_attribute.attidentity = 'a', 'start', pg_catalog.pg_sequence.seqstart, 'increment', pg_catalog.pg_sequence.seqincrement, 'minvalue', pg_catalog.pg_sequence.seqmin, 'maxvalue', pg_catalog.pg_sequence.seqmax, 'cache', pg_catalog.pg_sequence.seqcache, 'cycle', pg_catalog.pg_sequence.seqcycle) AS json_build_object_1
FROM pg_catalog.pg_sequence
WHERE pg_catalog.pg_attribute.attidentity != '' AND pg_catalog.pg_sequence.seqrelid = CAST(CAST(pg_catalog.pg_get_serial_sequence(CAST(CAST(pg_catalog.pg_attribute.attrelid AS REGCLASS) AS TEXT), pg_catalog.pg_attribute.attname) AS REGCLASS) AS OID)) AS identity_options
FROM pg_catalog.pg_class LEFT OUTER JOIN pg_catalog.pg_attribute ON pg_catalog.pg_class.oid = pg_catalog.pg_attribute.attrelid AND pg_catalog.pg_attribute.attnum > 0 AND NOT pg_catalog.pg_attribute.attisdropped LEFT OUTER JOIN pg_catalog.pg_description ON pg_catalog.pg_description.objoid = pg_catalog.pg_attribute.attrelid AND pg_catalog.pg_description.objsubid = pg_catalog.pg_attribute.attnum JOIN pg_catalog.pg_namespace ON pg_catalog.pg_namespace.oid = pg_catalog.pg_class.relnamespace
WHERE pg_catalog.pg_class.relkind = ANY (ARRAY['r', 'p', 'f', 'v', 'm']) AND pg_catalog.pg_class.relname IN ('customers', 'payments') AND pg_catalog.pg_namespace.nspname = 'shop' ORDER BY pg_catalog.pg_class.relname, pg_catalog.pg_attribute.attnum
