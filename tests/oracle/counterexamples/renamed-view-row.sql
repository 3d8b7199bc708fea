-- The same through a view.
SELECT row_to_json(a) FROM shop.contacts AS a (k0, k1, k2)
