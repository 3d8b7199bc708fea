-- Keys of a whole row were the aliases' names instead of the columns'.
SELECT to_jsonb(a) FROM shop.memos AS a (k0, k1)
