"""The snapshot against what real servers hold."""

from __future__ import annotations

import psycopg
import pytest
from catalog_servers import catalog_dsn

from policies.catalog import Catalog, ForeignKey, Relation, ViewAccess
from proxy.embedded import find_free_port
from proxy.net.introspect import CatalogReadError, read_catalog

__all__ = ["catalog_dsn"]


async def _relation(dsn: str, name: str) -> tuple[Catalog, Relation]:
    catalog = await read_catalog(dsn, database="shop")
    relation = catalog.find("shop", name)
    assert relation is not None
    return catalog, relation


async def test_columns_skip_dropped_ones_and_resolve_domains(catalog_dsn: str) -> None:
    _, customers = await _relation(catalog_dsn, "customers")
    assert [c.name for c in customers.columns] == ["id", "email", "name", "upper_name", "canary_ssn", "note"]
    assert [c.attnum for c in customers.columns] == [1, 3, 4, 5, 6, 7]
    email = customers.column("email")
    assert email is not None
    assert (email.type_oid, email.type_name) == (1043, "character varying(60)")
    assert email.domain_oid >= 16384
    name = customers.column("name")
    assert name is not None
    assert (name.is_not_null, name.domain_oid) == (True, 0)


async def test_generated_columns_name_what_they_read(catalog_dsn: str) -> None:
    _, customers = await _relation(catalog_dsn, "customers")
    generated = customers.column("upper_name")
    assert generated is not None
    assert (generated.is_generated, generated.generated_from) == (True, ("name",))


async def test_keys_partitions_and_indexes(catalog_dsn: str) -> None:
    catalog, parts = await _relation(catalog_dsn, "parts")
    child = catalog.find("shop", "parts_1")
    assert child is not None
    assert (parts.kind, parts.primary_key) == ("p", ("year", "id"))
    assert (parts.children, child.parents) == ((child.oid,), (parts.oid,))
    customers = catalog.find("shop", "customers")
    assert customers is not None
    assert len(customers.index_oids) == 3


async def test_foreign_keys_name_the_columns_at_both_ends(catalog_dsn: str) -> None:
    catalog, salaries = await _relation(catalog_dsn, "canary_salaries")
    customers = catalog.find("shop", "customers")
    assert customers is not None
    assert salaries.foreign_keys == (ForeignKey(("who",), customers.oid, ("id",)),)
    assert customers.foreign_keys == ()


async def test_sequences_name_the_column_that_owns_them(catalog_dsn: str) -> None:
    catalog, sequence = await _relation(catalog_dsn, "canary_salaries_id_seq")
    salaries = catalog.find("shop", "canary_salaries")
    assert salaries is not None
    assert (sequence.kind, sequence.owned_by) == ("S", (salaries.oid, "id"))
    assert salaries.owned_by is None


async def test_view_definitions_are_qualified(catalog_dsn: str) -> None:
    catalog, view = await _relation(catalog_dsn, "names")
    assert view.view_definition is not None
    assert "shop.customers" in view.view_definition
    assert [r.kind for r in catalog.relations if r.view_definition is not None] == ["v", "m"]


async def test_functions_operators_types_and_path(catalog_dsn: str) -> None:
    catalog = await read_catalog(catalog_dsn, database="shop")
    assert catalog.user_functions == {"twice": frozenset({"shop"}), "more": frozenset({"shop"})}
    assert {"pg_read_file", "twice", "lower"} <= catalog.function_names
    assert catalog.user_operators == {"@#@"}  # ### calls an internal function
    assert {"mail", "mail2", "mood", "pair"} <= catalog.user_types
    assert "customers" not in catalog.user_types
    assert catalog.search_path == ("public",)
    assert {"shop", "public", "pg_catalog", "information_schema"} <= catalog.schemas
    assert {r.schema for r in catalog.relations} == {"shop"}


async def test_version_rises_only_with_a_difference(catalog_dsn: str) -> None:
    first = await read_catalog(catalog_dsn, database="shop")
    assert first.version == 1
    assert await read_catalog(catalog_dsn, database="shop", previous=first) is first
    with psycopg.connect(catalog_dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE shop.later (id int)")
        try:
            second = await read_catalog(catalog_dsn, database="shop", previous=first)
        finally:
            connection.execute("DROP TABLE shop.later")
    assert second.version == 2
    assert second.find("shop", "later") is not None


async def test_a_locked_view_ends_in_an_error_and_no_wait_without_end(catalog_dsn: str) -> None:
    with psycopg.connect(catalog_dsn) as connection:
        connection.execute("LOCK TABLE shop.customers IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(CatalogReadError, match="lock timeout"):
            await read_catalog(catalog_dsn, database="shop")


async def test_an_unreachable_server_is_one_kind_of_error() -> None:
    with pytest.raises(CatalogReadError, match="catalog of shop"):
        await read_catalog(f"postgresql://ada@127.0.0.1:{find_free_port()}/shop", database="shop")


async def test_what_types_bring_along(catalog_dsn: str) -> None:
    """Enums, collations of columns, functions of casts and of domains' checks."""
    statements = """
        CREATE FUNCTION shop.to_pair(int) RETURNS shop.pair LANGUAGE sql AS 'SELECT ROW($1, '''')::shop.pair';
        CREATE CAST (int AS shop.pair) WITH FUNCTION shop.to_pair(int);
        CREATE DOMAIN shop.even AS int CHECK (shop.twice(value) > 0);
        CREATE TABLE shop.kinds (mood shop.mood, c text COLLATE "C", p text COLLATE "POSIX", d text, n name);
    """
    drops = "DROP TABLE shop.kinds; DROP DOMAIN shop.even; DROP FUNCTION shop.to_pair(int) CASCADE"
    with psycopg.connect(catalog_dsn, autocommit=True) as connection:
        connection.execute(statements)
        try:
            catalog, kinds = await _relation(catalog_dsn, "kinds")
        finally:
            connection.execute(drops)
    assert [c.name for c in kinds.columns if c.is_enum] == ["mood"]
    assert [c.name for c in kinds.columns if c.has_own_collation] == ["p"]
    wanted = {"pair": frozenset({("shop", "to_pair")}), "even": frozenset({("shop", "twice")})}
    assert catalog.type_functions == wanted


async def test_generated_columns_have_their_expressions(catalog_dsn: str) -> None:
    _, customers = await _relation(catalog_dsn, "customers")
    generated = customers.column("upper_name")
    assert generated is not None
    assert generated.generation == "upper(name)"


async def test_views_tell_what_they_read_and_by_whose_rights(catalog_dsn: str) -> None:
    statements = """
        CREATE ROLE view_owner; GRANT USAGE ON SCHEMA shop TO view_owner; GRANT SELECT ON shop.parts TO view_owner;
        CREATE TABLE shop.guarded (id int); ALTER TABLE shop.guarded ENABLE ROW LEVEL SECURITY;
        GRANT SELECT ON shop.guarded TO view_owner;
        CREATE VIEW shop.owned AS SELECT p.id FROM shop.parts p, shop.customers c, shop.guarded g;
        ALTER VIEW shop.owned OWNER TO view_owner;
    """
    undo = "DROP VIEW shop.owned; DROP TABLE shop.guarded; DROP OWNED BY view_owner; DROP ROLE view_owner"
    with psycopg.connect(catalog_dsn, autocommit=True) as connection:
        connection.execute(statements.encode())
        try:
            catalog, owned = await _relation(catalog_dsn, "owned")
        finally:
            connection.execute(undo.encode())
    names = {catalog.by_oid[oid].name: oid for oid in owned.reads}
    assert sorted(names) == ["customers", "guarded", "parts"]
    assert {key: found for key, found in catalog.view_access.items() if key[1] in owned.reads} == {
        (owned.owner, names["customers"]): ViewAccess.RIGHTS,
        (owned.owner, names["guarded"]): ViewAccess.ROWS,
    }
    assert owned.is_selectable
    assert not owned.is_invoker
