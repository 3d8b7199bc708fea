DROP FUNCTION pgwarden.lease_budget(text, text, text, text, bigint, bigint, uuid, timestamptz, bigint, bigint, bigint, bigint);
DROP FUNCTION pgwarden.settle_budget(text, text, timestamptz, uuid, bigint, bigint);
DROP TABLE pgwarden.budget_leases;
DROP TABLE pgwarden.budgets;
