DO $$
DECLARE
    partition regclass;
BEGIN
    FOR partition IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'pgwarden.records'::regclass LOOP
        EXECUTE format('REVOKE INSERT ON %s FROM pgwarden_writer', partition);
    END LOOP;
END
$$;

CREATE OR REPLACE FUNCTION pgwarden.ensure_partition(moment timestamptz) RETURNS text
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
