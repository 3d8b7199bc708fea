"""docs/policies.md: its folders load, its tests pass before the sample shop, each policy of it can be explained."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from policies import policy_reader
from policies.catalog import Catalog, Namespace
from policies.catalog_check import check_against_catalog
from policies.compile import Compiler
from policies.explain import explain
from policies.load import SECTIONS, load_texts
from policies.masks.spec import Kind
from policies.model import Circumstances, PolicySet
from policies.resolve import resolve
from policies.unit_tests import failures, read_tests
from policies.when_reader import KEYS as WHEN_KEYS
from proxy.net.introspect import read_catalog
from tests.fix_servers import TestServer

MANUAL = Path(__file__).parents[2] / "docs" / "policies.md"
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
ENVIRONMENT = {"TOKEN_KEY": "a key of the tests, and long"}
_BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    line: int
    text: str

    @property
    def content(self) -> dict[str, Any]:
        found = yaml.safe_load(self.text)
        assert isinstance(found, dict)
        return found


def blocks() -> Iterator[Block]:
    text = MANUAL.read_text("utf-8")
    for match in _BLOCK.finditer(text):
        yield Block(text.count("\n", 0, match.start(1)) + 1, match[1])


BLOCKS = tuple(blocks())
FIRST = BLOCKS[0].content
FOLDERS = tuple(block for block in BLOCKS if "tests" not in block.content)
TESTED = tuple((before, block) for before, block in zip(BLOCKS, BLOCKS[1:], strict=False) if "tests" in block.content)


def loaded(block: Block) -> PolicySet:
    """A block without principals is for those of the first; one without policies is a part of a policy."""
    content = block.content
    if not content.keys() & set(SECTIONS):
        assert content.keys() <= set(policy_reader.KEYS)
        part = {"name": "part", "subjects": {"roles": ["analyst"]}, "statements": ["select"]}
        content = {"policies": [{**part, "tables": {"allow": ["shop.*"]}, **content}]}
    if "principals" not in content:
        content = {"principals": FIRST["principals"], **content}
    return load_texts({"shop.yaml": yaml.safe_dump(content).encode()}, ENVIRONMENT, ["shop"])


@pytest.fixture
async def catalog(server18: TestServer) -> Catalog:
    return await read_catalog(server18.dsn("shop_template"), database="shop")


@pytest.mark.parametrize("block", FOLDERS, ids=lambda block: f"line {block.line}")
def test_a_folder_fits_the_shop_and_can_be_explained(catalog: Catalog, block: Block) -> None:
    policies = loaded(block)
    problems = check_against_catalog(policies, catalog)
    assert [str(problem) for problem in problems] == []
    here = Circumstances("10.0.0.7", NOW)
    sql = "SELECT c.*, o.total FROM shop.customers AS c JOIN shop.orders AS o ON o.customer_id = c.id"
    policy = resolve(policies, "ada", "shop", here)
    assert policy is not None
    decision = Compiler().decide(sql, policy, catalog, Namespace(catalog.search_path, catalog.search_path))
    assert decision.refusal is None
    text = explain(decision, policy, sql, catalog)
    assert all(name in text for name in (part.name for part in policy.policies))


@pytest.mark.parametrize(("folder", "block"), TESTED, ids=lambda block: f"line {block.line}")
def test_the_tests_pass(catalog: Catalog, folder: Block, block: Block) -> None:
    policies = loaded(folder)
    tests = read_tests(block.text.encode(), "tests.yaml", policies, ["shop"], NOW)
    compiler, namespace = Compiler(), Namespace(catalog.search_path, catalog.search_path)
    found = {}
    for test in tests:
        policy = resolve(policies, test.user, "shop", test.circumstances)
        assert policy is not None
        found[test.name] = list(failures(test.expectation, compiler.decide(test.sql, policy, catalog, namespace)))
    assert len(found) == len(block.content["tests"])
    assert {name: failed for name, failed in found.items() if failed} == {}


def test_every_key_and_every_kind_is_in_the_manual() -> None:
    text = MANUAL.read_text("utf-8")
    names = (*SECTIONS, *policy_reader.KEYS, *WHEN_KEYS, *Kind)
    assert [name for name in names if f"`{name}`" not in text and f"{name}:" not in text] == []


def test_there_is_something_to_test() -> None:
    assert len(FOLDERS) >= 6
    assert len(TESTED) >= 4
