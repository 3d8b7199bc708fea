ALTER TABLE pgwarden.records
    DROP COLUMN parameters,
    DROP COLUMN queued_us,
    DROP COLUMN lane,
    DROP COLUMN end_user;
