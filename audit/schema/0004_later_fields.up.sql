-- What the server said and no client read, what shadow policies would have decided, masked columns whose real values
-- were compared, and the planner's estimate. Older records have none of them, and hash as they did.
ALTER TABLE pgwarden.records
    ADD COLUMN server_error    text   NOT NULL DEFAULT '',
    ADD COLUMN shadow_decision text   CHECK (shadow_decision IN ('allow', 'rewrite', 'deny', 'failed')),
    ADD COLUMN shadow_rule_ids text[] NOT NULL DEFAULT '{}',
    ADD COLUMN raw_columns     text[] NOT NULL DEFAULT '{}',
    ADD COLUMN plan_units      bigint;
