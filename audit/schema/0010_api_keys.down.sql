DROP FUNCTION pgwarden.count_key_uses(uuid, date[], text[], bigint[], bigint[], timestamptz[]);
DROP TABLE pgwarden.api_key_uses;
DROP TABLE pgwarden.api_key_revocations;
DROP TABLE pgwarden.api_keys;
