--: name navigator tables
--: metadata
select TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE
from INFORMATION_SCHEMA.tables
where TABLE_SCHEMA not in ('information_schema', 'pg_catalog')
order by TABLE_SCHEMA, TABLE_NAME
--: name character set
--: metadata
select character_set_name from INFORMATION_SCHEMA.character_sets
--: name columns
--: metadata
select COLUMN_NAME, ORDINAL_POSITION, IS_NULLABLE, case when (data_type like '%unsigned%') then DATA_TYPE || ' unsigned' else DATA_TYPE end as DATA_TYPE
from INFORMATION_SCHEMA.columns
where TABLE_SCHEMA = 'shop' and TABLE_NAME = 'customers'
order by TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION
--: name primary and unique keys
--: metadata
select i.CONSTRAINT_SCHEMA || '_' || i.CONSTRAINT_NAME as INDEX_NAME, ii.COLUMN_NAME, ii.ORDINAL_POSITION, case when i.CONSTRAINT_TYPE = 'PRIMARY KEY' then 'Y' else 'N' end as PRIMARY_KEY
from INFORMATION_SCHEMA.table_constraints i inner join INFORMATION_SCHEMA.key_column_usage ii on i.CONSTRAINT_SCHEMA = ii.CONSTRAINT_SCHEMA and i.CONSTRAINT_NAME = ii.CONSTRAINT_NAME and i.TABLE_SCHEMA = ii.TABLE_SCHEMA and i.TABLE_NAME = ii.TABLE_NAME
where i.TABLE_SCHEMA = 'shop' and i.TABLE_NAME = 'customers' and i.CONSTRAINT_TYPE in ('PRIMARY KEY', 'UNIQUE')
order by i.CONSTRAINT_SCHEMA || '_' || i.CONSTRAINT_NAME, ii.TABLE_SCHEMA, ii.TABLE_NAME, ii.ORDINAL_POSITION
--: name foreign keys out
--: metadata
select pkcol.COLUMN_NAME as PK_COLUMN_NAME, fkcol.TABLE_SCHEMA AS FK_TABLE_SCHEMA, fkcol.TABLE_NAME AS FK_TABLE_NAME, fkcol.COLUMN_NAME as FK_COLUMN_NAME, fkcol.ORDINAL_POSITION as ORDINAL, fkcon.CONSTRAINT_SCHEMA || '_' || fkcol.TABLE_NAME || '_' || 'customers' || '_' || fkcon.CONSTRAINT_NAME as FK_NAME
from (select distinct constraint_catalog, constraint_schema, unique_constraint_schema, constraint_name, unique_constraint_name from INFORMATION_SCHEMA.referential_constraints) fkcon
inner join INFORMATION_SCHEMA.key_column_usage fkcol on fkcon.CONSTRAINT_SCHEMA = fkcol.CONSTRAINT_SCHEMA and fkcon.CONSTRAINT_NAME = fkcol.CONSTRAINT_NAME
inner join INFORMATION_SCHEMA.key_column_usage pkcol on fkcon.UNIQUE_CONSTRAINT_SCHEMA = pkcol.CONSTRAINT_SCHEMA and fkcon.UNIQUE_CONSTRAINT_NAME = pkcol.CONSTRAINT_NAME
where pkcol.TABLE_SCHEMA = 'shop' and pkcol.TABLE_NAME = 'customers' and pkcol.ORDINAL_POSITION = fkcol.ORDINAL_POSITION
order by FK_NAME, fkcol.ORDINAL_POSITION
--: name preview
select "$Table"."id" as "id", "$Table"."tenant_id" as "tenant_id", "$Table"."name" as "name", "$Table"."email" as "email", "$Table"."ssn" as "ssn", "$Table"."balance" as "balance", "$Table"."created_at" as "created_at"
from "shop"."customers" "$Table"
limit 1000
--: name load of a table
select "_"."id", "_"."tenant_id", "_"."order_id", "_"."method", "_"."amount", "_"."paid_at" from "shop"."payments" "_"
--: name direct query aggregate
select "basetable0"."c1" as "c1", "basetable0"."a0" as "a0"
from (select "rows"."c1" as "c1", sum("rows"."c2") as "a0"
  from (select "$Table"."country" as "c1", "$Outer"."total" as "c2" from "shop"."customers" "$Table" inner join "shop"."orders" "$Outer" on ("$Table"."id" = "$Outer"."customer_id")) "rows"
  group by "c1") "basetable0"
order by "basetable0"."c1"
limit 1000001
--: name folded query
select "rows"."status" as "status", count(1) as "Count", sum("rows"."total") as "Sum"
from
(
    select "_"."status", "_"."total"
    from
    (
        select "_"."id", "_"."status", "_"."total", "_"."ordered_at"
        from "shop"."orders" "_"
        where "_"."ordered_at" >= timestamp '2025-03-01 00:00:00' and "_"."ordered_at" < timestamp '2025-09-01 00:00:00'
    ) "_"
) "rows"
group by "status"
--: name TOPN
select "_"."c1", "_"."a0" from (select "_"."name" as "c1", sum("_"."price") as "a0" from "shop"."products" "_" group by "_"."name") "_" where not "_"."a0" is null order by "_"."a0" desc, "_"."c1" limit 501
--: name case normalised
select "_"."c1" as "c1", min("_"."c2") as "a0", max("_"."c2") as "a1", count(distinct "_"."c3") + max(case when "_"."c3" is null then 1 else 0 end) as "a2" from (select upper("$Table"."country") as "c1", "$Table"."balance" as "c2", "$Table"."phone" as "c3" from "shop"."customers" "$Table") "_" group by "_"."c1" order by "_"."c1"
--: name nested join
select "$Outer"."id", "$Outer"."total", "$Inner"."name" as "customer", "$Inner"."email" from (select "_"."id", "_"."total", "_"."customer_id" as "customer_id2" from "shop"."orders" "_" where "_"."status" = 'paid') "$Outer" left outer join "shop"."customers" "$Inner" on ("$Outer"."customer_id2" = "$Inner"."id") order by "$Outer"."id" limit 1001
--: name conditional column
select "_"."id", case when "_"."total" >= 300 then 'A' when "_"."total" >= 100 and "_"."total" is not null then 'B' else 'C' end as "class" from "shop"."orders" "_" order by "_"."id" limit 200
--: name text operations
select "_"."id" as "id", substring("_"."name", 1, 3) || '-' || upper(trim("_"."loyalty_code")) as "code", length("_"."email") as "length" from "shop"."customers" "_" where position('a' in lower("_"."name")) > 0 order by "_"."id" limit 100
--: name year and month columns
select cast(extract(year from "_"."paid_at") as integer) as "year", cast(date_part('month', "_"."paid_at") as integer) as "month", sum(cast("_"."amount" as decimal(38, 6))) as "amount" from "shop"."payments" "_" group by 1, 2 order by 1, 2
--: name incremental refresh
--: parameters ["2025-04-01 00:00:00", "2025-05-01 00:00:00"]
select "_"."id", "_"."total" from "shop"."orders" "_" where "_"."ordered_at" >= $1::timestamp and "_"."ordered_at" < $2::timestamp order by "_"."id"
--: name native query wrapped
select "$Table".* from (select c.country, count(*) as n, avg(c.balance) as balance from shop.customers c where c.is_active group by c.country) "$Table" order by "country" limit 4096
--: name row count
select count(*) as "$Item" from (select 1 from "shop"."support_tickets" "_") "rows"
--: name Npgsql loads types
--: metadata
--: ties
SELECT ns.nspname, t.oid, t.typname, t.typtype, t.typnotnull, t.elemtypoid
FROM (
    -- Arrays have typtype=b - this subquery identifies them by their typreceive and converts their typtype to a
    SELECT typ.oid, typ.typnamespace, typ.typname, typ.typtype, typ.typrelid, typ.typnotnull, typ.relkind,
        elemtyp.oid AS elemtypoid, elemtyp.typname AS elemtypname, elemcls.relkind AS elemrelkind,
        CASE WHEN elemproc.proname='array_recv' THEN 'a' ELSE elemtyp.typtype END AS elemtyptype
    FROM (
        SELECT typ.oid, typnamespace, typname, typrelid, typnotnull, relkind, typelem AS elemoid,
            CASE WHEN proc.proname='array_recv' THEN 'a' ELSE typ.typtype END AS typtype,
            CASE WHEN proc.proname='array_recv' THEN typ.typelem WHEN typ.typtype='r' THEN rngsubtype WHEN typ.typtype='m' THEN (SELECT rngtypid FROM pg_range WHERE rngmultitypid = typ.oid) WHEN typ.typtype='d' THEN typ.typbasetype END AS elemtypoid
        FROM pg_type AS typ
        LEFT JOIN pg_class AS cls ON (cls.oid = typ.typrelid)
        LEFT JOIN pg_proc AS proc ON proc.oid = typ.typreceive
        LEFT JOIN pg_range ON (pg_range.rngtypid = typ.oid)
    ) AS typ
    LEFT JOIN pg_type AS elemtyp ON elemtyp.oid = elemtypoid
    LEFT JOIN pg_class AS elemcls ON (elemcls.oid = elemtyp.typrelid)
    LEFT JOIN pg_proc AS elemproc ON elemproc.oid = elemtyp.typreceive
) AS t
JOIN pg_namespace AS ns ON (ns.oid = typnamespace)
WHERE
    typtype IN ('b', 'r', 'm', 'e', 'd') OR -- Base, range, multirange, enum, domain
    (typtype = 'c' AND relkind='c') OR -- User-defined free-standing composites (not table composites) by default
    (typtype = 'p' AND typname IN ('record', 'void', 'unknown')) OR -- Some special supported pseudo-types
    (typtype = 'a' AND (elemtyptype IN ('b', 'r', 'm', 'e', 'd') OR (elemtyptype = 'p' AND elemtypname IN ('record', 'void')) OR (elemtyptype = 'c' AND elemrelkind='c')))
ORDER BY CASE WHEN typtype IN ('b', 'e', 'p') THEN 0 WHEN typtype = 'r' THEN 1 WHEN typtype = 'm' THEN 2 WHEN typtype = 'c' THEN 3 WHEN typtype = 'd' AND elemtyptype <> 'a' THEN 4 WHEN typtype = 'a' THEN 5 WHEN typtype = 'd' AND elemtyptype = 'a' THEN 6 END
--: name Npgsql loads enums
--: metadata
SELECT pg_type.oid, enumlabel
FROM pg_enum
JOIN pg_type ON pg_type.oid=enumtypid
ORDER BY oid, enumsortorder
