DROP FUNCTION pgwarden.roll_up(bigint);
DROP FUNCTION pgwarden.count_costs(text, bigint, bigint);
DROP FUNCTION pgwarden.add_costs(text, int8multirange, pgwarden.costs_hour[]);
DROP TABLE pgwarden.cost_progress;
DROP TABLE pgwarden.costs_day;
DROP TABLE pgwarden.costs_hour;
