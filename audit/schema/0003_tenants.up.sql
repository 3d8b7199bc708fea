-- Row-level security by tenant, forced on the owner too. A reader sees one tenant:
-- the one its login is bound to here, or, for logins that are auditors anyway (such as that of `audit.store`), the one
-- they have put into the setting pgwarden.tenant. A login that is a reader and not bound sees nothing.
CREATE TABLE pgwarden.tenant_logins (
    login  name PRIMARY KEY,
    tenant text NOT NULL CHECK (tenant <> '')
);

CREATE FUNCTION pgwarden.visible_tenant() RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    bound text;
BEGIN
    SELECT l.tenant INTO bound FROM pgwarden.tenant_logins l WHERE l.login = session_user;
    IF bound IS NULL AND pg_has_role(session_user, 'pgwarden_auditor', 'MEMBER') THEN
        bound := nullif(current_setting('pgwarden.tenant', true), '');
    END IF;
    RETURN bound;
END
$$;
REVOKE ALL ON FUNCTION pgwarden.visible_tenant() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgwarden.visible_tenant() TO pgwarden_reader;

ALTER TABLE pgwarden.records ENABLE ROW LEVEL SECURITY;
ALTER TABLE pgwarden.records FORCE ROW LEVEL SECURITY;
CREATE POLICY writer_inserts ON pgwarden.records FOR INSERT TO pgwarden_writer WITH CHECK (true);
CREATE POLICY writer_selects ON pgwarden.records FOR SELECT TO pgwarden_writer USING (true);
CREATE POLICY auditor_selects ON pgwarden.records FOR SELECT TO pgwarden_auditor USING (true);
CREATE POLICY reader_selects ON pgwarden.records FOR SELECT TO pgwarden_reader
    USING (tenant = (SELECT pgwarden.visible_tenant()));
