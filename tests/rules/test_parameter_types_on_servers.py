"""A parameter's type comes as a number beside the text: the snapshot knows what it is."""

from __future__ import annotations

from dataclasses import replace

from policies.catalog import Catalog, Namespace
from policies.compile.parameter_types import that_matter
from tests.rules.conftest import Guarded


async def test_a_row_type_is_known_by_its_number(guarded: Guarded) -> None:
    found = guarded.connection.execute("SELECT 'app.t'::regtype::oid, 'app.t[]'::regtype::oid").fetchone()
    assert found is not None
    row, array = map(int, found)
    catalog: Catalog = guarded._catalog
    assert catalog.type_names[row] == ("app", "t")
    assert catalog.type_names[array] == ("app", "_t")
    for oid in (row, array):
        namespace = Namespace(("app",), parameter_types=that_matter([oid]))
        assert guarded._compiler.decide("SELECT $1", guarded._policy, catalog, namespace).refusal is None
        hidden = replace(guarded._policy, policies=(), fingerprint="none")
        refusal = guarded._compiler.decide("SELECT $1", hidden, catalog, namespace).refusal
        assert refusal is not None
        assert refusal.rule == "pgwarden/types"
