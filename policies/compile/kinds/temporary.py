"""The session's own temporary relations: who may make and write them, and which names they may bear.

pg_temp comes first on every search_path, for types before pg_catalog, for relations also inside of functions: a name
there must not give another meaning to text that isn't the client's.
"""

from __future__ import annotations

from policies.catalog import Catalog
from policies.compile.rules.relations import TEMPORARY_SCHEMA, is_own_temporary
from policies.compile.statements import Request, require_grant
from policies.compile.type_names import TYPE_NAMES
from policies.model import Statement as Grant

__all__ = ["TEMPORARY_SCHEMA", "check_shadow", "check_temporary_name", "is_own_temporary", "require_temp_tables"]


def require_temp_tables(request: Request) -> None:
    """The grant under which own temporary tables are made, written, altered and dropped. Raises Refused."""
    require_grant(request, Grant.TEMP_TABLES)


def check_temporary_name(request: Request, catalog: Catalog, name: str) -> None:
    """Raises Refused for a name that text of others would mean."""
    if name in TYPE_NAMES or name.startswith("pg_"):
        raise request.refuse(
            "0A000",
            "pgwarden/temp_tables",
            f"a temporary relation can't be called {name} under a policy: types and catalogs bear such names",
            hint="Choose another name.",
        )
    check_shadow(request, catalog, TEMPORARY_SCHEMA, name)


def check_shadow(request: Request, catalog: Catalog, schema: str, name: str) -> None:
    """A function that reads or writes a table by its bare name would take the new one instead. Raises Refused."""
    if name in catalog.bare_names and any(name == r.name and schema != r.schema for r in catalog.relations):
        raise request.refuse(
            "0A000",
            "pgwarden/temp_tables",
            f"another {name} would take the place of the table that a function of this database names without a schema",
            hint="Choose another name, or let an administrator set a search_path for that function.",
        )
