-- Three roles without a login; the login of `audit.store` becomes one of them before it does anything.
-- Roles belong to the whole cluster, so another database may have made them already, or make them just now.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['pgwarden_writer', 'pgwarden_reader', 'pgwarden_auditor'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', name);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
        -- Since PostgreSQL 16 who makes a role may hand it on, but not become it without this grant.
        BEGIN
            IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
                EXECUTE format('GRANT %I TO CURRENT_USER', name);
            END IF;
        EXCEPTION WHEN insufficient_privilege THEN
            IF NOT pg_has_role(current_user, name, 'MEMBER') THEN
                RAISE;
            END IF;
        END;
    END LOOP;
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO pgwarden_writer', current_database());
END
$$;

REVOKE ALL ON SCHEMA pgwarden FROM PUBLIC;
GRANT USAGE ON SCHEMA pgwarden TO pgwarden_writer, pgwarden_reader, pgwarden_auditor;

-- Nobody gets UPDATE, DELETE or TRUNCATE, and nobody gets anything on a partition itself, where the policies
-- of the parent would not apply.
GRANT SELECT, INSERT ON pgwarden.records TO pgwarden_writer;
GRANT SELECT ON pgwarden.records TO pgwarden_reader, pgwarden_auditor;
GRANT SELECT ON pgwarden.dropped_partitions TO pgwarden_auditor;
GRANT EXECUTE ON FUNCTION pgwarden.ensure_partition(timestamptz) TO pgwarden_writer;
