--: name query comment and relations
--: metadata
--: ties
/* {"app": "dbt", "dbt_version": "1.11.2", "profile_name": "shop", "target_name": "dev", "connection_name": "list_shop_shop"} */
    select
      'shop' as database,
      tablename as name,
      schemaname as schema,
      'table' as type
    from pg_tables
    where schemaname ilike 'shop'
    union all
    select
      'shop' as database,
      viewname as name,
      schemaname as schema,
      'view' as type
    from pg_views
    where schemaname ilike 'shop'
    union all
    select
      'shop' as database,
      matviewname as name,
      schemaname as schema,
      'materialized_view' as type
    from pg_matviews
    where schemaname ilike 'shop'
--: name schemas
--: metadata
select distinct nspname from pg_namespace where nspname !~ '^pg_temp' order by 1
--: name schema exists
--: metadata
select count(*) from pg_namespace where nspname = 'shop'
--: name columns of a relation
--: metadata
      select
          column_name,
          data_type,
          character_maximum_length,
          numeric_precision,
          numeric_scale
      from "information_schema".columns
      where table_name = 'customers'
        and table_schema = 'shop'
      order by ordinal_position
--: name dependencies between relations
--: metadata
--: ties
with relation as (
        select
            pg_rewrite.ev_class as class,
            pg_rewrite.oid as id
        from pg_rewrite
    ),
    class as (
        select
            oid as id,
            relname as name,
            relnamespace as schema,
            relkind as kind
        from pg_class
    ),
    dependency as (
        select distinct
            pg_depend.objid as id,
            pg_depend.refobjid as ref
        from pg_depend
    ),
    schema as (
        select
            pg_namespace.oid as id,
            pg_namespace.nspname as name
        from pg_namespace
        where nspname != 'information_schema' and nspname not like 'pg\_%'
    ),
    referenced as (
        select
            relation.id AS id,
            referenced_class.name ,
            referenced_class.schema ,
            referenced_class.kind
        from relation
        join class as referenced_class on relation.class=referenced_class.id
        where referenced_class.kind in ('r', 'v', 'm')
    ),
    relationships as (
        select
            referenced.name as referenced_name,
            referenced.schema as referenced_schema_id,
            dependent_class.name as dependent_name,
            dependent_class.schema as dependent_schema_id,
            referenced.kind as kind
        from referenced
        join dependency on referenced.id=dependency.id
        join class as dependent_class on dependency.ref=dependent_class.id
        where
            (referenced.name != dependent_class.name or
             referenced.schema != dependent_class.schema)
    )
    select
        referenced_schema.name as referenced_schema,
        relationships.referenced_name as referenced_name,
        dependent_schema.name as dependent_schema,
        relationships.dependent_name as dependent_name
    from relationships
    join schema as dependent_schema on relationships.dependent_schema_id=dependent_schema.id
    join schema as referenced_schema on relationships.referenced_schema_id=referenced_schema.id
    group by referenced_schema, referenced_name, dependent_schema, dependent_name
    order by referenced_schema, referenced_name, dependent_schema, dependent_name
--: name catalog for docs
--: metadata
--: ties
    select
        'shop' as table_database,
        sch.nspname as table_schema,
        tbl.relname as table_name,
        case
            when tbl.relkind = 'v' then 'VIEW'
            when tbl.relkind = 'm' then 'MATERIALIZED VIEW'
            else 'BASE TABLE'
        end as table_type,
        tbl_desc.description as table_comment,
        col.attname as column_name,
        col.attnum as column_index,
        pg_catalog.format_type(col.atttypid, col.atttypmod) as column_type,
        col_desc.description as column_comment,
        pg_get_userbyid(tbl.relowner) as table_owner
    from pg_catalog.pg_namespace sch
    join pg_catalog.pg_class tbl on tbl.relnamespace = sch.oid
    join pg_catalog.pg_attribute col on col.attrelid = tbl.oid
    left outer join pg_catalog.pg_description tbl_desc on (tbl_desc.objoid = tbl.oid and tbl_desc.objsubid = 0)
    left outer join pg_catalog.pg_description col_desc on (col_desc.objoid = tbl.oid and col_desc.objsubid = col.attnum)
    where (
          upper(sch.nspname) = upper('shop')
      )
      and not pg_is_other_temp_schema(sch.oid) -- not a temporary schema belonging to another session
      and tbl.relpersistence in ('p', 'u') -- [p]ermanent table or [u]nlogged table. Exclude [t]emporary tables
      and tbl.relkind in ('r', 'v', 'f', 'p', 'm') -- o[r]dinary table, [v]iew, [f]oreign table, [p]artitioned table. Other values are [i]ndex, [S]equence, [c]omposite type, [t]OAST table, [m]aterialized view
      and col.attnum > 0 -- negative numbers are used for system columns such as oid
      and not col.attisdropped -- column as not been dropped
    order by
        sch.nspname,
        tbl.relname,
        col.attnum
--: name show a model
/* {"app": "dbt", "dbt_version": "1.11.2", "node_id": "model.shop.customer_orders"} */
select * from (
        with orders as (select * from "shop"."orders"), customers as (select * from "shop"."customers")
        select customers.id as customer_id, customers.email, count(orders.id) as number_of_orders, sum(orders.total) as amount
        from customers left join orders on orders.customer_id = customers.id
        group by 1, 2
    ) as model_subq
    order by customer_id
    limit 500
--: name model preview without an order
select * from (select id, name, email, ssn from shop.customers) as model_subq limit 5
--: name empty subquery for columns
select * from (
        select o.id, o.status, c.email from shop.orders o join shop.customers c on c.id = o.customer_id
    ) as __dbt_sbq
    where false
    limit 0
--: name test not null
select
      count(*) as failures,
      count(*) != 0 as should_warn,
      count(*) != 0 as should_error
    from (

select id
from "shop"."customers"
where id is null

    ) dbt_internal_test
--: name test unique
select
      count(*) as failures,
      count(*) != 0 as should_warn,
      count(*) != 0 as should_error
    from (

select
    email as unique_field,
    count(*) as n_records

from "shop"."customers"
where email is not null
group by email
having count(*) > 1

    ) dbt_internal_test
--: name test accepted values
select
      count(*) as failures,
      count(*) != 0 as should_warn,
      count(*) != 0 as should_error
    from (

with all_values as (

    select
        status as value_field,
        count(*) as n_records

    from "shop"."orders"
    group by status

)

select *
from all_values
where value_field not in (
    'new','paid','shipped','returned','cancelled'
)

    ) dbt_internal_test
--: name test relationships
select
      count(*) as failures,
      count(*) != 0 as should_warn,
      count(*) != 0 as should_error
    from (

with child as (
    select customer_id as from_field
    from "shop"."orders"
    where customer_id is not null
),

parent as (
    select id as to_field
    from "shop"."customers"
)

select
    from_field

from child
left join parent
    on child.from_field = parent.to_field

where parent.to_field is null

    ) dbt_internal_test
--: name stored failures
--: as wes
create temporary table "not_null_orders_note"
  as (
    select id, note from "shop"."orders" where note is null
  )
--: then
select count(*) as failures from "not_null_orders_note"
--: name incremental model with a temporary table
--: as wes
create temporary table "daily_revenue" as (select date_trunc('day', ordered_at) as day, sum(total) as revenue from shop.orders where ordered_at < '2025-06-01' group by 1)
--: then
create temporary table "daily_revenue__dbt_tmp20251121" as (select date_trunc('day', ordered_at) as day, sum(total) as revenue from shop.orders where ordered_at >= '2025-05-20' group by 1)
--: then
delete from "daily_revenue" where (day) in (select (day) from "daily_revenue__dbt_tmp20251121")
--: then
insert into "daily_revenue" ("day", "revenue") (select "day", "revenue" from "daily_revenue__dbt_tmp20251121")
--: then
select * from "daily_revenue" order by day
--: name merge of an incremental model
--: as wes
create temporary table "totals" as (select customer_id, sum(total) as total from shop.orders where customer_id % 2 = 0 group by 1)
--: then
merge into "totals" as DBT_INTERNAL_DEST
using (select customer_id, sum(total) as total from shop.orders where customer_id % 3 = 0 group by 1) as DBT_INTERNAL_SOURCE
on DBT_INTERNAL_SOURCE.customer_id = DBT_INTERNAL_DEST.customer_id
when matched then update set total = DBT_INTERNAL_SOURCE.total
when not matched then insert ("customer_id", "total") values (DBT_INTERNAL_SOURCE.customer_id, DBT_INTERNAL_SOURCE.total)
--: then
select * from "totals" order by customer_id
--: name snapshot of customers
--: as wes
create temporary table "customers_snapshot" as
    select *,
        md5(coalesce(cast(id as varchar ), '') || '|' || coalesce(cast(created_at as varchar ), '')) as dbt_scd_id,
        created_at as dbt_updated_at,
        created_at as dbt_valid_from,
        nullif(created_at, created_at) as dbt_valid_to
    from (
        select id, name, country, created_at from shop.customers
    ) sbq
--: then
    with snapshot_query as (
        select id, name, country, created_at from shop.customers where is_active
    ),
    snapshotted_data as (
        select *, id as dbt_unique_key
        from "customers_snapshot"
        where dbt_valid_to is null
    ),
    updates_source_data as (
        select *, id as dbt_unique_key, created_at as dbt_updated_at, created_at as dbt_valid_from, created_at as dbt_valid_to
        from snapshot_query
    )
    select
        'update' as dbt_change_type,
        source_data.id,
        snapshotted_data.dbt_scd_id
    from updates_source_data as source_data
    join snapshotted_data on source_data.dbt_unique_key = snapshotted_data.dbt_unique_key
    where snapshotted_data.dbt_valid_to is null
    and (snapshotted_data.country <> source_data.country or snapshotted_data.name > source_data.name)
    order by 2
--: name source freshness
select
      max(ordered_at) as max_loaded_at,
      timestamp '2025-12-31 00:00:00' as snapshotted_at
    from "shop"."orders"
--: name macros for pivots and surrogate keys
select md5(cast(coalesce(cast(order_id as TEXT), '_dbt_utils_surrogate_key_null_') || '-' || coalesce(cast(line as TEXT), '_dbt_utils_surrogate_key_null_') as TEXT)) as order_item_key, quantity from shop.order_items order by order_id, line limit 100
--: name date spine
with rawdata as (
    with p as (
        select 0 as generated_number union all select 1
    ), unioned as (
    select
    p0.generated_number * power(2, 0) + p1.generated_number * power(2, 1) + p2.generated_number * power(2, 2) + 1 as generated_number
    from p as p0 cross join p as p1 cross join p as p2
    )
    select * from unioned where generated_number <= 7 order by generated_number
),
all_periods as (
    select (cast('2025-01-01' as date) + ((interval '1 day') * (row_number() over (order by generated_number) - 1))) as date_day from rawdata
)
select d.date_day, count(o.id) as orders from all_periods d left join shop.orders o on date_trunc('day', o.ordered_at) = d.date_day group by 1 order by 1
--: name transaction block
--: as wes
begin
--: then
create temporary table "stg_products__dbt_tmp" as (select id as product_id, category, price from shop.products)
--: then
select count(*) from "stg_products__dbt_tmp"
--: then
commit
