DROP INDEX pgwarden.records_by_tables, pgwarden.records_by_masked_columns, pgwarden.records_by_user,
    pgwarden.records_denied, pgwarden.records_denied_by_tenant, pgwarden.records_denied_by_user;
