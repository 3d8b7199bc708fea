-- What the canary shop lacks and statements break tools with: odd names, ranges, composites, domains, stacked views.
CREATE TYPE shop.address AS (street text, zip text);
CREATE DOMAIN shop.code AS varchar(20) CHECK (VALUE <> '');
CREATE TABLE shop."Odd Table" (
    id int PRIMARY KEY,
    tenant_id int NOT NULL,
    "select" text,
    "a""b" int,
    "Größe" numeric(14,2),
    period daterange,
    span int4range,
    home shop.address,
    "Code" shop.code,
    doubled int GENERATED ALWAYS AS ("a""b" * 2) STORED,
    secret text,
    "order" text
);
CREATE TABLE shop.notes (id int, customer_id int, tenant_id int, body text, "Order" int, PRIMARY KEY (id, customer_id));

CREATE VIEW shop.old_customers AS
    SELECT id, name, ssn, birth_date, points FROM shop.customers WHERE birth_date > '1935-06-01';
CREATE VIEW shop.old_contacts (key, label, day) AS
    SELECT o.id, o.name || '/' || coalesce(c.email, '-'), o.birth_date
    FROM shop.old_customers o JOIN shop.contacts c USING (id);
CREATE VIEW shop.spending WITH (security_barrier) AS
    SELECT o.customer_id, count(*) AS orders, sum(o.total) AS total, max(o.placed_on) AS last
    FROM shop.orders o WHERE o.total > 10 GROUP BY o.customer_id;
CREATE VIEW shop.everything AS
    SELECT id, name AS label, 'customer' AS kind FROM shop.customers
    UNION ALL SELECT id, memo, state::text FROM shop.orders
    UNION ALL SELECT id, body, 'memo' FROM shop.memos;
CREATE VIEW shop.ranked AS
    SELECT id, customer_id, total, rank() OVER (PARTITION BY customer_id ORDER BY total DESC, id) AS place
    FROM shop.orders;
CREATE VIEW shop.odd_view AS SELECT id AS "ID", "select" AS "from", secret AS "Secret", "a""b" AS "1" FROM shop."Odd Table";
