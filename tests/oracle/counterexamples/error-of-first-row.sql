-- 22007 here, 22008 on the copy, whose rows sanitizing had scattered: fault of the oracle.
SELECT to_hex(key)::date FROM shop.old_contacts
