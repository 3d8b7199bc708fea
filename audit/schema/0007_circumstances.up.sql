-- For whom a trusted principal spoke, the workload lane and how long the statement waited for its turn, and bind values
-- where they are kept. Older records have none of them, and hash as they did.
ALTER TABLE pgwarden.records
    ADD COLUMN end_user   text   NOT NULL DEFAULT '',
    ADD COLUMN lane       text   NOT NULL DEFAULT '',
    ADD COLUMN queued_us  bigint,
    ADD COLUMN parameters text[] NOT NULL DEFAULT '{}';
