-- The type of a row was record.
SELECT pg_typeof(t1)::text FROM shop.payments AS t1
