-- The newest signed checkpoints of chains whose records are all here: who cuts the end off without being able to sign is
-- found out. And the public keys that vouch for each other. Nobody may change or delete one.
CREATE TABLE pgwarden.heads (
    chain      text   NOT NULL,
    records    bigint NOT NULL CHECK (records > 0),
    checkpoint text   NOT NULL,                       -- JSON, with its signature
    PRIMARY KEY (chain, records)
);
CREATE TABLE pgwarden.signing_keys (
    origin text    NOT NULL,                          -- what the names of the chains begin with
    number integer NOT NULL CHECK (number > 0),
    entry  text    NOT NULL,                          -- JSON, with the signatures of the key and of the one before
    PRIMARY KEY (origin, number)
);
GRANT SELECT, INSERT ON pgwarden.heads, pgwarden.signing_keys TO pgwarden_writer;
GRANT SELECT ON pgwarden.heads, pgwarden.signing_keys TO pgwarden_reader, pgwarden_auditor;
