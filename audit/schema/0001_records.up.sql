-- The records, partitioned by month (UTC). PostgreSQL wants the partition key in every unique key, so the primary key
-- is (at, id): a record's time never changes after it was hashed, so the same record always has the same key.
CREATE TABLE pgwarden.records (
    chain           text        NOT NULL,  -- the journal and worker that wrote the record
    sequence        bigint      NOT NULL,  -- its number in that chain, from 1
    id              uuid        NOT NULL,
    stage           text        NOT NULL CHECK (stage IN ('intent', 'outcome', 'event')),
    statement_id    text        NOT NULL,
    at              timestamptz NOT NULL,
    tenant          text        NOT NULL,
    team            text        NOT NULL,
    "user"          text        NOT NULL,
    database        text        NOT NULL,
    session         text        NOT NULL,
    client_address  text        NOT NULL,
    application     text        NOT NULL,
    workload        text        NOT NULL,
    trace_id        text        NOT NULL,
    shape           text        NOT NULL,
    sql_text        text        NOT NULL,
    decision        text        CHECK (decision IN ('allow', 'rewrite', 'deny', 'hold')),
    rule_ids        text[]      NOT NULL,
    policy_version  text        NOT NULL,
    tables          text[]      NOT NULL,
    filtered_tables text[]      NOT NULL,
    masked_columns  text[]      NOT NULL,
    rows            bigint,
    bytes_out       bigint,
    duration_us     bigint,
    cost            numeric,
    currency        text        NOT NULL,
    sqlstate        text        NOT NULL,
    prev_hash       bytea       NOT NULL,
    hash            bytea       NOT NULL,
    PRIMARY KEY (at, id)
) PARTITION BY RANGE (at);

CREATE INDEX records_by_tenant ON pgwarden.records (tenant, at DESC, id DESC);
CREATE INDEX records_by_statement ON pgwarden.records (statement_id);
CREATE INDEX records_by_chain ON pgwarden.records (chain, sequence);

-- Which months retention has dropped: a chain may begin later than its first record only if this says why.
CREATE TABLE pgwarden.dropped_partitions (
    name       text        PRIMARY KEY,
    ends_at    timestamptz NOT NULL,
    dropped_at timestamptz NOT NULL DEFAULT now()
);

-- Makes the month's partition that holds a moment. It runs with its owner's rights, so that the writing role can have
-- a partition made without any right to change tables.
CREATE FUNCTION pgwarden.ensure_partition(moment timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    starts_at timestamptz := date_trunc('month', moment);
    partition_name text := 'records_' || to_char(starts_at, 'YYYY_MM');
BEGIN
    IF to_regclass(format('pgwarden.%I', partition_name)) IS NULL THEN
        PERFORM pg_advisory_xact_lock(hashtext('pgwarden.ensure_partition'));
        EXECUTE format('CREATE TABLE IF NOT EXISTS pgwarden.%I PARTITION OF pgwarden.records FOR VALUES FROM (%L) TO (%L)',
                       partition_name, starts_at, starts_at + interval '1 month');
    END IF;
    RETURN partition_name;
END
$$;
REVOKE ALL ON FUNCTION pgwarden.ensure_partition(timestamptz) FROM PUBLIC;

-- Drops every month that ended before a moment, and remembers that. For the owner alone.
CREATE FUNCTION pgwarden.drop_partitions(before timestamptz) RETURNS SETOF text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    partition_name text;
    ends timestamptz;
BEGIN
    FOR partition_name IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'pgwarden.records'::regclass AND c.relname ~ '^records_[0-9]{4}_[0-9]{2}$' ORDER BY 1
    LOOP
        ends := to_date(right(partition_name, 7), 'YYYY_MM') + interval '1 month';
        CONTINUE WHEN ends > before;
        EXECUTE format('DROP TABLE pgwarden.%I', partition_name);
        INSERT INTO pgwarden.dropped_partitions (name, ends_at) VALUES (partition_name, ends)
        ON CONFLICT (name) DO UPDATE SET dropped_at = now();
        RETURN NEXT partition_name;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION pgwarden.drop_partitions(timestamptz) FROM PUBLIC;
