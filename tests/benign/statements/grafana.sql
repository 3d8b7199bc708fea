--: name health check
SELECT 1
--: name server version
--: metadata
SELECT current_setting('server_version_num')::int/100 as version
--: name query builder schemas
--: metadata
SELECT CASE WHEN
          quote_ident(table_schema) IN (
          SELECT
          CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
          FROM
            generate_series(
              array_lower(string_to_array(current_setting('search_path'),','),1),
              array_upper(string_to_array(current_setting('search_path'),','),1)
            ) as i,
            string_to_array(current_setting('search_path'),',') s
          )
      THEN quote_ident(table_name)
      ELSE quote_ident(table_schema) || '.' || quote_ident(table_name)
    END AS "table"
    FROM information_schema.tables
    WHERE quote_ident(table_schema) NOT IN ('information_schema',
                             'pg_catalog',
                             '_timescaledb_cache',
                             '_timescaledb_catalog',
                             '_timescaledb_internal',
                             '_timescaledb_config',
                             'timescaledb_information',
                             'timescaledb_experimental')
    ORDER BY CASE WHEN
          quote_ident(table_schema) IN (
          SELECT
          CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
          FROM
            generate_series(
              array_lower(string_to_array(current_setting('search_path'),','),1),
              array_upper(string_to_array(current_setting('search_path'),','),1)
            ) as i,
            string_to_array(current_setting('search_path'),',') s
          ) THEN 0 ELSE 1 END, 1
--: name query builder columns
--: metadata
SELECT quote_ident(column_name) AS "column", data_type AS "type"
    FROM information_schema.columns
    WHERE
      CASE WHEN array_length(parse_ident('shop.events'),1) = 2
        THEN quote_ident(table_schema) = (parse_ident('shop.events'))[1]
          AND quote_ident(table_name) = (parse_ident('shop.events'))[2]
        ELSE quote_ident(table_name) = 'shop.events'
      END
--: name time group
SELECT floor(extract(epoch from happened_at)/300)*300 AS "time", count(*) AS "value" FROM shop.events WHERE happened_at BETWEEN '2025-03-01T00:00:00Z' AND '2025-03-08T00:00:00Z' GROUP BY 1 ORDER BY 1
--: name time group with fill by kind
SELECT floor(extract(epoch from happened_at)/3600)*3600 AS time, kind AS metric, count(*) AS value FROM shop.events WHERE happened_at BETWEEN '2025-05-01T00:00:00Z' AND '2025-05-15T12:34:56.789Z' GROUP BY 1, 2 ORDER BY 1, 2
--: name time column as epoch
SELECT extract(epoch from ordered_at) as "time", total FROM shop.orders WHERE extract(epoch from ordered_at) >= 1735689600 AND extract(epoch from ordered_at) <= 1743465600 ORDER BY 1 LIMIT 500
--: name date bin
SELECT date_bin('5 minutes', ordered_at, '2025-01-01T00:00:00Z') AS time, avg(total) AS avg_total FROM shop.orders WHERE ordered_at >= '2025-04-01T00:00:00Z' AND ordered_at < '2025-04-03T00:00:00Z' GROUP BY time ORDER BY time
--: name template variable
SELECT DISTINCT status::text AS __text, status::text AS __value FROM shop.orders ORDER BY 1
--: name template variable from a masked column
SELECT DISTINCT email FROM shop.customers ORDER BY email LIMIT 200
--: name variable as a list
SELECT date_trunc('day', ordered_at) AS time, status::text AS metric, sum(total) AS value FROM shop.orders WHERE status::text IN ('paid','shipped') AND ordered_at BETWEEN '2025-01-01T00:00:00Z' AND '2025-01-31T23:59:59Z' GROUP BY 1, 2 ORDER BY 1, 2
--: name single stat with a delta
SELECT sum(amount) FILTER (WHERE paid_at >= '2025-06-01') - sum(amount) FILTER (WHERE paid_at < '2025-06-01') AS delta FROM shop.payments
--: name rate by window
SELECT time, value - lag(value) OVER (ORDER BY time) AS rate FROM (SELECT date_trunc('hour', happened_at) AS time, count(*) AS value FROM shop.events WHERE happened_at < '2025-01-20' GROUP BY 1) AS q ORDER BY time
--: name heat map
SELECT extract(hour from ordered_at)::int AS hour, width_bucket(total, 0, 1000, 10) AS bucket, count(*) FROM shop.orders GROUP BY 1, 2 ORDER BY 1, 2
--: name table panel
SELECT id AS "Order", status::text AS "State", total AS "Total", to_char(ordered_at, 'YYYY-MM-DD HH24:MI') AS "When" FROM shop.orders ORDER BY ordered_at DESC, id LIMIT 50
--: name annotations
SELECT extract(epoch from opened_at)::bigint AS time, extract(epoch from closed_at)::bigint AS timeend, subject AS text, array_to_string(labels, ',') AS tags FROM shop.support_tickets WHERE opened_at BETWEEN '2025-02-01' AND '2025-02-10' ORDER BY 1
--: name gaps filled with generate_series
SELECT t.time, coalesce(o.value, 0) AS value FROM generate_series(timestamptz '2025-01-01 00:00Z', timestamptz '2025-01-08 00:00Z', interval '6 hours') AS t(time) LEFT JOIN (SELECT date_bin('6 hours', ordered_at, '2025-01-01Z') AS time, sum(total) AS value FROM shop.orders GROUP BY 1) o USING (time) ORDER BY 1
--: name addresses of events
SELECT host(client_address) AS address, count(*) AS hits FROM shop.events WHERE client_address << inet '10.0.0.0/16' GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 20
--: name JSON payload
SELECT payload->>'page' AS page, count(*) FROM shop.events GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10
