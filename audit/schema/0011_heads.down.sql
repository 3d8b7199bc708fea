DROP TABLE pgwarden.heads, pgwarden.signing_keys;
