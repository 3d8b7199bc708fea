DROP FUNCTION pgwarden.drop_partitions(timestamptz);
DROP FUNCTION pgwarden.ensure_partition(timestamptz);
DROP TABLE pgwarden.dropped_partitions;
DROP TABLE pgwarden.records;
