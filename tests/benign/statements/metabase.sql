--: name connection test
SELECT 1
--: name version and settings
SELECT CURRENT_SETTING('server_version_num')::int >= 140000 AS modern
--: name current timezone
SHOW TIMEZONE
--: name describe database
--: metadata
SELECT n.nspname AS "schema", c.relname AS "name",
  CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'p' THEN 'PARTITIONED TABLE' WHEN 'v' THEN 'VIEW' WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE NULL END AS "type",
  d.description AS "description", NULL AS "estimated_row_count"
FROM pg_catalog.pg_class AS c
INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
LEFT JOIN pg_catalog.pg_description AS d ON c.oid = d.objoid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass
WHERE c.relnamespace = n.oid AND (n.nspname !~ '^pg_') AND (n.nspname <> 'information_schema') AND c.relkind IN ('r', 'p', 'v', 'f', 'm')
ORDER BY "type" ASC, "schema" ASC, "name" ASC
--: name describe fields
--: metadata
SELECT c.column_name AS "name",
  CASE WHEN c.udt_schema IN ('public', 'pg_catalog') THEN FORMAT('%s', c.udt_name) ELSE FORMAT('"%s"."%s"', c.udt_schema, c.udt_name) END AS "database-type",
  c.ordinal_position - 1 AS "database-position", c.table_schema AS "table-schema", c.table_name AS "table-name",
  pk.column_name IS NOT NULL AS "pk?", COL_DESCRIPTION(CAST(CAST(FORMAT('%I.%I', CAST(c.table_schema AS TEXT), CAST(c.table_name AS TEXT)) AS REGCLASS) AS OID), c.ordinal_position) AS "field-comment",
  ((column_default IS NULL) OR (LOWER(column_default) = 'null')) AND (is_nullable = 'NO') AND NOT (((column_default IS NOT NULL) AND (column_default LIKE '%nextval(%')) OR (is_identity <> 'NO')) AS "database-required",
  ((column_default IS NOT NULL) AND (column_default LIKE '%nextval(%')) OR (is_identity <> 'NO') AS "database-is-auto-increment"
FROM information_schema.columns AS c
LEFT JOIN (SELECT tc.table_schema, tc.table_name, kc.column_name FROM information_schema.table_constraints AS tc
  INNER JOIN information_schema.key_column_usage AS kc ON (tc.constraint_name = kc.constraint_name) AND (tc.table_schema = kc.table_schema) AND (tc.table_name = kc.table_name)
  WHERE tc.constraint_type = 'PRIMARY KEY') AS pk
ON (c.table_schema = pk.table_schema) AND (c.table_name = pk.table_name) AND (c.column_name = pk.column_name)
WHERE c.table_schema !~ '^information_schema|catalog_history|pg_' AND (c.table_schema IN ('shop'))
UNION ALL
SELECT pa.attname AS "name", CASE WHEN ptn.nspname IN ('public', 'pg_catalog') THEN FORMAT('%s', pt.typname) ELSE FORMAT('"%s"."%s"', ptn.nspname, pt.typname) END AS "database-type",
  pa.attnum - 1 AS "database-position", pn.nspname AS "table-schema", pc.relname AS "table-name", FALSE AS "pk?", NULL AS "field-comment", FALSE AS "database-required", FALSE AS "database-is-auto-increment"
FROM pg_catalog.pg_class AS pc
INNER JOIN pg_catalog.pg_namespace AS pn ON pn.oid = pc.relnamespace
INNER JOIN pg_catalog.pg_attribute AS pa ON pa.attrelid = pc.oid
INNER JOIN pg_catalog.pg_type AS pt ON pt.oid = pa.atttypid
INNER JOIN pg_catalog.pg_namespace AS ptn ON ptn.oid = pt.typnamespace
WHERE (pc.relkind = 'm') AND (pa.attnum >= 1) AND (pn.nspname IN ('shop'))
ORDER BY "table-schema" ASC, "table-name" ASC, "database-position" ASC
--: name describe foreign keys
--: ties
--: metadata
SELECT fk_ns.nspname AS "fk-table-schema", fk_table.relname AS "fk-table-name", fk_column.attname AS "fk-column-name",
  pk_ns.nspname AS "pk-table-schema", pk_table.relname AS "pk-table-name", pk_column.attname AS "pk-column-name"
FROM pg_constraint AS c
INNER JOIN pg_class AS fk_table ON c.conrelid = fk_table.oid
INNER JOIN pg_namespace AS fk_ns ON c.connamespace = fk_ns.oid
INNER JOIN pg_attribute AS fk_column ON c.conrelid = fk_column.attrelid
INNER JOIN pg_class AS pk_table ON c.confrelid = pk_table.oid
INNER JOIN pg_namespace AS pk_ns ON pk_table.relnamespace = pk_ns.oid
INNER JOIN pg_attribute AS pk_column ON c.confrelid = pk_column.attrelid
WHERE fk_ns.nspname !~ '^information_schema|catalog_history|pg_' AND c.contype = 'f'::char AND fk_column.attnum = ANY(c.conkey) AND pk_column.attnum = ANY(c.confkey) AND fk_ns.nspname IN ('shop')
ORDER BY fk_ns.nspname ASC, fk_table.relname ASC
--: name describe indexes
--: metadata
SELECT tmp."table-schema", tmp."table-name", TRIM(BOTH '"' FROM PG_CATALOG.PG_GET_INDEXDEF(tmp.ci_oid, tmp.pos, FALSE)) AS "field-name"
FROM (SELECT n.nspname AS "table-schema", ct.relname AS "table-name", ci.oid AS ci_oid, (INFORMATION_SCHEMA._PG_EXPANDARRAY(i.indkey)).n AS pos
  FROM pg_catalog.pg_class AS ct
  INNER JOIN pg_catalog.pg_namespace AS n ON ct.relnamespace = n.oid
  INNER JOIN pg_catalog.pg_index AS i ON ct.oid = i.indrelid
  INNER JOIN pg_catalog.pg_class AS ci ON ci.oid = i.indexrelid
  WHERE (pg_catalog.PG_GET_EXPR(i.indpred, i.indrelid) IS NULL) AND n.nspname !~ '^information_schema|catalog_history|pg_') AS tmp
WHERE tmp.pos = 1
--: name enum values
--: metadata
SELECT nspname, typname, enumlabel FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid JOIN pg_namespace n ON n.oid = t.typnamespace ORDER BY nspname, typname, e.enumsortorder
--: name table privileges
--: metadata
with table_privileges as (
  select NULL as role, t.schemaname as schema, t.objectname as table,
    pg_catalog.has_any_column_privilege(current_user, '"' || replace(t.schemaname, '"', '""') || '"' || '.' || '"' || replace(t.objectname, '"', '""') || '"', 'update') as update,
    pg_catalog.has_any_column_privilege(current_user, '"' || replace(t.schemaname, '"', '""') || '"' || '.' || '"' || replace(t.objectname, '"', '""') || '"', 'select') as select,
    pg_catalog.has_any_column_privilege(current_user, '"' || replace(t.schemaname, '"', '""') || '"' || '.' || '"' || replace(t.objectname, '"', '""') || '"', 'insert') as insert,
    pg_catalog.has_table_privilege(current_user, '"' || replace(t.schemaname, '"', '""') || '"' || '.' || '"' || replace(t.objectname, '"', '""') || '"', 'delete') as delete
  from (select schemaname, tablename as objectname from pg_catalog.pg_tables union select schemaname, viewname as objectname from pg_views union select schemaname, matviewname as objectname from pg_matviews) t
  where t.schemaname !~ '^pg_' and t.schemaname <> 'information_schema' and pg_catalog.has_schema_privilege(current_user, t.schemaname, 'usage'))
select t.* from table_privileges t
--: name table exists probe
SELECT TRUE AS "_" FROM "shop"."customers" WHERE 1 <> 1 LIMIT 0
--: name fingerprint sample
SELECT "source"."substring1" AS "substring1", "source"."substring2" AS "substring2", "source"."id" AS "id", "source"."created_at" AS "created_at" FROM (
  SELECT "shop"."customers"."id" AS "id", "shop"."customers"."created_at" AS "created_at", SUBSTRING("shop"."customers"."name", 1, 1234) AS "substring1", SUBSTRING("shop"."customers"."email", 1, 1234) AS "substring2" FROM "shop"."customers") AS "source"
LIMIT 10000
--: name fingerprint of everything
SELECT "shop"."customers"."id" AS "id", "shop"."customers"."tenant_id" AS "tenant_id", "shop"."customers"."external_id" AS "external_id", "shop"."customers"."ssn" AS "ssn", "shop"."customers"."phone" AS "phone", "shop"."customers"."birth_date" AS "birth_date", "shop"."customers"."balance" AS "balance", "shop"."customers"."is_active" AS "is_active", "shop"."customers"."preferences" AS "preferences" FROM "shop"."customers" LIMIT 10000
--: name field values
-- Metabase
SELECT "shop"."customers"."country" AS "country" FROM "shop"."customers" GROUP BY "shop"."customers"."country" ORDER BY "shop"."customers"."country" ASC LIMIT 1000
--: name field values of a masked column
SELECT "shop"."customers"."birth_date" AS "birth_date" FROM "shop"."customers" GROUP BY "shop"."customers"."birth_date" ORDER BY "shop"."customers"."birth_date" ASC LIMIT 1000
--: name distinct count for field values
SELECT COUNT(DISTINCT "shop"."orders"."status") AS "count" FROM "shop"."orders"
--: name browse a table
-- Metabase:: userID: 1 queryType: MBQL queryHash: 2f9c5d7cf44fe32e9b1b5d6f8a0d3f8bcb6e1cb4c7ab8d56d4ffb0bcd19b8a4f
SELECT "shop"."customers"."id" AS "id", "shop"."customers"."tenant_id" AS "tenant_id", "shop"."customers"."external_id" AS "external_id", "shop"."customers"."name" AS "name", "shop"."customers"."email" AS "email", "shop"."customers"."ssn" AS "ssn", "shop"."customers"."phone" AS "phone", "shop"."customers"."birth_date" AS "birth_date", "shop"."customers"."loyalty_code" AS "loyalty_code", "shop"."customers"."country" AS "country", "shop"."customers"."balance" AS "balance", "shop"."customers"."is_active" AS "is_active", "shop"."customers"."preferences" AS "preferences", "shop"."customers"."tags" AS "tags", "shop"."customers"."signature" AS "signature", "shop"."customers"."created_at" AS "created_at" FROM "shop"."customers" LIMIT 2000
--: name count of rows
SELECT COUNT(*) AS "count" FROM "shop"."orders"
--: name orders by month
-- Metabase:: userID: 1 queryType: MBQL queryHash: 4d1ab4b23bc1e0f7c3b2c9bb0dbb6cb5e25f3ba9e7fcad4fddc3be4e5ad0cf2e
SELECT CAST(DATE_TRUNC('month', "shop"."orders"."ordered_at") AS date) AS "ordered_at", COUNT(*) AS "count" FROM "shop"."orders" GROUP BY CAST(DATE_TRUNC('month', "shop"."orders"."ordered_at") AS date) ORDER BY CAST(DATE_TRUNC('month', "shop"."orders"."ordered_at") AS date) ASC
--: name orders by week starting sunday
SELECT (CAST(DATE_TRUNC('week', (CAST("shop"."orders"."ordered_at" AS timestamp) + INTERVAL '1 day')) AS timestamp) + INTERVAL '-1 day') AS "ordered_at", SUM("shop"."orders"."total") AS "sum" FROM "shop"."orders" GROUP BY (CAST(DATE_TRUNC('week', (CAST("shop"."orders"."ordered_at" AS timestamp) + INTERVAL '1 day')) AS timestamp) + INTERVAL '-1 day') ORDER BY (CAST(DATE_TRUNC('week', (CAST("shop"."orders"."ordered_at" AS timestamp) + INTERVAL '1 day')) AS timestamp) + INTERVAL '-1 day') ASC
--: name day of week and hour of day
SELECT CAST(EXTRACT(dow FROM "shop"."orders"."ordered_at") AS integer) + 1 AS "dow", CAST(EXTRACT(hour FROM "shop"."orders"."ordered_at") AS integer) AS "hour", COUNT(*) AS "count" FROM "shop"."orders" GROUP BY CAST(EXTRACT(dow FROM "shop"."orders"."ordered_at") AS integer) + 1, CAST(EXTRACT(hour FROM "shop"."orders"."ordered_at") AS integer) ORDER BY 1 ASC, 2 ASC
--: name filter between timestamps with a time zone
SELECT COUNT(*) AS "count" FROM "shop"."orders" WHERE ("shop"."orders"."ordered_at" >= timestamp with time zone '2025-03-01 00:00:00.000Z') AND ("shop"."orders"."ordered_at" < timestamp with time zone '2025-06-01 00:00:00.000Z')
--: name relative date filter
SELECT "shop"."orders"."status" AS "status", AVG("shop"."orders"."total") AS "avg" FROM "shop"."orders" WHERE ("shop"."orders"."ordered_at" >= DATE_TRUNC('month', (timestamp '2025-12-15 00:00:00' + INTERVAL '-3 month'))) AND ("shop"."orders"."ordered_at" < DATE_TRUNC('month', timestamp '2025-12-15 00:00:00')) GROUP BY "shop"."orders"."status" ORDER BY "shop"."orders"."status" ASC
--: name relative to now
SELECT COUNT(*) AS "count" FROM "shop"."orders" WHERE "shop"."orders"."ordered_at" >= DATE_TRUNC('day', (NOW() + INTERVAL '-10000 day')) AND "shop"."orders"."ordered_at" < DATE_TRUNC('day', (NOW() + INTERVAL '1 day'))
--: name implicit join
SELECT "customers__via__customer_id"."country" AS "customers__via__customer_id__country", SUM("shop"."orders"."total") AS "sum", COUNT(DISTINCT "shop"."orders"."customer_id") AS "count" FROM "shop"."orders" LEFT JOIN "shop"."customers" AS "customers__via__customer_id" ON "shop"."orders"."customer_id" = "customers__via__customer_id"."id" GROUP BY "customers__via__customer_id"."country" ORDER BY "sum" DESC, "customers__via__customer_id"."country" ASC
--: name join and a masked column
SELECT "source"."email" AS "email", "source"."sum" AS "sum" FROM (SELECT "Customers"."email" AS "email", SUM("shop"."orders"."total") AS "sum" FROM "shop"."orders" INNER JOIN "shop"."customers" AS "Customers" ON "shop"."orders"."customer_id" = "Customers"."id" GROUP BY "Customers"."email" ORDER BY "Customers"."email" ASC) AS "source" WHERE "source"."sum" > 1000 ORDER BY "source"."email" ASC LIMIT 1048575
--: name nested source with a custom column
SELECT "source"."category" AS "category", SUM("source"."revenue") AS "sum" FROM (SELECT "Products"."category" AS "category", "shop"."order_items"."quantity" * "shop"."order_items"."unit_price" * (1.0 - "shop"."order_items"."discount"::numeric) AS "revenue" FROM "shop"."order_items" LEFT JOIN "shop"."products" AS "Products" ON "shop"."order_items"."product_id" = "Products"."id") AS "source" GROUP BY "source"."category" ORDER BY "source"."category" ASC
--: name binned numbers
SELECT (FLOOR((("shop"."orders"."total" - 0.0) / 250.0)) * 250.0) + 0.0 AS "total", COUNT(*) AS "count" FROM "shop"."orders" GROUP BY (FLOOR((("shop"."orders"."total" - 0.0) / 250.0)) * 250.0) + 0.0 ORDER BY (FLOOR((("shop"."orders"."total" - 0.0) / 250.0)) * 250.0) + 0.0 ASC
--: name binned masked balance
SELECT FLOOR(("shop"."customers"."balance" / 5000.0)) * 5000.0 AS "balance", COUNT(*) AS "count" FROM "shop"."customers" GROUP BY FLOOR(("shop"."customers"."balance" / 5000.0)) * 5000.0 ORDER BY 1 ASC
--: name case insensitive contains
SELECT "shop"."customers"."id" AS "id", "shop"."customers"."name" AS "name" FROM "shop"."customers" WHERE (LOWER("shop"."customers"."name") LIKE '%love%') ORDER BY "shop"."customers"."id" ASC LIMIT 2000
--: name is empty and not empty
SELECT COUNT(*) AS "count" FROM "shop"."orders" WHERE (("shop"."orders"."note" IS NOT NULL) AND (("shop"."orders"."note" <> '') OR ("shop"."orders"."note" IS NULL)))
--: name not equal keeps nulls
SELECT COUNT(*) AS "count" FROM "shop"."customers" WHERE (("shop"."customers"."country" <> 'US') OR ("shop"."customers"."country" IS NULL))
--: name expressions
SELECT CASE WHEN "shop"."orders"."total" > 500 THEN 'large' WHEN "shop"."orders"."total" > 100 THEN 'middle' ELSE 'small' END AS "size", SUM(CASE WHEN "shop"."orders"."status" = CAST('returned' AS "shop"."order_status") THEN 1 ELSE 0.0 END) AS "returned", CAST(SUM(CASE WHEN "shop"."orders"."status" = CAST('returned' AS "shop"."order_status") THEN 1 ELSE 0.0 END) AS double precision) / NULLIF(CAST(COUNT(*) AS double precision), 0.0) AS "share" FROM "shop"."orders" GROUP BY 1 ORDER BY 1 ASC
--: name unfolded JSON
SELECT (("shop"."products"."details"#>> array['colour']::text[])::text) AS "details → colour", COUNT(*) AS "count" FROM "shop"."products" GROUP BY (("shop"."products"."details"#>> array['colour']::text[])::text) ORDER BY 1 ASC
--: name percentile and median
SELECT PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY "shop"."orders"."total") AS "median", PERCENTILE_CONT(0.9) WITHIN GROUP (ORDER BY "shop"."orders"."total") AS "percentile", STDDEV_POP("shop"."orders"."total") AS "stddev", VAR_POP("shop"."orders"."total") AS "var" FROM "shop"."orders"
--: name cumulative sum
SELECT CAST(DATE_TRUNC('month', "shop"."orders"."ordered_at") AS date) AS "ordered_at", SUM(SUM("shop"."orders"."total")) OVER (ORDER BY CAST(DATE_TRUNC('month', "shop"."orders"."ordered_at") AS date) ASC ROWS UNBOUNDED PRECEDING) AS "sum" FROM "shop"."orders" GROUP BY CAST(DATE_TRUNC('month', "shop"."orders"."ordered_at") AS date) ORDER BY CAST(DATE_TRUNC('month', "shop"."orders"."ordered_at") AS date) ASC
--: name offset of the previous month
SELECT DATE_TRUNC('month', "shop"."orders"."ordered_at") AS "ordered_at", COUNT(*) AS "count", LAG(COUNT(*), 1) OVER (ORDER BY DATE_TRUNC('month', "shop"."orders"."ordered_at") ASC) AS "before" FROM "shop"."orders" GROUP BY DATE_TRUNC('month', "shop"."orders"."ordered_at") ORDER BY DATE_TRUNC('month', "shop"."orders"."ordered_at") ASC
--: name time zone of the report
SELECT DATE_TRUNC('day', "shop"."orders"."ordered_at" AT TIME ZONE 'America/New_York') AS "day", COUNT(*) FROM "shop"."orders" GROUP BY 1 ORDER BY 1 LIMIT 100
--: name filter with a parameter
--: parameters ["DE", "2025-02-01 00:00:00+00"]
SELECT COUNT(*) AS "count" FROM "shop"."orders" JOIN "shop"."customers" AS "C" ON "shop"."orders"."customer_id" = "C"."id" WHERE "C"."country" = $1 AND "shop"."orders"."ordered_at" >= $2::timestamptz
--: name search for a remapped value
--: parameters ["%a%"]
SELECT "shop"."customers"."id" AS "id", "shop"."customers"."name" AS "name" FROM "shop"."customers" WHERE (LOWER("shop"."customers"."name") LIKE $1) GROUP BY "shop"."customers"."id", "shop"."customers"."name" ORDER BY "shop"."customers"."id" ASC LIMIT 100
--: name native question with a CTE
-- Metabase:: userID: 7 queryType: native queryHash: 0b8e3c8f8fd3e4c6f8b1e40ed9a7cd9eb8a2d7e62ab08ad2cdce8a40a9ce3a53
WITH spent AS (SELECT customer_id, sum(total) AS total FROM shop.orders WHERE status NOT IN ('cancelled', 'returned') GROUP BY customer_id)
SELECT c.name, c.email, s.total FROM spent s JOIN shop.customers c ON c.id = s.customer_id ORDER BY s.total DESC, c.id LIMIT 25
--: name model persistence check
SELECT "source"."id", "source"."orders" FROM (SELECT c.id, count(o.id) AS orders FROM shop.customers c LEFT JOIN shop.orders o ON o.customer_id = c.id GROUP BY c.id) AS "source" ORDER BY "source"."id" LIMIT 100
--: name session settings of the driver
SET SESSION TIMEZONE TO 'UTC'
