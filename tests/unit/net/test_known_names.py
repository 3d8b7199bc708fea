"""What is remembered of names is on disk before anybody relies on it, and comes back from there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from policies.catalog import Catalog, FormerName
from policies.known_names import Called, Memory, RuledName, Seen
from policies.load import load_texts
from policies.model import PolicySet
from proxy.net.known_names import KnownNames
from proxy.net.names_file import NamesFileError, read_names, write_names
from tests.compile_world import POLICY, make_catalog

MEMORY = Memory(
    "7/5",
    "f" * 64,
    {
        ("shop", 'we"ird.ü'): RuledName(
            "d", {16400: {"e mail": (3, 4), "x": ()}, 16401: {}}, {16400: Called("shop", "a", {3: "ö"})}
        )
    },
    {16400: Seen("shop", "a", frozenset({"email", "pin"})), 16402: Seen("s", "b", frozenset())},
)


def policies() -> PolicySet:
    return load_texts({"p.yaml": POLICY.encode()}, {})


def renamed(catalog: Catalog, oid: int, name: str) -> Catalog:
    """As a snapshot after ALTER TABLE ... RENAME."""
    relations = (replace(one, name=name) if one.oid == oid else one for one in catalog.relations)
    return replace(make_catalog(), relations=tuple(relations))


def test_a_file_gives_back_what_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "journal" / "names.json"
    write_names(path, {"shop": MEMORY, "öther": replace(MEMORY, names={})})
    assert read_names(path) == {"shop": MEMORY, "öther": replace(MEMORY, names={})}
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["names.json"]


def test_no_file_is_nothing_known(tmp_path: Path) -> None:
    assert read_names(tmp_path / "names.json") == {}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"version": 2, "databases": {}}',
        b'{"version": 1}',
        b'{"version": 1, "databases": {"a": {}}}',
        b'{"version": 1, "databases": {"a": {"identity": 5, "policies": "", "names": [], "seen": {}}}}',
        b'{"version": 1, "databases": {"a": {"identity": "", "policies": "", "names": [["a", "b"]], "seen": {}}}}',
        b'{"version": 1, "databases": {"a": {"identity": "", "policies": "", "names": [], "seen": {"x": ["a", "b"]}}}}',
        b'{"version": 1, "databases": {"a": {"identity": "", "policies": "", "names": [], "seen": {"1": "ab"}}}} x',
        b"\xff",
    ],
)
def test_a_file_that_is_not_ours_is_an_error_with_a_way_out(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "names.json"
    path.write_bytes(text)
    with pytest.raises(NamesFileError, match="Restore it, or remove it"):
        KnownNames(path, policies)


def test_a_folder_in_its_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "names.json").mkdir()
    with pytest.raises(NamesFileError, match="IsADirectoryError"):
        read_names(tmp_path / "names.json")


def test_rules_follow_a_name_over_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "names.json"
    KnownNames(path, policies).fill(make_catalog())
    again = KnownNames(path, policies).fill(renamed(make_catalog(), 101, "clients"))
    columns = {name: (name,) for name in ("birth_date", "email", "tenant_id")}
    assert again.former_names == {101: (FormerName("shop", "customers", columns),)}
    assert ("shop", "customers") in again.remembered


def restored(catalog: Catalog) -> Catalog:
    """As after a dump into another cluster: OIDs and column numbers are others."""
    relations = (
        replace(
            one,
            oid=one.oid + 5000,
            columns=tuple(replace(column, attnum=column.attnum + 7) for column in one.columns),
            children=tuple(oid + 5000 for oid in one.children),
        )
        for one in catalog.relations
    )
    return replace(catalog, identity="another/1", relations=tuple(relations))


def test_rules_follow_a_name_into_a_restored_cluster(tmp_path: Path) -> None:
    path = tmp_path / "names.json"
    KnownNames(path, policies).fill(make_catalog())
    moved = renamed(make_catalog(), 101, "clients")
    columns = (replace(one, name="mail") if one.name == "email" else one for one in moved.by_oid[101].columns)
    relation = replace(moved.by_oid[101], columns=tuple(columns))
    moved = replace(moved, relations=tuple(relation if one.oid == 101 else one for one in moved.relations))
    KnownNames(path, policies).fill(moved)
    copied = replace(relation, oid=900, name="copied", columns=make_catalog().by_oid[101].columns)
    other = restored(replace(moved, relations=(*moved.relations, copied)))
    again = KnownNames(path, policies).fill(other)
    (former,) = again.former_names[5101]
    assert (former.schema, former.table, former.columns["email"]) == ("shop", "customers", ("mail",))
    assert set(again.newcomers) == {5900}


def test_a_file_without_present_names_is_read(tmp_path: Path) -> None:
    path = tmp_path / "names.json"
    names = {("shop", "a"): RuledName("d", {16400: {"x": (3,)}})}
    write_names(path, {"shop": replace(MEMORY, names=names)})
    data = json.loads(path.read_text())
    del data["databases"]["shop"]["names"][0][4]
    path.write_text(json.dumps(data))
    assert read_names(path) == {"shop": replace(MEMORY, names=names)}


def test_without_policies_only_what_was_remembered_is_told(tmp_path: Path) -> None:
    path = tmp_path / "names.json"
    KnownNames(path, policies).fill(make_catalog())
    written = path.read_bytes()
    filled = KnownNames(path, lambda: None).fill(renamed(make_catalog(), 101, "clients"))
    assert filled.remembered["shop", "customers"] == {"birth_date", "email", "tenant_id"}
    assert filled.former_names == {}
    assert path.read_bytes() == written


def test_the_file_is_written_when_something_is_new_only(tmp_path: Path) -> None:
    path = tmp_path / "names.json"
    names = KnownNames(path, policies)
    names.fill(make_catalog())
    assert json.loads(path.read_bytes())["version"] == 1
    path.unlink()
    names.fill(make_catalog())
    assert not path.exists()


def test_a_failing_disk_is_told_until_it_works_again(tmp_path: Path) -> None:
    blocker = tmp_path / "journal"
    names = KnownNames(blocker / "names.json", policies)
    blocker.write_text("a file where the folder should be")
    names.fill(make_catalog())
    assert "can't be written" in names.problem
    filled = names.fill(renamed(make_catalog(), 101, "clients"))
    assert 101 in filled.former_names  # this process knows all the same
    blocker.unlink()
    names.fill(renamed(make_catalog(), 101, "clients"))
    assert names.problem == ""
    assert "shop" in read_names(blocker / "names.json")


def test_what_another_worker_has_learned_is_not_unlearned(tmp_path: Path) -> None:
    path = tmp_path / "names.json"
    first, second = KnownNames(path, policies), KnownNames(path, policies)
    (oid,) = (one.oid for one in make_catalog().relations if (one.schema, one.name) == ("shop", "customers"))
    first.fill(make_catalog())
    moved = second.fill(renamed(make_catalog(), oid, "clients"))  # it has never seen the former name
    assert [(former.schema, former.table) for former in moved.former_names[oid]] == [("shop", "customers")]
    again = first.fill(renamed(make_catalog(), oid, "patrons"))
    assert [(former.schema, former.table) for former in again.former_names[oid]] == [("shop", "customers")]
    assert read_names(path)["shop"].names["shop", "customers"].called[oid].name in ("patrons", "customers", "clients")
