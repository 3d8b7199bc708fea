-- 42601 subquery has too few columns: a row written as ROW(...) compared column by column.
SELECT t1.id FROM shop.orders AS t1 WHERE t1 IN (SELECT t2 FROM shop.orders AS t2)
