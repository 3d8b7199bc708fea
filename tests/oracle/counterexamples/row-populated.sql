-- 42703 could not identify column in record data type.
SELECT (jsonb_populate_record(t1, '{"id": 3}')).id FROM shop.products AS t1
