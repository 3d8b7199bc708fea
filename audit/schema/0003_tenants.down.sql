DROP POLICY reader_selects ON pgwarden.records;
DROP POLICY auditor_selects ON pgwarden.records;
DROP POLICY writer_selects ON pgwarden.records;
DROP POLICY writer_inserts ON pgwarden.records;
ALTER TABLE pgwarden.records NO FORCE ROW LEVEL SECURITY;
ALTER TABLE pgwarden.records DISABLE ROW LEVEL SECURITY;
DROP FUNCTION pgwarden.visible_tenant();
DROP TABLE pgwarden.tenant_logins;
