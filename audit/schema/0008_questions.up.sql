-- What people ask of the records: see docs/records.md, which has the plans and what the indexes cost.
-- Refusals are few among many records, whoever they were told to.
CREATE INDEX records_denied_by_user ON pgwarden.records ("user", at DESC, id DESC) WHERE decision = 'deny';
CREATE INDEX records_denied_by_tenant ON pgwarden.records (tenant, at DESC, id DESC) WHERE decision = 'deny';
CREATE INDEX records_denied ON pgwarden.records (at DESC, id DESC) WHERE decision = 'deny';
CREATE INDEX records_by_user ON pgwarden.records ("user", at DESC, id DESC);
-- A list as a whole, then time: the distinct lists are few, and each one's records stand in order.
CREATE INDEX records_by_masked_columns ON pgwarden.records (masked_columns, at DESC, id DESC)
    WHERE masked_columns <> '{}';
CREATE INDEX records_by_tables ON pgwarden.records (tables, at DESC, id DESC) WHERE tables <> '{}';
