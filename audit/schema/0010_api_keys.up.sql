-- API keys: who may log in by which, which were revoked, and what each has begun and cost in a month. Of a key nothing but
-- its hash is kept. Keys are made and revoked with the login's own rights: a sidecar (the writer) can neither make one
-- nor bring one back.
CREATE TABLE pgwarden.api_keys (
    number     bigint      GENERATED ALWAYS AS IDENTITY UNIQUE,
    id         text        PRIMARY KEY CHECK (id ~ '^pgw_[a-z0-9]{8}$'),
    sha256     bytea       NOT NULL UNIQUE CHECK (length(sha256) = 32),
    "user"     text        NOT NULL CHECK ("user" <> ''),
    tier       text        NOT NULL,
    owner      text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text        NOT NULL,
    expires_at timestamptz
);

CREATE TABLE pgwarden.api_key_revocations (
    id         text        PRIMARY KEY REFERENCES pgwarden.api_keys,
    revoked_at timestamptz NOT NULL DEFAULT now(),
    revoked_by text        NOT NULL,
    reason     text        NOT NULL
);

-- One row for each sidecar's counter: it says how much it has counted altogether, so that saying so twice adds nothing.
CREATE TABLE pgwarden.api_key_uses (
    month      date        NOT NULL,
    id         text        NOT NULL REFERENCES pgwarden.api_keys,
    counter    uuid        NOT NULL,
    statements bigint      NOT NULL CHECK (statements >= 0),
    cost_nano  bigint      NOT NULL CHECK (cost_nano >= 0),   -- 10^-9 of the currency
    last_used  timestamptz NOT NULL,
    PRIMARY KEY (month, id, counter)
);

-- The writer's only way to change a count: it can rise.
CREATE FUNCTION pgwarden.count_key_uses(
    its_counter uuid, months date[], ids text[], statements bigint[], costs bigint[], moments timestamptz[]
) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO pgwarden.api_key_uses AS known (month, id, counter, statements, cost_nano, last_used)
    SELECT told.month, told.id, its_counter, told.statements, told.cost, told.moment
    FROM unnest(months, ids, statements, costs, moments) AS told (month, id, statements, cost, moment)
    WHERE EXISTS (SELECT FROM pgwarden.api_keys k WHERE k.id = told.id)
    ON CONFLICT (month, id, counter) DO UPDATE SET
        statements = greatest(known.statements, excluded.statements),
        cost_nano = greatest(known.cost_nano, excluded.cost_nano),
        last_used = greatest(known.last_used, excluded.last_used)
$$;
REVOKE ALL ON FUNCTION pgwarden.count_key_uses(uuid, date[], text[], bigint[], bigint[], timestamptz[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgwarden.count_key_uses(uuid, date[], text[], bigint[], bigint[], timestamptz[])
    TO pgwarden_writer;

GRANT SELECT ON pgwarden.api_keys, pgwarden.api_key_revocations, pgwarden.api_key_uses TO pgwarden_writer;
GRANT SELECT ON pgwarden.api_key_revocations, pgwarden.api_key_uses TO pgwarden_auditor;
GRANT SELECT (number, id, "user", tier, owner, created_at, created_by, expires_at) ON pgwarden.api_keys
    TO pgwarden_auditor;
