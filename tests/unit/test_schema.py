"""The exported schemas and the readers say the same of the same files: good ones, and ones with a fault."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from policies.errors import PolicyFileError
from policies.json_schema import policy_file_schema
from policies.load import load_texts
from policies.yaml_nodes import Mapping, Node, Scalar, Sequence, read_yaml
from proxy.cli import make_app
from proxy.commands.schema import config_schema
from tests.unit.policies.test_load_when import FAULTS

ROOT = Path(__file__).parents[2]
POLICIES = Draft202012Validator(policy_file_schema())
CONFIG = Draft202012Validator(config_schema())
FILES = sorted(
    path
    for folder in ("deploy", "tests", "proxy")
    for path in (ROOT / folder).rglob("*.yaml")
    if "node_modules" not in path.parts and b"\npolicies:\n" in b"\n" + path.read_bytes()
)


def plain(node: Node | None) -> Any:
    """As our own reader sees the file: dates under `expires` stay text."""
    match node:
        case Mapping():
            return {key.text: plain(value) for key, value in node.entries}
        case Sequence():
            return [plain(item) for item in node.items]
        case Scalar():
            return node.value
        case _:
            return None


def content(data: bytes) -> Any:
    return plain(read_yaml(data, "p.yaml", []))


def faults(value: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in POLICIES.iter_errors(value)]


def test_there_are_files_to_hold_it_against() -> None:
    assert {path.name for path in FILES} >= {"analysts.yaml", "pgwarden_policies.yaml"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_policy_file_of_ours_fits(path: Path) -> None:
    assert faults(content(path.read_bytes())) == []


ENVIRONMENT = {"KEY": "k" * 32}
WHOLE = """
principals:
  - user: ada
    tenant: acme
    team: finance
    roles: [analyst]
    attributes: {tenant_id: 1, regions: [eu, us], is_boss: true}
    auth: {certificate: "CN=ada", api_keys: [{id: ci, sha256: "%s", expires: 2027-01-01}], stored_keys: true}
tags:
  pii.email: [shop.customers.email]
policies:
  - name: analysts
    database: shop
    subjects: {any: false, users: [ada], teams: [finance], tenants: [acme], roles: [analyst], except: {users: [ada]}}
    except: {roles: [analyst]}
    when: {cidr: [10.0.0.0/8], hours: "07:00-20:00", days: [mon], timezone: Europe/London}
    mode: shadow
    statements: {allow: [select], deny: [ddl]}
    tables: {allow: ["shop.*"], block: [shop.salaries]}
    columns: {block: [shop.payments.card_number]}
    rows:
      - {table: shop.customers, filter: "tenant_id = {tenant_id}"}
    masks:
      - {tag: pii.email, mask: {kind: email}, use: {equality: raw, join: masked}, probes_per_hour: 9}
      - {column: a.b.c, mask: {kind: partial, keep_first: 1, keep_last: 2, fill: "#"}}
      - {column: a.b.d, mask: {kind: truncate, unit: year}}
      - {column: a.b.e, mask: {kind: truncate, bucket: 10}}
      - {column: a.b.f, mask: {kind: hash, salt: pepper}}
      - {column: a.b.g, mask: {kind: constant, value: 7}}
      - {column: a.b.i, mask: {kind: token, key: "env:KEY", prefix: "t_"}}
      - {column: a.b.j, mask: {kind: fake, key: "env:KEY", of: name}}
      - {column: a.b.k, mask: {kind: fpe, key: "env:KEY", alphabet: digits, tweak: x}}
      - {column: a.b.l, mask: {kind: noise, key: "env:KEY", amount: 5}}
      - {column: a.b.m, mask: {kind: noise, key: "env:KEY", ratio: 0.1}}
      - {column: a.b.h, mask: {kind: sql, expression: "left({column}, 1)"}}
    functions: {allow: [shop.safe_report]}
    limits:
      {rows: 1, runtime: 30s, bytes: 1GiB, concurrent: 8, statements_per_minute: 600, cost: 2.5, at_cap: truncate}
prices: {per_second: 0.1, per_gib_out: 0.1, per_million_plan_units: 0.1, currency: EUR}
rates:
  - {tenant: acme, per_second: 50, burst: 200}
  - {each: user, per_second: 0.5}
tiers:
  free: {statements_per_month: 1000, cost_per_month: 0.5, per_second: 2, burst: 9}
  enterprise: {}
""" % ("a" * 64)


def test_a_file_with_every_key_fits_both() -> None:
    load_texts({"p.yaml": WHOLE.encode()}, ENVIRONMENT)
    assert faults(content(WHOLE.encode())) == []


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all mappings in which keys have meanings, so not of tags and attributes."""
    if isinstance(value, dict):
        if path != ("tags",) and path[-1:] != ("attributes",):
            yield path
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*path, index))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def is_refused_by_both(value: Any) -> tuple[bool, bool]:
    try:
        load_texts({"p.yaml": yaml.safe_dump(value).encode()}, ENVIRONMENT)
    except PolicyFileError:
        return bool(faults(value)), True
    return bool(faults(value)), False


PLACES = list(places(content(WHOLE.encode())))


@pytest.mark.parametrize("path", PLACES, ids=lambda path: ".".join(map(str, path)) or "file")
def test_an_unknown_key_is_refused_by_both(path: tuple[Any, ...]) -> None:
    value = content(WHOLE.encode())
    at(value, path)["surprise"] = ["x"]
    assert is_refused_by_both(value) == (True, True)


KEYS = [(path, key) for path in PLACES for key in at(content(WHOLE.encode()), path) if path]


@pytest.mark.parametrize(
    ("path", "key"), KEYS, ids=lambda part: part if isinstance(part, str) else ".".join(map(str, part))
)
def test_a_value_of_the_wrong_shape_is_refused_by_both(path: tuple[Any, ...], key: str) -> None:
    value = content(WHOLE.encode())
    at(value, path)[key] = {"nothing": {"of": "the kind"}}
    assert is_refused_by_both(value) == (True, True)


@pytest.mark.parametrize(
    ("path", "key"), KEYS, ids=lambda part: part if isinstance(part, str) else ".".join(map(str, part))
)
def test_what_the_reader_misses_the_schema_misses(path: tuple[Any, ...], key: str) -> None:
    value = copy.deepcopy(content(WHOLE.encode()))
    del at(value, path)[key]
    is_unfit, is_unread = is_refused_by_both(value)
    assert is_unread or not is_unfit, faults(value)


# What only a reader can know: names of other things, the day's end, host bits, zones, what a price has to do with it.
BEYOND_A_SCHEMA = (
    "cidr: 10.0.0.1/8",
    "10.0.0.0/33",
    "eth0",
    "localhost'",
    "24:01",
    "07:00-07:00",
    "timezone: ",
    "99999999TiB",
)


@pytest.mark.parametrize("part", [part for part, _, _ in FAULTS if not any(word in part for word in BEYOND_A_SCHEMA)])
def test_faults_that_the_reader_names_are_seen_by_the_schema(part: str) -> None:
    text = f"principals: [{{user: ada}}]\npolicies:\n  - name: p\n    subjects: {{any: true}}\n    {part}\n"
    assert faults(content(text.encode())) != []


def test_empty_sections_are_fine_for_both() -> None:
    text = b"principals: [{user: ada}]\npolicies:\ntags:\nprices:\n"
    load_texts({"p.yaml": text}, {})
    assert faults(content(text)) == []


class TestConfig:
    def test_the_example_fits(self) -> None:
        value = yaml.safe_load((ROOT / "deploy/example/pgwarden.yaml").read_text())
        assert [error.message for error in CONFIG.iter_errors(value)] == []

    @pytest.mark.parametrize(
        "fault",
        [
            {"listn": "x"},
            {"listen": 6432},
            {"tls": {"mode": "maybe"}},
            {"audit": {"sql_text": "none"}},
            {"databases": {"a": {}}},
        ],
    )
    def test_faults_are_seen(self, fault: dict[str, Any]) -> None:
        assert not CONFIG.is_valid(fault)


@pytest.mark.parametrize(("arguments", "title"), [([], "pgwarden policies"), (["config"], "pgwarden.yaml")])
def test_the_command_prints_it(arguments: list[str], title: str) -> None:
    result = CliRunner().invoke(make_app(), ["schema", *arguments])
    printed = json.loads(result.stdout)
    assert (result.exit_code, printed["title"]) == (0, title)
    Draft202012Validator.check_schema(printed)
