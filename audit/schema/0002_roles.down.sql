REVOKE ALL ON FUNCTION pgwarden.ensure_partition(timestamptz) FROM pgwarden_writer;
REVOKE ALL ON ALL TABLES IN SCHEMA pgwarden FROM pgwarden_writer, pgwarden_reader, pgwarden_auditor;
REVOKE ALL ON SCHEMA pgwarden FROM pgwarden_writer, pgwarden_reader, pgwarden_auditor;
DO $$
DECLARE
    name text;
BEGIN
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM pgwarden_writer', current_database());
    FOREACH name IN ARRAY ARRAY['pgwarden_writer', 'pgwarden_reader', 'pgwarden_auditor'] LOOP
        BEGIN
            EXECUTE format('DROP ROLE IF EXISTS %I', name);
        EXCEPTION WHEN dependent_objects_still_exist THEN
            NULL;  -- another database of this cluster still uses it
        END;
    END LOOP;
END
$$;
