-- One signature for a run of records of a chain: the root of a Merkle tree over their hashes. Kept when the records' months
-- are dropped; nobody may change or delete one.
CREATE TABLE pgwarden.seals (
    chain     text        NOT NULL,
    first     bigint      NOT NULL CHECK (first > 0),    -- the first record's number in the chain
    records   bigint      NOT NULL CHECK (records > 0),
    root      bytea       NOT NULL,
    hash      bytea       NOT NULL,                      -- the last record's
    at        timestamptz NOT NULL,
    signature bytea       NOT NULL,
    PRIMARY KEY (chain, first)
);
GRANT SELECT, INSERT ON pgwarden.seals TO pgwarden_writer;
GRANT SELECT ON pgwarden.seals TO pgwarden_reader, pgwarden_auditor;
