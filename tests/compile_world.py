"""A small catalog and policy for tests of the compiler that need no server."""

from __future__ import annotations

from pathlib import Path

from policies.catalog import Catalog, Column, Namespace, Relation
from policies.compile import Compiler
from policies.decision import Decision
from policies.load import load_folder
from policies.model import EffectivePolicy
from policies.resolve import resolve

INT, TEXT, NUMERIC, DATE, JSON, TEXT_ARRAY, ENUM = 23, 25, 1700, 1082, 114, 1009, 20001
TYPE_NAMES = {INT: "integer", TEXT: "text", NUMERIC: "numeric", DATE: "date", JSON: "json", TEXT_ARRAY: "text[]"}

POLICY = """
principals:
  - {user: ada, tenant: acme, roles: [analyst], attributes: {tenant_id: 1, note: "it's $$ \\\\ fine"}}
  - {user: bo, roles: [nobody]}
  - {user: eve, roles: [writer], attributes: {tenant_id: 2}}
  - {user: root, roles: [admin]}
policies:
  - name: analysts
    subjects: {roles: [analyst]}
    statements: [select, explain]
    tables: {allow: ["shop.*"], block: [shop.salaries]}
    columns: {block: [shop.payments.card_number]}
    rows:
      - {table: shop.customers, filter: "tenant_id = {tenant_id}"}
      - {table: shop.events, filter: "tenant_id = {tenant_id}"}
    masks:
      - {column: shop.customers.email, mask: {kind: email}}
      - {column: shop.customers.birth_date, mask: {kind: truncate, unit: year}}
    functions: {allow: [shop.safe_report]}
    limits: {rows: 1000, runtime: 30s}
  - name: writers
    subjects: {roles: [writer]}
    statements: [select, insert, update, copy_to, cursor]
    tables: {allow: ["shop.*"]}
  - name: admins
    subjects: {roles: [admin]}
    statements: [all]
    tables: {allow: ["*.*"]}
    functions: {allow: ["*"]}
"""


def _relation(
    oid: int,
    name: str,
    columns: dict[str, int],
    *,
    schema: str = "shop",
    kind: str = "r",
    key: tuple[str, ...] = (),
    parents: tuple[int, ...] = (),
    children: tuple[int, ...] = (),
    definition: str | None = None,
    generated: dict[str, tuple[str, ...]] | None = None,
) -> Relation:
    made = generated or {}
    listed = tuple(
        Column(n, i, t, TYPE_NAMES.get(t, "shop.status"), is_generated=n in made, generated_from=made.get(n, ()))
        for i, (n, t) in enumerate(columns.items(), 1)
    )
    return Relation(oid, schema, name, kind, listed, key, parents, children, (), definition)


def make_catalog(version: int = 1) -> Catalog:
    customers = {
        "id": INT,
        "tenant_id": INT,
        "name": TEXT,
        "email": TEXT,
        "birth_date": DATE,
        "balance": NUMERIC,
        "tags": TEXT_ARRAY,
        "email_domain": TEXT,
    }
    relations = (
        _relation(101, "customers", customers, key=("id",), generated={"email_domain": ("email",)}),
        _relation(102, "orders", {"id": INT, "customer_id": INT, "total": NUMERIC, "status": ENUM}, key=("id",)),
        _relation(103, "payments", {"id": INT, "order_id": INT, "card_number": TEXT, "amount": NUMERIC}, key=("id",)),
        _relation(104, "salaries", {"id": INT, "amount": NUMERIC}),
        _relation(105, "events", {"id": INT, "tenant_id": INT, "body": TEXT}, kind="p", children=(106,)),
        _relation(106, "events_2024", {"id": INT, "tenant_id": INT, "body": TEXT}, parents=(105,)),
        _relation(
            107,
            "contacts",
            {"id": INT, "email": TEXT},
            kind="v",
            definition=" SELECT c.id,\n    c.email\n   FROM shop.customers c;",
        ),
        _relation(
            108,
            "totals",
            {"total": NUMERIC},
            kind="v",
            definition=" SELECT sum(orders.total) AS total FROM shop.orders;",
        ),
        _relation(109, "pay", {"amount": NUMERIC}, kind="v", definition=" SELECT salaries.amount FROM shop.salaries;"),
        _relation(110, "daily", {"total": NUMERIC}, kind="m"),
        _relation(111, "orders_id_seq", {"last_value": INT}, kind="S"),
        _relation(112, "other", {"id": INT}, schema="public"),
        _relation(113, "Weird Name", {"id": INT, "E mail": TEXT}),
    )
    return Catalog(
        version=version,
        database="shop",
        server_version=150000,
        relations=relations,
        search_path=("shop", "public"),
        schemas=frozenset({"shop", "public"}),
        function_names=frozenset({"pg_read_file", "lower", "row_to_json", "evil", "safe_report", "query_to_xml"}),
        user_functions={"evil": frozenset({"public"}), "safe_report": frozenset({"shop"}), "lower": frozenset()},
        user_operators=frozenset({"<~~>"}),
    )


class World:
    """`decide` for one user; `path` is the session's search_path."""

    def __init__(self, folder: Path, policy: str = POLICY) -> None:
        (folder / "policy.yaml").write_text(policy)
        self.policies = load_folder(folder, {})
        self.catalog = make_catalog()
        self.compiler = Compiler()

    def effective(self, user: str) -> EffectivePolicy:
        found = resolve(self.policies, user, "shop")
        assert found is not None
        return found

    def decide(self, sql: str, user: str = "ada", path: tuple[str, ...] = ("shop", "public")) -> Decision:
        return self.compiler.decide(sql, self.effective(user), self.catalog, Namespace(path, path))

    def allowed(self, sql: str, user: str = "ada") -> Decision:
        decision = self.decide(sql, user)
        assert decision.refusal is None, decision.refusal
        return decision

    def refused(self, sql: str, user: str = "ada") -> tuple[str, str]:
        """(sqlstate, rule)."""
        refusal = self.decide(sql, user).refusal
        assert refusal is not None, f"allowed: {sql}"
        return refusal.sqlstate, refusal.rule
