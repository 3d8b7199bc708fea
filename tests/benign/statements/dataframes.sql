--: name pandas read_sql
SELECT o.id, o.status, o.total, c.country, c.birth_date FROM shop.orders o JOIN shop.customers c ON c.id = o.customer_id WHERE o.ordered_at >= '2025-06-01'
--: name pandas read_sql_table
SELECT shop.products.id, shop.products.sku, shop.products.name, shop.products.category, shop.products.price, shop.products.weight_kg, shop.products.details, shop.products.thumbnail FROM shop.products
--: name connectorx count
--: ties
SELECT count(*) FROM (SELECT id, name, email FROM shop.customers ORDER BY id) as CXTMPTAB_COUNT
--: name connectorx range of a partition
SELECT MIN(CXTMPTAB_RANGE.id), MAX(CXTMPTAB_RANGE.id) FROM (SELECT id, total FROM shop.orders) AS CXTMPTAB_RANGE
--: name connectorx one partition
SELECT * FROM (SELECT id, total FROM shop.orders) AS CXTMPTAB_PART WHERE 1 <= CXTMPTAB_PART.id AND CXTMPTAB_PART.id < 3000
--: name connectorx binary copy
--: as wes
COPY (SELECT id, name, email, birth_date, balance FROM shop.customers ORDER BY id) TO STDOUT WITH BINARY
--: name ADBC copy
--: as wes
COPY (SELECT country, count(*) AS n FROM shop.customers GROUP BY country ORDER BY country) TO STDOUT (FORMAT binary)
--: name ADBC type cache
--: metadata
--: ties
SELECT attrelid, attname, atttypid FROM pg_catalog.pg_attribute JOIN pg_catalog.pg_type ON pg_catalog.pg_type.typrelid = pg_catalog.pg_attribute.attrelid WHERE attnum >= 1 AND NOT attisdropped ORDER BY attrelid, attnum
--: name ADBC types
--: metadata
--: ties
SELECT oid, typname, typreceive, typbasetype, typrelid, typarray FROM pg_catalog.pg_type WHERE (typreceive != 0 OR typsend != 0) AND typtype != 'r' AND typreceive::TEXT != 'array_recv'
--: name DuckDB snapshot of a scan
--: as wes
BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY
--: then
SELECT n.oid, n.nspname FROM pg_namespace n WHERE n.nspname = 'shop'
--: then
COPY (SELECT "id", "tenant_id", "email" FROM "shop"."customers" ) TO STDOUT (FORMAT "binary")
--: then
ROLLBACK
--: name DuckDB filter push-down
--: as wes
COPY (SELECT "id", "total" FROM "shop"."orders" WHERE "total" > 500.00 AND "status" = 'paid') TO STDOUT (FORMAT "binary")
--: name DuckDB columns
--: metadata
SELECT pg_namespace.oid AS namespace_id, relname, relkind, attname, pg_type.typname AS type_name, atttypmod AS type_modifier, pg_attribute.attndims AS ndim, attnum, pg_attribute.attnotnull AS notnull
FROM pg_class JOIN pg_namespace ON relnamespace = pg_namespace.oid JOIN pg_attribute ON pg_class.oid=pg_attribute.attrelid JOIN pg_type ON atttypid=pg_type.oid
WHERE attnum > 0 AND relkind IN ('r', 'v', 'm', 'f', 'p') AND pg_namespace.nspname = 'shop' AND NOT attisdropped
ORDER BY namespace_id, relname, attnum
--: name DuckDB pages of a table
--: metadata
SELECT relname FROM pg_class WHERE relnamespace = 'shop'::regnamespace AND relkind = 'r' ORDER BY relname
--: name polars write probe
SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema = 'shop' AND table_name = 'orders'
--: name asyncpg type introspection
--: metadata
--: ties
WITH RECURSIVE typeinfo_tree(oid, ns, name, kind, basetype, elemtype, elemdelim, range_subtype, attrtypoids, attrnames, depth) AS (
    SELECT ti.oid, ns.nspname, ti.typname, ti.typtype, ti.typbasetype, ti.typelem, ti.typdelim, NULL::oid, NULL::oid[], NULL::text[], 0
    FROM pg_catalog.pg_type AS ti JOIN pg_catalog.pg_namespace AS ns ON (ns.oid = ti.typnamespace)
    WHERE ti.oid = ANY(ARRAY['shop.order_status'::regtype::oid, 1009])
    UNION ALL
    SELECT ti.oid, ns.nspname, ti.typname, ti.typtype, ti.typbasetype, ti.typelem, ti.typdelim, NULL::oid, NULL::oid[], NULL::text[], tt.depth + 1
    FROM pg_catalog.pg_type AS ti JOIN pg_catalog.pg_namespace AS ns ON (ns.oid = ti.typnamespace), typeinfo_tree tt
    WHERE tt.elemtype IS NOT NULL AND ti.oid = tt.elemtype
)
SELECT DISTINCT *, basetype::regtype::text AS basetype_name, elemtype::regtype::text AS elemtype_name FROM typeinfo_tree ORDER BY depth DESC
--: name R dbplyr
SELECT "country", AVG("balance") AS "balance", COUNT(*) AS "n" FROM (SELECT "customers".*, EXTRACT(year FROM "created_at") AS "year" FROM "shop"."customers" WHERE ("is_active" = TRUE)) AS "q01" GROUP BY "country" ORDER BY "country"
--: name R column probe
SELECT * FROM "shop"."customers" AS "q01" WHERE (0 = 1)
--: name Spark partitions
SELECT "id","total","status" FROM (select id, total, status from shop.orders) SPARK_GEN_SUBQ_0 WHERE "id" < 4000 or "id" is null
--: name Spark schema probe
SELECT * FROM shop.orders WHERE 1=0
--: name Trino aggregation
SELECT "status", sum("total") AS "_pfgnrtd_0", count(*) AS "_pfgnrtd_1" FROM "shop"."orders" WHERE ("ordered_at" >= CAST('2025-02-01 00:00:00+00' AS timestamptz)) GROUP BY "status"
--: name Airbyte cursor column
SELECT "id", "email", "created_at" FROM "shop"."customers" WHERE "created_at" > '2024-06-01T00:00:00Z' ORDER BY "created_at" ASC, "id"
--: name Fivetran max of a key
SELECT MAX("id") FROM "shop"."orders" WHERE "id" <= 100000
--: name Excel through ODBC
SELECT "customers"."name", "customers"."phone", "orders"."total" FROM "shop"."customers" "customers", "shop"."orders" "orders" WHERE ("customers"."id" = "orders"."customer_id") AND (("orders"."total" > 400)) ORDER BY "orders"."id"
