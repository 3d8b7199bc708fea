-- 42601: the parser's look-ahead didn't skip comments.
SELECT id FROM shop.memos ORDER BY id NULLS /* it's */ FIRST
