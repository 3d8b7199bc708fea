"""The policies that the suite's queries are held against, made from the catalog of the regression database."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

from policies.catalog import Catalog, Column, Relation
from policies.load import load_folder
from policies.model import EffectivePolicy
from policies.resolve import resolve

USER: Final = "reader"
_NAMED_KINDS: Final = "mfS"  # what a pattern doesn't reach
_RULED_KINDS: Final = "rpmf"


def everything(folder: Path, catalog: Catalog) -> EffectivePolicy:
    """Nothing is hidden."""
    return _effective(folder / "everything", catalog, {})


def transparent(folder: Path, catalog: Catalog) -> EffectivePolicy:
    """A guard before every table that hides nothing: whatever passes must give what the server gives without it."""
    rows = [{"table": _name(one), "filter": "true"} for one in _ruled(catalog)]
    return _effective(folder / "transparent", catalog, {"rows": rows})


def hiding(folder: Path, catalog: Catalog) -> EffectivePolicy:
    """A row filter before every table and a mask on one column of each; children have their parents' rules."""
    rows, masks = [], []
    for relation in _ruled(catalog):
        if relation.columns:
            rows.append({"table": _name(relation), "filter": f"{_quoted(relation.columns[0].name)} IS NOT NULL"})
        if len(relation.columns) > 1:
            column = _masked(relation)
            masks.append({"column": f"{_name(relation)}.{_quoted(column.name)}", "mask": {"kind": "nullify"}})
    return _effective(folder / "hiding", catalog, {"rows": rows, "masks": masks})


def _masked(relation: Relation) -> Column:
    plain = [column for column in relation.columns[1:] if not column.is_generated]
    return (plain or relation.columns)[-1]


def _ruled(catalog: Catalog) -> list[Relation]:
    return [one for one in catalog.relations if one.kind in _RULED_KINDS and not one.parents]


def _effective(folder: Path, catalog: Catalog, rules: dict[str, Any]) -> EffectivePolicy:
    named = [_name(one) for one in catalog.relations if one.kind in _NAMED_KINDS]
    policy = {
        "name": "readings",
        "subjects": {"any": True},
        "statements": ["all"],
        "tables": {"allow": ["*.*", *named]},
        "functions": {"allow": ["*"]},
        **rules,
    }
    folder.mkdir()
    (folder / "policy.yaml").write_text(yaml.safe_dump({"principals": [{"user": USER}], "policies": [policy]}), "utf-8")
    found = resolve(load_folder(folder, {}), USER, catalog.database)
    assert found is not None
    return found


def _name(relation: Relation) -> str:
    return f"{_quoted(relation.schema)}.{_quoted(relation.name)}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
