-- What is spent of budgets, by budget and period, and what each sidecar holds of them. Amounts are whole nano-units, 10^-9
-- of the currency. A sidecar takes slices; what all of them hold together never passes the budget's amount. What was
-- spent only rises: nobody may update or delete, and the functions below take nothing back.
CREATE TABLE pgwarden.budgets (
    budget      text        NOT NULL,  -- "tenant acme"
    period      text        NOT NULL CHECK (period IN ('daily', 'monthly')),
    starts_at   timestamptz NOT NULL,
    ends_at     timestamptz NOT NULL,
    amount      bigint      NOT NULL CHECK (amount > 0),
    currency    text        NOT NULL,
    granted     bigint      NOT NULL DEFAULT 0,  -- to all holders together
    spent       bigint      NOT NULL DEFAULT 0,  -- as they said last
    warned_at   timestamptz,
    exceeded_at timestamptz,
    PRIMARY KEY (budget, period, starts_at)
);
CREATE TABLE pgwarden.budget_leases (
    budget    text        NOT NULL,
    period    text        NOT NULL,
    starts_at timestamptz NOT NULL,
    holder    uuid        NOT NULL,
    granted   bigint      NOT NULL DEFAULT 0,
    spent     bigint      NOT NULL DEFAULT 0,
    seen_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (budget, period, starts_at, holder),
    FOREIGN KEY (budget, period, starts_at) REFERENCES pgwarden.budgets ON DELETE CASCADE
);
CREATE INDEX budget_leases_holder ON pgwarden.budget_leases (holder);
GRANT SELECT ON pgwarden.budgets, pgwarden.budget_leases TO pgwarden_writer, pgwarden_auditor;

-- Says what a holder has spent, and that it keeps `keep` (at least what it spent). Gives what it holds then; null where it
-- holds nothing.
CREATE FUNCTION pgwarden.settle_budget(_budget text, _period text, _starts_at timestamptz, _holder uuid,
                                       _spent bigint, _keep bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    lease pgwarden.budget_leases;
    now_spent bigint;
    now_granted bigint;
BEGIN
    PERFORM FROM pgwarden.budgets AS b
        WHERE b.budget = _budget AND b.period = _period AND b.starts_at = _starts_at FOR UPDATE;
    SELECT * INTO lease FROM pgwarden.budget_leases AS l
        WHERE l.budget = _budget AND l.period = _period AND l.starts_at = _starts_at AND l.holder = _holder;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    now_spent := greatest(lease.spent, _spent);
    now_granted := greatest(now_spent, least(lease.granted, _keep));
    UPDATE pgwarden.budget_leases AS l SET spent = now_spent, granted = now_granted, seen_at = clock_timestamp()
        WHERE l.budget = _budget AND l.period = _period AND l.starts_at = _starts_at AND l.holder = _holder;
    UPDATE pgwarden.budgets AS b
        SET spent = b.spent + now_spent - lease.spent, granted = b.granted + now_granted - lease.granted
        WHERE b.budget = _budget AND b.period = _period AND b.starts_at = _starts_at;
    RETURN now_granted;
END
$$;

-- A holder says what it has spent in the period that began at `said_at` (null: it holds nothing yet), keeps `keep` and
-- wants `want` more, of which `need` at least. When that period is over, the one of now begins. Which one it is says the
-- store's clock. Near the end slices become smaller, so that all holders get some.
CREATE FUNCTION pgwarden.lease_budget(_budget text, _period text, _zone text, _currency text, _amount bigint,
                                      _warn bigint, _holder uuid, _said_at timestamptz, _spent bigint, _keep bigint,
                                      _want bigint, _need bigint)
RETURNS TABLE (starts_at timestamptz, ends_at timestamptz, left_us bigint, granted bigint, all_granted bigint,
               all_spent bigint, is_short boolean, is_warning boolean, is_exceeding boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    unit text := CASE _period WHEN 'daily' THEN 'day' ELSE 'month' END;
    moment timestamptz := clock_timestamp();
    total pgwarden.budgets;
    free bigint;
    extra bigint;
BEGIN
    starts_at := date_trunc(unit, moment AT TIME ZONE _zone) AT TIME ZONE _zone;
    ends_at := (date_trunc(unit, moment AT TIME ZONE _zone) + ('1 ' || unit)::interval) AT TIME ZONE _zone;
    left_us := (extract(epoch FROM ends_at - moment) * 1000000)::bigint;
    IF _said_at <> starts_at THEN
        PERFORM pgwarden.settle_budget(_budget, _period, _said_at, _holder, _spent, 0);
        _spent := 0;
        _keep := 0;
    END IF;
    INSERT INTO pgwarden.budgets AS b (budget, period, starts_at, ends_at, amount, currency)
        VALUES (_budget, _period, lease_budget.starts_at, lease_budget.ends_at, _amount, _currency)
        ON CONFLICT ON CONSTRAINT budgets_pkey DO UPDATE SET
            amount = excluded.amount, currency = excluded.currency,
            warned_at = CASE WHEN b.amount = excluded.amount THEN b.warned_at END,
            exceeded_at = CASE WHEN b.amount = excluded.amount THEN b.exceeded_at END;
    INSERT INTO pgwarden.budget_leases (budget, period, starts_at, holder)
        VALUES (_budget, _period, lease_budget.starts_at, _holder) ON CONFLICT DO NOTHING;
    granted := pgwarden.settle_budget(_budget, _period, lease_budget.starts_at, _holder, _spent, _keep);
    SELECT * INTO total FROM pgwarden.budgets AS b
        WHERE b.budget = _budget AND b.period = _period AND b.starts_at = lease_budget.starts_at;
    free := greatest(0, total.amount - total.granted);
    extra := least(_want, free / 2);
    IF free >= _need THEN
        extra := greatest(extra, _need);
    END IF;
    granted := granted + extra;
    all_granted := total.granted + extra;
    all_spent := total.spent;
    is_short := free < _need OR all_spent >= total.amount;
    is_warning := all_spent >= _warn AND total.warned_at IS NULL;
    is_exceeding := is_short AND total.exceeded_at IS NULL;
    UPDATE pgwarden.budget_leases AS l SET granted = l.granted + extra
        WHERE extra > 0 AND l.budget = _budget AND l.period = _period AND l.starts_at = lease_budget.starts_at
          AND l.holder = _holder;
    UPDATE pgwarden.budgets AS b SET granted = b.granted + extra,
            warned_at = CASE WHEN is_warning THEN moment ELSE b.warned_at END,
            exceeded_at = CASE WHEN is_exceeding THEN moment ELSE b.exceeded_at END
        WHERE (extra > 0 OR is_warning OR is_exceeding)
          AND b.budget = _budget AND b.period = _period AND b.starts_at = lease_budget.starts_at;
    RETURN NEXT;
END
$$;

REVOKE ALL ON FUNCTION pgwarden.settle_budget(text, text, timestamptz, uuid, bigint, bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION pgwarden.lease_budget(text, text, text, text, bigint, bigint, uuid, timestamptz, bigint, bigint,
                                             bigint, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgwarden.settle_budget(text, text, timestamptz, uuid, bigint, bigint) TO pgwarden_writer;
GRANT EXECUTE ON FUNCTION pgwarden.lease_budget(text, text, text, text, bigint, bigint, uuid, timestamptz, bigint, bigint,
                                                bigint, bigint) TO pgwarden_writer;
