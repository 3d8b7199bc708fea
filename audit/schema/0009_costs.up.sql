-- What statements cost, hour by hour and day by day (UTC), for every combination of who, where, by what means and which
-- shape. Made from the records, each counted once; kept when the records' months are dropped.
CREATE TABLE pgwarden.costs_hour (
    starts_at   timestamptz NOT NULL,
    key         bytea       NOT NULL,  -- SHA-256 over what follows, up to the currency
    tenant      text        NOT NULL,
    team        text        NOT NULL,
    "user"      text        NOT NULL,
    end_user    text        NOT NULL,
    database    text        NOT NULL,
    workload    text        NOT NULL,
    shape       text        NOT NULL,
    tables      text[]      NOT NULL,
    currency    text        NOT NULL,
    statements  numeric     NOT NULL,  -- that ran
    failed      numeric     NOT NULL,  -- of them, those that ended with an error
    denied      numeric     NOT NULL,  -- refused before they ran, or cut off by a rule
    rows        numeric     NOT NULL,
    bytes_out   numeric     NOT NULL,
    duration_us numeric     NOT NULL,
    plan_units  numeric     NOT NULL,
    cost        numeric     NOT NULL,
    top_cost    numeric     NOT NULL,  -- the costliest of them: its outcome
    top_at      timestamptz NOT NULL,
    top_id      uuid        NOT NULL,
    PRIMARY KEY (starts_at, key)
);
CREATE TABLE pgwarden.costs_day (LIKE pgwarden.costs_hour INCLUDING ALL);
CREATE INDEX costs_hour_by_tenant ON pgwarden.costs_hour (tenant, starts_at);
CREATE INDEX costs_day_by_tenant ON pgwarden.costs_day (tenant, starts_at);

-- Which records are counted, by their numbers in their chain. A record that comes late falls into a gap, and is counted
-- then; one that comes twice isn't stored twice.
CREATE TABLE pgwarden.cost_progress (
    chain   text           PRIMARY KEY,
    counted int8multirange NOT NULL
);

CREATE FUNCTION pgwarden.add_costs(of_chain text, numbers int8multirange, sums pgwarden.costs_hour[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    before int8multirange;
BEGIN
    INSERT INTO pgwarden.cost_progress VALUES (of_chain, '{}') ON CONFLICT DO NOTHING;
    SELECT counted INTO before FROM pgwarden.cost_progress WHERE chain = of_chain FOR UPDATE;
    IF before && numbers THEN
        RAISE EXCEPTION 'some of these records are counted already' USING ERRCODE = 'unique_violation';
    END IF;
    INSERT INTO pgwarden.costs_hour AS old SELECT * FROM unnest(sums) ORDER BY starts_at, key
    ON CONFLICT (starts_at, key) DO UPDATE SET
        statements = old.statements + excluded.statements, failed = old.failed + excluded.failed,
        denied = old.denied + excluded.denied, rows = old.rows + excluded.rows,
        bytes_out = old.bytes_out + excluded.bytes_out, duration_us = old.duration_us + excluded.duration_us,
        plan_units = old.plan_units + excluded.plan_units, cost = old.cost + excluded.cost,
        top_cost = greatest(old.top_cost, excluded.top_cost),
        top_at = CASE WHEN excluded.top_cost > old.top_cost THEN excluded.top_at ELSE old.top_at END,
        top_id = CASE WHEN excluded.top_cost > old.top_cost THEN excluded.top_id ELSE old.top_id END;
    INSERT INTO pgwarden.costs_day AS old
    SELECT date_trunc('day', starts_at), key, tenant, team, "user", end_user, database, workload, shape, tables, currency,
           sum(statements), sum(failed), sum(denied), sum(rows), sum(bytes_out), sum(duration_us), sum(plan_units),
           sum(cost), max(top_cost), (array_agg(top_at ORDER BY top_cost DESC, top_id))[1],
           (array_agg(top_id ORDER BY top_cost DESC, top_id))[1]
    FROM unnest(sums) GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 ORDER BY 1, 2
    ON CONFLICT (starts_at, key) DO UPDATE SET
        statements = old.statements + excluded.statements, failed = old.failed + excluded.failed,
        denied = old.denied + excluded.denied, rows = old.rows + excluded.rows,
        bytes_out = old.bytes_out + excluded.bytes_out, duration_us = old.duration_us + excluded.duration_us,
        plan_units = old.plan_units + excluded.plan_units, cost = old.cost + excluded.cost,
        top_cost = greatest(old.top_cost, excluded.top_cost),
        top_at = CASE WHEN excluded.top_cost > old.top_cost THEN excluded.top_at ELSE old.top_at END,
        top_id = CASE WHEN excluded.top_cost > old.top_cost THEN excluded.top_id ELSE old.top_id END;
    UPDATE pgwarden.cost_progress SET counted = before + numbers WHERE chain = of_chain;
END
$$;

-- Counts those of these records that are there, whatever their order, in one snapshot; gives how many they were.
CREATE FUNCTION pgwarden.count_costs(of_chain text, first bigint, past bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    numbers int8multirange;
    sums pgwarden.costs_hour[];
    records bigint;
BEGIN
    WITH batch AS MATERIALIZED (
        SELECT r.sequence, r.id, r.at, r.stage, r.decision, r.tenant, r.team, r."user", r.end_user, r.database,
               r.workload, r.shape, r.tables, r.currency, r.sqlstate, r.rows, r.bytes_out, r.duration_us, r.plan_units,
               coalesce(r.cost, 0) AS cost
        FROM pgwarden.records r WHERE r.chain = of_chain AND r.sequence >= first AND r.sequence < past
    ), summed AS (
        SELECT ROW(date_trunc('hour', at),
                   sha256(convert_to(ROW(tenant, team, "user", end_user, database, workload, shape, tables,
                                         currency)::text, 'UTF8')),
                   tenant, team, "user", end_user, database, workload, shape, tables, currency,
                   count(*) FILTER (WHERE stage = 'outcome'),
                   count(*) FILTER (WHERE stage = 'outcome' AND sqlstate <> ''),
                   count(*) FILTER (WHERE decision = 'deny'),
                   coalesce(sum(rows), 0), coalesce(sum(bytes_out), 0), coalesce(sum(duration_us), 0),
                   coalesce(sum(plan_units) FILTER (WHERE stage = 'outcome'), 0), sum(cost), max(cost),
                   (array_agg(at ORDER BY cost DESC, id))[1],
                   (array_agg(id ORDER BY cost DESC, id))[1])::pgwarden.costs_hour AS one
        FROM batch WHERE stage = 'outcome' OR (stage = 'intent' AND decision = 'deny')
        GROUP BY date_trunc('hour', at), tenant, team, "user", end_user, database, workload, shape, tables, currency
    )
    SELECT (SELECT count(*) FROM batch),
           (SELECT range_agg(int8range(sequence, sequence, '[]')) FROM batch),
           (SELECT array_agg(one) FROM summed)
    INTO records, numbers, sums;
    IF records > 0 THEN
        PERFORM pgwarden.add_costs(of_chain, numbers, coalesce(sums, '{}'));
    END IF;
    RETURN records;
END
$$;

-- Counts about `most` records that aren't counted yet; gives how many they were. NULL: somebody else is at it.
CREATE FUNCTION pgwarden.roll_up(most bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    done bigint := 0;
    of_chain text;
    newest bigint;
    gap int8range;
    first bigint;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('pgwarden.roll_up')) THEN
        RETURN NULL;
    END IF;
    SELECT r.chain INTO of_chain FROM pgwarden.records r ORDER BY r.chain LIMIT 1;
    WHILE of_chain IS NOT NULL LOOP
        SELECT max(r.sequence) INTO newest FROM pgwarden.records r WHERE r.chain = of_chain;
        FOR gap IN
            SELECT unnest(int8multirange(int8range(1, least(newest, 1::bigint << 62), '[]'))
                          - coalesce((SELECT p.counted FROM pgwarden.cost_progress p WHERE p.chain = of_chain), '{}'))
        LOOP
            LOOP
                -- What is missing may never come: retention has dropped it, or the journal was damaged there.
                SELECT min(r.sequence) INTO first FROM pgwarden.records r
                WHERE r.chain = of_chain AND r.sequence >= lower(gap) AND r.sequence < upper(gap);
                EXIT WHEN first IS NULL;
                done := done + pgwarden.count_costs(of_chain, first, least(upper(gap), first + most));
                IF done >= most THEN
                    RETURN done;
                END IF;
                EXIT WHEN first + most >= upper(gap);
                gap := int8range(first + most, upper(gap));
            END LOOP;
        END LOOP;
        SELECT min(r.chain) INTO of_chain FROM pgwarden.records r WHERE r.chain > of_chain;
    END LOOP;
    RETURN done;
END
$$;

REVOKE ALL ON FUNCTION pgwarden.add_costs(text, int8multirange, pgwarden.costs_hour[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION pgwarden.count_costs(text, bigint, bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION pgwarden.roll_up(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgwarden.add_costs(text, int8multirange, pgwarden.costs_hour[]),
    pgwarden.count_costs(text, bigint, bigint), pgwarden.roll_up(bigint) TO pgwarden_writer;
GRANT SELECT ON pgwarden.cost_progress TO pgwarden_writer;
GRANT SELECT ON pgwarden.costs_hour, pgwarden.costs_day TO pgwarden_reader, pgwarden_auditor;

ALTER TABLE pgwarden.costs_hour ENABLE ROW LEVEL SECURITY;
ALTER TABLE pgwarden.costs_day ENABLE ROW LEVEL SECURITY;
CREATE POLICY auditor_selects ON pgwarden.costs_hour FOR SELECT TO pgwarden_auditor USING (true);
CREATE POLICY auditor_selects ON pgwarden.costs_day FOR SELECT TO pgwarden_auditor USING (true);
CREATE POLICY reader_selects ON pgwarden.costs_hour FOR SELECT TO pgwarden_reader
    USING (tenant = (SELECT pgwarden.visible_tenant()));
CREATE POLICY reader_selects ON pgwarden.costs_day FOR SELECT TO pgwarden_reader
    USING (tenant = (SELECT pgwarden.visible_tenant()));
