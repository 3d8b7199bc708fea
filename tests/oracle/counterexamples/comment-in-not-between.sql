-- 42601: the same for NOT.
SELECT id FROM shop.memos WHERE id NOT /* a */ BETWEEN 2 AND 3
