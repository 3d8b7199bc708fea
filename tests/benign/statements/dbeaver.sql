--: name session set-up
SET extra_float_digits = 3
--: then
SET application_name = 'DBeaver 25.1.0 - Main <shop>'
--: then
SHOW search_path
--: name current state
--: metadata
SELECT current_schema(),session_user
--: name database
--: metadata
SELECT db.oid,db.datname,db.datallowconn,db.datistemplate FROM pg_catalog.pg_database db WHERE datname='shop'
--: name types
--: metadata
--: ties
SELECT t.oid,t.*,c.relkind,format_type(nullif(t.typbasetype, 0), t.typtypmod) as base_type_name, d.description
FROM pg_catalog.pg_type t
LEFT OUTER JOIN pg_catalog.pg_type et ON et.oid=t.typelem
LEFT OUTER JOIN pg_catalog.pg_class c ON c.oid=t.typrelid
LEFT OUTER JOIN pg_catalog.pg_description d ON t.oid=d.objoid
WHERE t.typname IS NOT NULL
AND (c.relkind IS NULL OR c.relkind = 'c') AND (et.typcategory IS NULL OR et.typcategory <> 'C')
--: name schemas
--: metadata
SELECT n.oid,n.nspname,n.nspowner,d.description FROM pg_catalog.pg_namespace n
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=n.oid AND d.objsubid=0 AND d.classoid='pg_namespace'::regclass
WHERE n.nspname NOT LIKE 'pg_temp%' AND n.nspname NOT LIKE 'pg_toast%'
ORDER BY nspname
--: name tables of a schema
--: metadata
--: parameters ["shop"]
SELECT c.oid, c.relname, c.relkind, c.relnamespace, c.relhasindex, c.relpersistence, d.description, pg_catalog.pg_get_partkeydef(c.oid) as partition_key
FROM pg_catalog.pg_class c
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0 AND d.classoid='pg_class'::regclass
WHERE c.relnamespace=(SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1) AND c.relkind not in ('i','I','c')
--: name columns of tables
--: metadata
SELECT c.relname,a.attname,a.attnum,a.atttypid,a.atttypmod,a.attnotnull,a.attidentity,pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) as def_value,dsc.description,dep.objid
FROM pg_catalog.pg_attribute a
INNER JOIN pg_catalog.pg_class c ON (a.attrelid=c.oid)
LEFT OUTER JOIN pg_catalog.pg_attrdef ad ON (a.attrelid=ad.adrelid AND a.attnum = ad.adnum)
LEFT OUTER JOIN pg_catalog.pg_description dsc ON (c.oid=dsc.objoid AND a.attnum = dsc.objsubid)
LEFT OUTER JOIN pg_depend dep on dep.refobjid = a.attrelid AND dep.deptype = 'i' and dep.refobjsubid = a.attnum and dep.classid = dep.refclassid
WHERE NOT a.attisdropped AND c.relkind not in ('i','I','c') AND c.oid='shop.payments'::regclass
ORDER BY a.attnum
--: name constraints of a table
--: metadata
SELECT c.oid,c.conname,c.contype,c.conrelid,c.confrelid,c.conkey,c.confkey,t.relname as tabrelname,rt.relnamespace as refnamespace,d.description, case when c.contype='c' then "substring"(pg_get_constraintdef(c.oid), 7) else null end consrc_copy
FROM pg_catalog.pg_constraint c
INNER JOIN pg_catalog.pg_class t ON t.oid=c.conrelid
LEFT OUTER JOIN pg_catalog.pg_class rt ON rt.oid=c.confrelid
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0 AND d.classoid='pg_constraint'::regclass
WHERE t.relnamespace = 'shop'::regnamespace AND c.contype <> 'n' ORDER BY c.oid
--: name indexes of a table
--: metadata
SELECT i.indexrelid,i.indrelid,i.indisunique,i.indisprimary,i.indkey,c.relname,pg_catalog.pg_get_expr(i.indpred, i.indrelid) as pred_expr, am.amname
FROM pg_catalog.pg_index i
INNER JOIN pg_catalog.pg_class c ON c.oid=i.indexrelid
INNER JOIN pg_catalog.pg_class tc ON tc.oid=i.indrelid
LEFT OUTER JOIN pg_catalog.pg_am am ON am.oid = c.relam
WHERE i.indrelid='shop.customers'::regclass ORDER BY c.relname
--: name data of a table
SELECT c.* FROM shop.customers c LIMIT 200
--: name data with filter and order
SELECT x.* FROM shop.customers x
WHERE country = 'DE' AND name LIKE 'A%'
ORDER BY x.id DESC LIMIT 200
--: name data ordered by a masked column
SELECT x.* FROM shop.customers x
ORDER BY x.balance DESC, x.id
--: name count of all rows
SELECT count(*) FROM shop.orders o
--: name count of a query
SELECT COUNT(*) FROM (
SELECT o.id FROM shop.orders o WHERE o.status = 'paid'
) dbvrcnt
--: name value panel aggregates
SELECT "country", COUNT(*) AS "_count_" FROM shop.customers GROUP BY "country" ORDER BY COUNT(*) DESC, "country" LIMIT 200
--: name reference panel
SELECT DISTINCT "id","name" FROM shop.customers WHERE CAST("id" AS TEXT) LIKE '12%' ORDER BY "id" LIMIT 200
--: name export reads with a cursor
--: as wes
BEGIN
--: then
DECLARE exp CURSOR WITHOUT HOLD FOR SELECT id, email, birth_date, preferences FROM shop.customers
--: then
FETCH 10 FROM exp
--: then
COMMIT
--: name edit of a cell
--: as wes
BEGIN
--: then
UPDATE shop.orders SET note='x' WHERE id=1000003
--: then
UPDATE shop.customers SET "name"='Anna' WHERE id=3
--: then
ROLLBACK
--: name partitions
--: metadata
SELECT c.relname, pg_catalog.pg_get_expr(c.relpartbound, c.oid) as partition_expr FROM pg_catalog.pg_inherits i, pg_catalog.pg_class c WHERE i.inhparent='shop.events'::regclass AND c.oid=i.inhrelid ORDER BY c.relname
--: name event payloads
SELECT e.id, e.kind, e.payload, e.client_address FROM shop.events e WHERE e.happened_at >= '2025-06-01' ORDER BY e.id LIMIT 200
--: name enum labels
--: metadata
SELECT e.enumlabel FROM pg_catalog.pg_enum e WHERE e.enumtypid='shop.order_status'::regtype ORDER BY e.enumsortorder
--: name settings
--: metadata
SELECT name, setting FROM pg_catalog.pg_settings WHERE name IN ('server_version', 'TimeZone', 'standard_conforming_strings') ORDER BY name
