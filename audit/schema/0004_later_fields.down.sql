ALTER TABLE pgwarden.records
    DROP COLUMN plan_units,
    DROP COLUMN raw_columns,
    DROP COLUMN shadow_rule_ids,
    DROP COLUMN shadow_decision,
    DROP COLUMN server_error;
