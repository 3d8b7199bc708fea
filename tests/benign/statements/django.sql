--: name set-up
--: metadata
SELECT set_config('TimeZone', 'UTC', false)
--: name isolation and role
SET TIME ZONE 'UTC'
--: name introspection of tables
--: metadata
SELECT c.relname, CASE WHEN c.relispartition THEN 'p' WHEN c.relkind IN ('m', 'v') THEN 'v' ELSE 't' END, obj_description(c.oid, 'pg_class')
FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('f', 'm', 'p', 'r', 'v') AND n.nspname NOT IN ('pg_catalog', 'pg_toast') AND pg_catalog.pg_table_is_visible(c.oid)
--: name introspection of columns
--: metadata
SELECT a.attname AS column_name, NOT (a.attnotnull OR (t.typtype = 'd' AND t.typnotnull)) AS is_nullable, pg_get_expr(ad.adbin, ad.adrelid) AS column_default, CASE WHEN collname = 'default' THEN NULL ELSE collname END AS collation, a.attidentity != '' AS is_autofield, col_description(a.attrelid, a.attnum) AS column_comment
FROM pg_attribute a LEFT JOIN pg_attrdef ad ON a.attrelid = ad.adrelid AND a.attnum = ad.adnum LEFT JOIN pg_collation co ON a.attcollation = co.oid JOIN pg_type t ON a.atttypid = t.oid JOIN pg_class c ON a.attrelid = c.oid JOIN pg_namespace n ON c.relnamespace = n.oid
WHERE c.relkind IN ('f', 'm', 'p', 'r', 'v') AND c.relname = 'orders' AND n.nspname NOT IN ('pg_catalog', 'pg_toast') AND pg_catalog.pg_table_is_visible(c.oid)
--: name introspection of relations
--: metadata
SELECT a1.attname, c2.relname, a2.attname
FROM pg_constraint con LEFT JOIN pg_class c1 ON con.conrelid = c1.oid LEFT JOIN pg_class c2 ON con.confrelid = c2.oid LEFT JOIN pg_attribute a1 ON c1.oid = a1.attrelid AND a1.attnum = con.conkey[1] LEFT JOIN pg_attribute a2 ON c2.oid = a2.attrelid AND a2.attnum = con.confkey[1]
WHERE c1.relname = 'orders' AND con.contype = 'f' AND c1.relnamespace = c2.relnamespace AND pg_catalog.pg_table_is_visible(c1.oid)
--: name introspection of constraints
--: metadata
--: ties
SELECT c.conname, array(SELECT attname FROM unnest(c.conkey) WITH ORDINALITY cols(colid, arridx) JOIN pg_attribute AS ca ON cols.colid = ca.attnum WHERE ca.attrelid = c.conrelid ORDER BY cols.arridx), c.contype, (SELECT fkc.relname || '.' || fka.attname FROM pg_attribute AS fka JOIN pg_class AS fkc ON fka.attrelid = fkc.oid WHERE fka.attrelid = c.confrelid AND fka.attnum = c.confkey[1]), cl.reloptions
FROM pg_constraint AS c JOIN pg_class AS cl ON c.conrelid = cl.oid WHERE cl.relname = 'orders' AND pg_catalog.pg_table_is_visible(cl.oid)
--: name get by key
--: parameters ["3"]
SELECT "customers"."id", "customers"."tenant_id", "customers"."name", "customers"."email", "customers"."ssn", "customers"."phone", "customers"."birth_date", "customers"."balance", "customers"."is_active", "customers"."tags" FROM "shop"."customers" WHERE "customers"."id" = $1 LIMIT 21
--: name annotate with counts
SELECT "customers"."id", "customers"."name", COUNT("orders"."id") AS "num_orders" FROM "shop"."customers" LEFT OUTER JOIN "shop"."orders" ON ("customers"."id" = "orders"."customer_id") GROUP BY "customers"."id" ORDER BY "num_orders" DESC, "customers"."id" ASC LIMIT 20
--: name annotate grouping by a key keeps masked columns
SELECT "customers"."id", "customers"."email", "customers"."phone", SUM("orders"."total") AS "spent" FROM "shop"."customers" INNER JOIN "shop"."orders" ON ("customers"."id" = "orders"."customer_id") GROUP BY "customers"."id" HAVING SUM("orders"."total") > 1500 ORDER BY "customers"."id" ASC
--: name aggregate
SELECT COUNT("orders"."id") AS "id__count", AVG("orders"."total") AS "total__avg", MAX("orders"."ordered_at") AS "ordered_at__max" FROM "shop"."orders"
--: name aggregate over a slice
SELECT COUNT("__col1"), SUM("__col2") FROM (SELECT "orders"."id" AS "__col1", "orders"."total" AS "__col2" FROM "shop"."orders" ORDER BY "orders"."id" LIMIT 50) subquery
--: name exists
SELECT 1 AS "a" FROM "shop"."customers" WHERE "customers"."country" = 'IN' LIMIT 1
--: name exists in parentheses
SELECT (1) AS "a" FROM "shop"."orders" WHERE "orders"."status" = 'shipped' LIMIT 1
--: name icontains
--: parameters ["%TURING%"]
SELECT "customers"."id", "customers"."name" FROM "shop"."customers" WHERE UPPER("customers"."name"::text) LIKE UPPER($1) ORDER BY "customers"."id" ASC
--: name iexact over a masked column
--: parameters ["A***@EXAMPLE.COM"]
SELECT COUNT(*) AS "__count" FROM "shop"."customers" WHERE UPPER("customers"."email"::text) = UPPER($1)
--: name prefetch
SELECT "orders"."id", "orders"."customer_id", "orders"."status", "orders"."total" FROM "shop"."orders" WHERE "orders"."customer_id" IN (1, 2, 3, 4, 5, 6) ORDER BY "orders"."id"
--: name select_related
SELECT "orders"."id", "orders"."total", "customers"."id", "customers"."name", "customers"."email" FROM "shop"."orders" INNER JOIN "shop"."customers" ON ("orders"."customer_id" = "customers"."id") WHERE "customers"."country" = 'GB' ORDER BY "orders"."ordered_at" DESC LIMIT 50
--: name dates in a time zone
SELECT DISTINCT (DATE_TRUNC('day', "orders"."ordered_at" AT TIME ZONE 'Europe/London'))::date AS "datefield" FROM "shop"."orders" WHERE ("orders"."ordered_at" AT TIME ZONE 'Europe/London')::date IS NOT NULL ORDER BY 1 ASC
--: name extracted parts
SELECT EXTRACT(YEAR FROM "orders"."ordered_at" AT TIME ZONE 'UTC') AS "year", EXTRACT(WEEK FROM "orders"."ordered_at" AT TIME ZONE 'UTC') AS "week", COUNT("orders"."id") AS "n" FROM "shop"."orders" GROUP BY 1, 2 ORDER BY 1, 2
--: name distinct count
SELECT COUNT(DISTINCT "orders"."customer_id") AS "n" FROM "shop"."orders" WHERE NOT ("orders"."status" = 'cancelled')
--: name exclude across a relation
SELECT "customers"."id" FROM "shop"."customers" WHERE NOT (EXISTS(SELECT 1 AS "a" FROM "shop"."orders" U1 WHERE (U1."status" = 'returned' AND U1."customer_id" = ("customers"."id")) LIMIT 1)) ORDER BY "customers"."id"
--: name subquery annotation
SELECT "customers"."id", (SELECT U0."total" FROM "shop"."orders" U0 WHERE U0."customer_id" = ("customers"."id") ORDER BY U0."ordered_at" DESC LIMIT 1) AS "latest_total" FROM "shop"."customers" ORDER BY "customers"."id" LIMIT 100
--: name case and F expressions
SELECT "orders"."id", CASE WHEN "orders"."total" > 500 THEN 'big' ELSE 'small' END AS "size", ("orders"."total" * 1.19) AS "gross" FROM "shop"."orders" WHERE "orders"."shipped_on" > (("orders"."ordered_at" AT TIME ZONE 'UTC')::date + 1) ORDER BY "orders"."id" LIMIT 50
--: name admin change list
SELECT COUNT(*) AS "__count" FROM "shop"."customers" WHERE ("customers"."name"::text LIKE '%a%' OR UPPER("customers"."email"::text) LIKE UPPER('%a%'))
--: name array and JSON fields
SELECT "customers"."id" FROM "shop"."customers" WHERE "customers"."tags" && (ARRAY['vip'])::text[] OR ("customers"."preferences" -> 'newsletter') = 'true'::jsonb ORDER BY 1
--: name union of query sets
(SELECT "customers"."name" AS "col1" FROM "shop"."customers" WHERE "customers"."id" < 50) UNION (SELECT "employees"."name" AS "col1" FROM "shop"."employees") ORDER BY (1) ASC
--: name window
SELECT "orders"."id", RANK() OVER (PARTITION BY "orders"."status" ORDER BY "orders"."total" DESC) AS "rank" FROM "shop"."orders" ORDER BY 2 ASC, 1 ASC LIMIT 50
--: name save in atomic
--: as wes
BEGIN
--: then
SAVEPOINT "s140_x1"
--: then
UPDATE "shop"."orders" SET "note" = 'late', "total" = ("orders"."total" + 1) WHERE "orders"."id" = 9
--: then
INSERT INTO "shop"."support_tickets" ("tenant_id", "customer_id", "employee_id", "subject", "body", "labels", "opened_at", "closed_at") VALUES (1, 1, NULL, 'Late', 'Where is it?', '{urgent}'::text[], '2025-12-01 00:00:00+00:00'::timestamptz, NULL) RETURNING "support_tickets"."subject"
--: then
RELEASE SAVEPOINT "s140_x1"
--: then
ROLLBACK
--: name server-side cursor
--: as wes
BEGIN
--: then
DECLARE "_django_curs_140_sync_1" NO SCROLL CURSOR WITH HOLD FOR SELECT "customers"."id", "customers"."email" FROM "shop"."customers" ORDER BY "customers"."id"
--: then
FETCH FORWARD 100 FROM "_django_curs_140_sync_1"
--: then
CLOSE "_django_curs_140_sync_1"
--: then
ROLLBACK
