--: name connection probes
--: as wes
--: metadata
select current_schemas(false)
--: name temporary table probe
--: as wes
BEGIN
--: then
CREATE LOCAL TEMPORARY TABLE "#Tableau_01_5D3CDAF6-8A7B-4C53-A1B4-2C3D6F0E1B2A_1_Connect_CheckCreateTempTableCap" (
  "COL" INTEGER
  ) ON COMMIT PRESERVE ROWS
--: then
INSERT INTO "#Tableau_01_5D3CDAF6-8A7B-4C53-A1B4-2C3D6F0E1B2A_1_Connect_CheckCreateTempTableCap" ("COL") VALUES (1)
--: then
SELECT "COL" FROM "#Tableau_01_5D3CDAF6-8A7B-4C53-A1B4-2C3D6F0E1B2A_1_Connect_CheckCreateTempTableCap"
--: then
DROP TABLE "#Tableau_01_5D3CDAF6-8A7B-4C53-A1B4-2C3D6F0E1B2A_1_Connect_CheckCreateTempTableCap"
--: then
COMMIT
--: name select into probe
--: as wes
SELECT *
INTO TEMPORARY "#Tableau_02_Connect_CheckSelectIntoCap"
FROM (SELECT 1 AS "COL") AS "CheckSelectIntoCap"
LIMIT 1
--: then
SELECT "COL" FROM "#Tableau_02_Connect_CheckSelectIntoCap"
--: name set of temporary groups
--: as wes
CREATE LOCAL TEMPORARY TABLE "#Tableau_03_Group" ("country" VARCHAR(2), "group" VARCHAR(10))
--: then
INSERT INTO "#Tableau_03_Group" ("country", "group") VALUES ('DE', 'EMEA'), ('FR', 'EMEA'), ('GB', 'EMEA'), ('US', 'AMER'), ('BR', 'AMER')
--: then
SELECT "t0"."group" AS "group", SUM("orders"."total") AS "sum:total:ok"
FROM "shop"."orders" "orders"
  INNER JOIN "shop"."customers" "customers" ON ("orders"."customer_id" = "customers"."id")
  INNER JOIN "#Tableau_03_Group" "t0" ON ("customers"."country" = "t0"."country")
GROUP BY 1
ORDER BY 1 ASC
--: name metadata of a custom query
SELECT * FROM (
  SELECT c.id, c.email, o.total FROM shop.customers c JOIN shop.orders o ON o.customer_id = c.id
) "Custom SQL Query" LIMIT 0
--: name number of records
SELECT SUM(1) AS "cnt:customers_9F0C:ok"
FROM "shop"."customers" "customers"
HAVING (COUNT(1) > 0)
--: name bar chart
SELECT CAST("orders"."status" AS TEXT) AS "status",
  SUM("orders"."total") AS "sum:total:ok"
FROM "shop"."orders" "orders"
GROUP BY 1
--: name text is trimmed
SELECT TRIM(TRAILING FROM "customers"."country"::TEXT) AS "country", COUNT(DISTINCT "customers"."id") AS "ctd:id:ok" FROM "shop"."customers" "customers" GROUP BY 1
--: name month as a date
SELECT CAST(TRUNC(EXTRACT(YEAR FROM "orders"."ordered_at")) AS INTEGER) AS "yr:ordered_at:ok",
  CAST(TRUNC(EXTRACT(MONTH FROM "orders"."ordered_at")) AS INTEGER) AS "mn:ordered_at:ok",
  COUNT(1) AS "cnt"
FROM "shop"."orders" "orders"
GROUP BY 1, 2
--: name truncated date with a cast
SELECT DATE_TRUNC( 'QUARTER', CAST("orders"."ordered_at" AS TIMESTAMP) ) AS "tqr:ordered_at:ok",
  AVG("orders"."total") AS "avg:total:ok"
FROM "shop"."orders" "orders"
WHERE (("orders"."ordered_at" >= (TIMESTAMP '2025-01-01 00:00:00.000')) AND ("orders"."ordered_at" < (TIMESTAMP '2026-01-01 00:00:00.000')))
GROUP BY 1
--: name weekday
SELECT (1 + CAST(EXTRACT(DOW FROM "orders"."ordered_at") AS INTEGER)) AS "wd:ordered_at:ok", SUM(1) AS "n" FROM "shop"."orders" "orders" GROUP BY 1 HAVING (COUNT(1) > 0)
--: name level of detail
SELECT "t0"."x_measure__0" AS "spent", COUNT(1) AS "customers"
FROM (
  SELECT "orders"."customer_id" AS "customer_id", ROUND(SUM("orders"."total"), -3) AS "x_measure__0"
  FROM "shop"."orders" "orders"
  GROUP BY 1
) "t0"
GROUP BY 1
--: name fixed level joined back
SELECT "customers"."country" AS "country",
  AVG("t0"."__measure__0") AS "avg:orders:ok"
FROM "shop"."customers" "customers"
  INNER JOIN (
  SELECT "customers"."id" AS "id", COUNT("orders"."id") AS "__measure__0"
  FROM "shop"."customers" "customers"
    LEFT JOIN "shop"."orders" "orders" ON ("customers"."id" = "orders"."customer_id")
  GROUP BY 1
) "t0" ON ("customers"."id" IS NOT DISTINCT FROM "t0"."id")
GROUP BY 1
ORDER BY 1 ASC
--: name top by a field
SELECT "customers"."name" AS "name", SUM("orders"."total") AS "sum:total:ok"
FROM "shop"."orders" "orders"
  INNER JOIN "shop"."customers" "customers" ON ("orders"."customer_id" = "customers"."id")
  INNER JOIN (
  SELECT "customers"."name" AS "name", SUM("orders"."total") AS "$__alias__0"
  FROM "shop"."orders" "orders" INNER JOIN "shop"."customers" "customers" ON ("orders"."customer_id" = "customers"."id")
  GROUP BY 1
  ORDER BY 2 DESC, 1 ASC
  LIMIT 10
) "t0" ON ("customers"."name" = "t0"."name")
GROUP BY 1
--: name quick filter domain
SELECT "customers"."email" AS "email"
FROM "shop"."customers" "customers"
GROUP BY 1
ORDER BY 1 ASC
--: name range of a measure
SELECT MIN("customers"."balance") AS "TEMP(TC_)(1)(0)", MAX("customers"."balance") AS "TEMP(TC_)(2)(0)", COUNT("customers"."balance") AS "TEMP(TC_)(3)(0)" FROM "shop"."customers" "customers"
--: name standard deviation by parts
SELECT SUM(("orders"."total" * "orders"."total")) AS "TEMP(Calculation)(1)", SUM("orders"."total") AS "TEMP(Calculation)(2)", COUNT("orders"."total") AS "TEMP(Calculation)(3)", CAST("orders"."status" AS TEXT) AS "status" FROM "shop"."orders" "orders" GROUP BY 4
--: name calculated field with case and strpos
SELECT (CASE WHEN (STRPOS(CAST(LOWER(CAST(CAST("customers"."name" AS TEXT) AS TEXT)) AS TEXT),CAST('ada' AS TEXT)) > 0) THEN 'Ada' WHEN NOT (STRPOS(CAST(LOWER(CAST(CAST("customers"."name" AS TEXT) AS TEXT)) AS TEXT),CAST('ada' AS TEXT)) > 0) THEN 'other' ELSE CAST(NULL AS TEXT) END) AS "Calculation_1", SUM(1) AS "n" FROM "shop"."customers" "customers" GROUP BY 1
--: name in set filter
SELECT "products"."category" AS "category", SUM("order_items"."quantity") AS "sum:quantity:ok" FROM "shop"."order_items" "order_items" LEFT JOIN "shop"."products" "products" ON ("order_items"."product_id" = "products"."id") WHERE ("products"."category" IN ('furniture', 'kitchen')) GROUP BY 1
--: name exclude nulls and a join on the tenant
SELECT "tenants"."name" AS "name", COUNT(DISTINCT "support_tickets"."customer_id") AS "ctd" FROM "shop"."support_tickets" "support_tickets" INNER JOIN "shop"."tenants" "tenants" ON ("support_tickets"."tenant_id" = "tenants"."id") WHERE (NOT ("support_tickets"."closed_at" IS NULL)) GROUP BY 1
--: name underlying data
SELECT "orders"."id" AS "id", "orders"."note" AS "note", "orders"."total" AS "total", "customers"."email" AS "email", "customers"."phone" AS "phone"
FROM "shop"."orders" "orders" INNER JOIN "shop"."customers" "customers" ON ("orders"."customer_id" = "customers"."id")
WHERE (CAST("orders"."status" AS TEXT) = 'returned')
ORDER BY 1
LIMIT 200
--: name cursor of the driver
--: as wes
BEGIN
--: then
declare "SQL_CUR0x7f3a8c0" cursor with hold for SELECT "customers"."id", "customers"."email" FROM "shop"."customers" "customers" ORDER BY 1
--: then
fetch 100 in "SQL_CUR0x7f3a8c0"
--: then
fetch 100 in "SQL_CUR0x7f3a8c0"
--: then
close "SQL_CUR0x7f3a8c0"
--: then
COMMIT
--: name tables of the driver
--: metadata
--: ties
select relname, nspname, relkind from pg_catalog.pg_class c, pg_catalog.pg_namespace n where relkind in ('r', 'v', 'm', 'f', 'p') and nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'pg_temp_1') and n.oid = relnamespace order by nspname, relname
--: name columns of the driver
--: metadata
select n.nspname, c.relname, a.attname, a.atttypid, t.typname, a.attnum, a.attlen, a.atttypmod, a.attnotnull, c.relhasrules, c.relkind, c.oid, pg_get_expr(d.adbin, d.adrelid), case t.typtype when 'd' then t.typbasetype else 0 end, t.typtypmod, 0, attidentity from (((pg_catalog.pg_class c inner join pg_catalog.pg_namespace n on n.oid = c.relnamespace and c.relname = 'payments' and n.nspname = 'shop') inner join pg_catalog.pg_attribute a on (not a.attisdropped) and a.attnum > 0 and a.attrelid = c.oid) inner join pg_catalog.pg_type t on t.oid = a.atttypid) left outer join pg_attrdef d on a.atthasdef and d.adrelid = a.attrelid and d.adnum = a.attnum order by n.nspname, c.relname, attnum
