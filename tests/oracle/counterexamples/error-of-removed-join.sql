-- 22011 here, rows on the copy, which leaves out a join that nothing depends on: PostgreSQL leaves it open.
SELECT t1.id FROM shop.payments AS t1 LEFT JOIN shop.products AS p ON t1.id = p.id AND substr(p.name, 1, 4 - p.id) IS NOT NULL
