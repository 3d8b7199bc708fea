-- The shop whose hidden cells hold canaries. Literals that must never be seen are canaries too: see CONSTANTS in
-- canaries.py.
CREATE SCHEMA shop;
CREATE SCHEMA vault;
CREATE TYPE shop.segment AS ENUM ('retail', 'trade', 'vip');
CREATE TYPE shop.state AS ENUM ('open', 'paid', 'sent', 'void');

CREATE TABLE shop.customers (
    id int PRIMARY KEY,
    tenant_id int NOT NULL,
    name text NOT NULL,
    city varchar(40),
    segment shop.segment NOT NULL,
    email varchar(80) UNIQUE,
    ssn text CHECK (ssn <> 'cnryconstantcheck'),
    phone text,
    birth_date date,
    loyalty_code text,
    credit_limit numeric(14,2),
    points bigint,
    rating double precision,
    note text DEFAULT 'cnryconstantdefault',
    tags text[],
    profile jsonb,
    device uuid,
    photo bytea,
    pin int,
    seen_at timestamptz,
    nickname text,
    email_upper text GENERATED ALWAYS AS (upper(email::text)) STORED
);
CREATE INDEX customers_by_ssn ON shop.customers (name) WHERE ssn <> 'cnryconstantindex';

CREATE TABLE shop.orders (
    id int PRIMARY KEY,
    tenant_id int NOT NULL,
    customer_id int,
    state shop.state NOT NULL,
    placed_on date NOT NULL,
    total numeric(14,2),
    memo text
);
CREATE TABLE shop.order_items (
    order_id int,
    line int,
    product_id int,
    quantity int NOT NULL,
    price numeric(14,2),
    remark text,
    PRIMARY KEY (order_id, line)
);
CREATE TABLE shop.products (
    id int PRIMARY KEY,
    name text NOT NULL,
    price numeric(14,2) NOT NULL,
    cost numeric(14,2),
    margin numeric(15,2) GENERATED ALWAYS AS (price - cost) STORED,
    labels text[] NOT NULL,
    sizes int[] NOT NULL,
    attributes jsonb NOT NULL
);
CREATE TABLE shop.payments (
    id int PRIMARY KEY,
    tenant_id int NOT NULL,
    order_id int,
    amount numeric(14,2),
    card_number text,
    method text NOT NULL,
    paid_at timestamp
);
CREATE TABLE shop.salaries (id int PRIMARY KEY, person text, amount bigint, since date);
CREATE TABLE shop.regions (id int PRIMARY KEY, name text NOT NULL, parent int);
CREATE TABLE shop.events (day date NOT NULL, tenant_id int NOT NULL, id int NOT NULL, actor text, payload jsonb)
    PARTITION BY RANGE (day);
CREATE TABLE shop.events_2124 PARTITION OF shop.events FOR VALUES FROM ('2124-01-01') TO ('2125-01-01');
CREATE TABLE shop.events_2125 PARTITION OF shop.events FOR VALUES FROM ('2125-01-01') TO ('2126-01-01');
CREATE TABLE shop.memos (id int PRIMARY KEY, tenant_id int, body text);
CREATE TABLE shop.memos_archive (shelf text) INHERITS (shop.memos);
CREATE TABLE vault.secrets (id int PRIMARY KEY, secret text);
CREATE TABLE vault.customers (id int, email text);
COMMENT ON TABLE shop.salaries IS 'cnryconstantcomment';
COMMENT ON COLUMN shop.payments.card_number IS 'cnryconstantcolumncomment';

CREATE VIEW shop.contacts AS SELECT id, name, email, phone FROM shop.customers;
CREATE VIEW shop.contact_names AS SELECT id, upper(name) AS name, email AS mail FROM shop.contacts WHERE id > 0;
CREATE VIEW shop.order_totals AS
    SELECT c.id, c.name, count(o.id) AS orders, sum(o.total) AS total
    FROM shop.customers c LEFT JOIN shop.orders o ON o.customer_id = c.id GROUP BY c.id;
CREATE VIEW shop.payroll AS SELECT person, amount FROM shop.salaries WHERE person <> 'cnryconstantview';
CREATE VIEW shop.reach (who, how) AS SELECT id, email FROM shop.customers WHERE tenant_id < 5;
ALTER VIEW shop.reach RENAME COLUMN how TO by_mail;
CREATE VIEW shop.kept_apart WITH (security_barrier) AS SELECT id, ssn, memo FROM shop.customers
    JOIN LATERAL (SELECT max(memo) AS memo FROM shop.orders WHERE customer_id = customers.id) o ON true;
CREATE VIEW shop.whole_rows AS SELECT c AS whole FROM shop.contacts c;
CREATE VIEW shop.distinct_reach AS SELECT DISTINCT email, birth_date FROM shop.customers;
CREATE VIEW shop.all_reach AS SELECT email AS mail FROM shop.customers UNION SELECT memo FROM shop.orders;
CREATE VIEW shop.day_actors AS SELECT day, max(actor) AS actor FROM shop.events GROUP BY day;
CREATE RECURSIVE VIEW shop.above (id, path) AS SELECT id, email::text FROM shop.customers WHERE id < 3
    UNION ALL SELECT c.id, a.path || c.ssn FROM shop.customers c JOIN above a ON c.id = a.id + 1 WHERE c.id < 9;
CREATE VIEW shop.cards AS SELECT id, card_number AS paid_with FROM shop.payments;
CREATE VIEW shop.vault_view AS SELECT secret AS name FROM vault.secrets;
CREATE VIEW shop.statistics AS SELECT tablename, most_common_vals::text AS vals FROM pg_stats;
CREATE VIEW shop.activity AS SELECT query FROM pg_stat_activity;
CREATE MATERIALIZED VIEW shop.takings AS SELECT 1 AS one WITH NO DATA;
CREATE SEQUENCE shop.numbers;

CREATE FUNCTION shop.leak() RETURNS text LANGUAGE sql STABLE AS 'SELECT max(secret) FROM vault.secrets';
CREATE FUNCTION shop.leak_of(shop.customers) RETURNS text LANGUAGE sql STABLE AS
    'SELECT ssn FROM shop.customers WHERE id = ($1).id';
CREATE VIEW shop.leaking AS SELECT shop.leak() AS name;
CREATE VIEW shop.leaking_each AS SELECT id, shop.leak_of(customers) AS name FROM shop.customers;
CREATE FUNCTION shop.everybody() RETURNS SETOF shop.customers LANGUAGE sql STABLE AS 'SELECT * FROM shop.customers';
CREATE VIEW shop.everybody_view AS SELECT * FROM shop.everybody();
CREATE FUNCTION shop.tell(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS
    'BEGIN RAISE NOTICE ''%'', $1; RETURN true; END';
CREATE OPERATOR shop.<<<>>> (leftarg = text, rightarg = text, function = texteq);
CREATE FUNCTION shop.tell_two(text, text) RETURNS boolean LANGUAGE plpgsql AS
    'BEGIN RAISE NOTICE ''%'', $1; RETURN true; END';
CREATE OPERATOR shop.~~~ (leftarg = text, rightarg = text, function = shop.tell_two);
CREATE FUNCTION shop.text_of(int) RETURNS text LANGUAGE sql AS 'SELECT max(ssn) FROM shop.customers';
CREATE PROCEDURE shop.tell_all() LANGUAGE plpgsql AS
    'BEGIN RAISE NOTICE ''%'', (SELECT max(secret) FROM vault.secrets); END';
CREATE FUNCTION shop.complain(text) RETURNS boolean LANGUAGE plpgsql AS
    'BEGIN RAISE EXCEPTION ''no: %'', $1 USING DETAIL = $1, HINT = $1; END';
CREATE FUNCTION shop.complain_as(text) RETURNS boolean LANGUAGE plpgsql AS
    'BEGIN RAISE EXCEPTION SQLSTATE ''23514'' USING MESSAGE = $1, CONSTRAINT = $1, COLUMN = $1, TABLE = $1; END';
CREATE FUNCTION shop.complain_inside(int) RETURNS int LANGUAGE plpgsql AS
    'BEGIN RETURN (SELECT ssn::int + $1 FROM shop.customers WHERE ssn IS NOT NULL ORDER BY id DESC LIMIT 1); END';
