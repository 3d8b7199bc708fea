--: name session set-up
SET DateStyle=ISO
--: then
SET client_min_messages=notice
--: then
SELECT set_config('bytea_output','hex',false) FROM pg_catalog.pg_settings WHERE name = 'bytea_output'
--: then
SET client_encoding='UTF8'
--: name session set-up as older editions send it
--: differs the function reads every setting of the server; pg_settings is answered
SELECT set_config('bytea_output','hex',false) FROM pg_show_all_settings() WHERE name = 'bytea_output'
--: name database of the connection
--: metadata
SELECT
    db.datname, db.datallowconn,
    pg_encoding_to_char(db.encoding) AS serverencoding,
    has_database_privilege(db.oid, 'CREATE') as cancreate,
    datistemplate
FROM
    pg_catalog.pg_database db
WHERE db.datname = current_database()
--: name role of the connection
--: metadata
SELECT
    roles.oid as id, roles.rolname as name,
    roles.rolsuper as is_superuser,
    CASE WHEN roles.rolsuper THEN true ELSE roles.rolcreaterole END as can_create_role,
    CASE WHEN roles.rolsuper THEN true ELSE roles.rolcreatedb END as can_create_db,
    CASE WHEN 'pg_signal_backend'=ANY(ARRAY(WITH RECURSIVE cte AS (
    SELECT pg_roles.oid,pg_roles.rolname FROM pg_roles
        WHERE pg_roles.oid = roles.oid
    UNION ALL
    SELECT m.roleid,pgr.rolname FROM cte cte_1
        JOIN pg_auth_members m ON m.member = cte_1.oid
        JOIN pg_roles pgr ON pgr.oid = m.roleid)
    SELECT rolname FROM cte)) THEN True
    ELSE False END as can_signal_backend
FROM
    pg_catalog.pg_roles as roles
WHERE
    rolname = current_user
--: name tree of schemas
--: metadata
SELECT
    nsp.oid,
    nsp.nspname as name,
    pg_catalog.has_schema_privilege(nsp.oid, 'CREATE') as can_create,
    pg_catalog.has_schema_privilege(nsp.oid, 'USAGE') as has_usage
FROM
    pg_catalog.pg_namespace nsp
WHERE
    nspname NOT LIKE E'pg\_%' AND
        NOT (
(nsp.nspname = 'pg_catalog' AND EXISTS
        (SELECT 1 FROM pg_catalog.pg_class WHERE relname = 'pg_class' AND
            relnamespace = nsp.oid LIMIT 1)) OR
(nsp.nspname = 'information_schema' AND EXISTS
        (SELECT 1 FROM pg_catalog.pg_class WHERE relname = 'tables' AND
            relnamespace = nsp.oid LIMIT 1))
    )
ORDER BY nspname;
--: name tree of tables
--: metadata
SELECT rel.oid, rel.relname AS name,
    (SELECT count(*) FROM pg_catalog.pg_trigger WHERE tgrelid=rel.oid AND tgisinternal = FALSE) AS triggercount,
    (SELECT count(*) FROM pg_catalog.pg_trigger WHERE tgrelid=rel.oid AND tgisinternal = FALSE AND tgenabled = 'O') AS has_enable_triggers,
    (CASE WHEN rel.relkind = 'p' THEN true ELSE false END) AS is_partitioned,
    nsp.nspname AS schema,
    nsp.oid AS schoid,
    rel.relname AS name2,
    (SELECT count(*) FROM pg_catalog.pg_inherits WHERE inhrelid=rel.oid LIMIT 1) as is_inherits,
    (SELECT count(*) FROM pg_catalog.pg_inherits WHERE inhparent=rel.oid LIMIT 1) as is_inherited
FROM pg_catalog.pg_class rel
INNER JOIN pg_catalog.pg_namespace nsp ON rel.relnamespace= nsp.oid
    WHERE rel.relkind IN ('r','s','t','p') AND nsp.nspname = 'shop'
    AND NOT rel.relispartition
    ORDER BY rel.relname;
--: name tree of columns
--: metadata
SELECT att.attname as name, att.attnum, att.attnum as "OID", pg_catalog.format_type(ty.oid,NULL) AS datatype, att.attnotnull as not_null, att.atthasdef as has_default_val, des.description
FROM pg_catalog.pg_attribute att
    JOIN pg_catalog.pg_type ty ON ty.oid=atttypid
    JOIN pg_catalog.pg_namespace tn ON tn.oid=ty.typnamespace
    JOIN pg_catalog.pg_class cl ON cl.oid=att.attrelid
    JOIN pg_catalog.pg_namespace na ON na.oid=cl.relnamespace
    LEFT OUTER JOIN pg_catalog.pg_description des ON (des.objoid=att.attrelid AND des.objsubid=att.attnum AND des.classoid='pg_class'::regclass)
WHERE
    att.attrelid = 'shop.orders'::regclass::oid
    AND att.attnum > 0
    AND att.attisdropped IS FALSE
ORDER BY att.attnum;
--: name properties of a table
--: metadata
SELECT rel.oid, rel.relname AS name, rel.reltablespace AS spcoid, rel.relacl::text AS relacl_str,
  (CASE WHEN length(spc.spcname::text) > 0 THEN spc.spcname ELSE
    (SELECT sp.spcname FROM pg_catalog.pg_database dtb JOIN pg_catalog.pg_tablespace sp ON dtb.dattablespace=sp.oid WHERE dtb.datname = current_database())
  END) as spcname,
  nsp.nspname as schema, pg_catalog.pg_get_userbyid(rel.relowner) AS relowner, rel.relkind, rel.relhassubclass, des.description, con.conname, con.conkey
FROM pg_catalog.pg_class rel
  LEFT OUTER JOIN pg_catalog.pg_tablespace spc on spc.oid=rel.reltablespace
  LEFT OUTER JOIN pg_catalog.pg_description des ON (des.objoid=rel.oid AND des.objsubid=0 AND des.classoid='pg_class'::regclass)
  LEFT OUTER JOIN pg_catalog.pg_constraint con ON con.conrelid=rel.oid AND con.contype='p'
  LEFT JOIN pg_catalog.pg_namespace nsp ON rel.relnamespace = nsp.oid
WHERE nsp.nspname = 'shop' AND rel.relkind IN ('r','p') AND rel.relname = 'orders'
--: name indexes of a table
--: metadata
SELECT DISTINCT ON(cls.relname) cls.oid, cls.relname as name, idx.indisprimary, idx.indisunique
FROM pg_catalog.pg_index idx
    JOIN pg_catalog.pg_class cls ON cls.oid=indexrelid
    JOIN pg_catalog.pg_class tab ON tab.oid=indrelid
    LEFT OUTER JOIN pg_catalog.pg_tablespace ta on ta.oid=cls.reltablespace
    JOIN pg_catalog.pg_namespace n ON n.oid=tab.relnamespace
    JOIN pg_catalog.pg_am am ON am.oid=cls.relam
    LEFT JOIN pg_catalog.pg_depend dep ON (dep.classid = cls.tableoid AND dep.objid = cls.oid AND dep.refobjsubid = '0'
        AND dep.refclassid=(SELECT oid FROM pg_catalog.pg_class WHERE relname='pg_constraint') AND dep.deptype='i')
    LEFT OUTER JOIN pg_catalog.pg_constraint con ON (con.tableoid = dep.refclassid AND con.oid = dep.refobjid)
WHERE indrelid = 'shop.orders'::regclass
    ORDER BY cls.relname
--: name data grid
SELECT * FROM shop.customers
ORDER BY id ASC LIMIT 100
--: name data grid in pages
SELECT * FROM shop.orders
ORDER BY id DESC OFFSET 100 LIMIT 100
--: name data grid of a view
SELECT * FROM shop.customer_totals
LIMIT 5000
--: name data grid with a filter
SELECT * FROM shop.payments
WHERE amount > 500 AND method = 'card' ORDER BY id ASC LIMIT 1000
--: name primary key of the grid
--: metadata
SELECT at.attname, at.attnum, ty.typname
FROM pg_catalog.pg_attribute at LEFT JOIN pg_catalog.pg_type ty ON (ty.oid = at.atttypid)
WHERE attrelid='shop.customers'::regclass AND attnum = ANY (
    (SELECT con.conkey FROM pg_catalog.pg_class rel LEFT OUTER JOIN pg_catalog.pg_constraint con ON con.conrelid=rel.oid
    AND con.contype='p' WHERE rel.relkind IN ('r','s','t', 'p') AND rel.oid = 'shop.customers'::regclass)::oid[])
--: name count of rows
SELECT COUNT(*) AS count FROM ONLY shop.customers
--: name type names of the grid
--: metadata
SELECT oid, pg_catalog.format_type(oid, NULL) AS typname FROM pg_catalog.pg_type WHERE oid = ANY(ARRAY[23, 25, 1043, 1700, 1184]) ORDER BY oid;
--: name query tool cursor
--: as wes
BEGIN
--: then
DECLARE "CURSOR:CONN:4321" SCROLL CURSOR FOR SELECT id, name, email, tags FROM shop.customers ORDER BY id
--: then
FETCH FORWARD 1000 FROM "CURSOR:CONN:4321"
--: then
MOVE ABSOLUTE 10 IN "CURSOR:CONN:4321"
--: then
FETCH NEXT FROM "CURSOR:CONN:4321"
--: then
ROLLBACK
--: name view definition of an open view
--: metadata
SELECT c.oid, c.relname AS name, c.relkind, nsp.nspname AS schema FROM pg_catalog.pg_class c LEFT OUTER JOIN pg_catalog.pg_namespace nsp on nsp.oid = c.relnamespace WHERE c.relkind = 'v' AND nsp.nspname = 'shop' ORDER BY c.relname
--: name types of a schema
--: metadata
SELECT t.oid, t.typname AS name FROM pg_catalog.pg_type t LEFT OUTER JOIN pg_catalog.pg_type e ON e.oid=t.typelem LEFT OUTER JOIN pg_catalog.pg_class ct ON ct.oid=t.typrelid AND ct.relkind <> 'c' LEFT OUTER JOIN pg_catalog.pg_namespace nsp ON nsp.oid = t.typnamespace WHERE t.typtype != 'd' AND t.typname NOT LIKE E'\\_%' AND nsp.nspname = 'shop' AND ct.oid is NULL ORDER BY t.typname
--: name sequences of a schema
--: ties
--: metadata
SELECT cl.oid as oid, relname as name, relnamespace as schema FROM pg_catalog.pg_class cl LEFT OUTER JOIN pg_catalog.pg_depend d1 ON d1.refobjid = cl.oid AND d1.deptype = 'i' WHERE relkind = 'S' AND relnamespace = 'shop'::regnamespace ORDER BY relname
