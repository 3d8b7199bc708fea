-- 42703 could not identify column in record data type.
SELECT (array_agg(t1 ORDER BY t1.id))[2].id FROM shop.products AS t1
