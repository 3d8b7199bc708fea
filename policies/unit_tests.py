"""Tests that operators write for their policies: what one principal should get for one statement. Pure.

A file holds ``tests:``, a list of mappings; unknown keys and users are problems with file, line and column.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from policies.decision import Decision
from policies.errors import PolicyFileError, Problem
from policies.fields import Fields, closest
from policies.model import Circumstances, PolicySet, Source
from policies.yaml_nodes import Node, Scalar, read_yaml

DECISIONS = ("allow", "rewrite", "deny")
_TEST_KEYS = ("name", "user", "database", "address", "at", "sql", "expect")
_EXPECT_KEYS = ("decision", "sqlstate", "rule", "message", "masked", "filtered", "upstream")
_OF_REFUSALS = ("sqlstate", "rule", "message")


@dataclass(frozen=True, slots=True)
class Expectation:
    """None isn't looked at. `masked` ("shop.customers.email") and `filtered` ("shop.customers") are complete lists.

    `message` must stand somewhere in the refusal's message, detail or hint, `upstream` in the text that is sent on.
    """

    decision: str | None = None
    sqlstate: str | None = None
    rule: str | None = None
    message: str | None = None
    masked: frozenset[str] | None = None
    filtered: frozenset[str] | None = None
    upstream: str | None = None


@dataclass(frozen=True, slots=True)
class PolicyTest:
    """`database` is None where the file names none; `circumstances` where it gives neither address nor time."""

    name: str
    user: str
    sql: str
    expectation: Expectation
    source: Source
    database: str | None = None
    circumstances: Circumstances | None = None


def read_tests(
    data: bytes, file: str, policies: PolicySet, databases: Collection[str], now: datetime
) -> list[PolicyTest]:
    """The tests of one file; `now` stands for a time that a test leaves out. Raises PolicyFileError."""
    problems: list[Problem] = []
    root = read_yaml(data, file, problems)
    fields = Fields(problems)
    entries = fields.mapping(root, "a file of tests", ("tests",)) if root else None
    reader = _Reader(fields, policies, databases, now)
    items = fields.items((entries or {}).get("tests"), "'tests'") or ()
    tests = [test for item in items if (test := reader.test(item)) is not None]
    if not items and not problems:
        fields.report(Source(file, 1, 1), "the file holds no tests")
    if problems:
        raise PolicyFileError(problems)
    return tests


class _Reader:
    def __init__(self, fields: Fields, policies: PolicySet, databases: Collection[str], now: datetime) -> None:
        self._fields = fields
        self._policies = policies
        self._databases = databases
        self._now = now

    def test(self, node: Node) -> PolicyTest | None:
        f = self._fields
        entries = f.mapping(node, "a test", _TEST_KEYS)
        if entries is None:
            return None
        name = f.text(f.require(entries, "name", "a test", node), "'name'")
        user = self._user(f.require(entries, "user", "a test", node))
        sql = f.text(f.require(entries, "sql", "a test", node), "'sql'")
        expect = f.require(entries, "expect", "a test", node)
        expectation = self._expectation(expect) if expect else None
        database = self._database(entries.get("database"))
        circumstances = self._circumstances(entries.get("address"), entries.get("at"))
        if name is None or user is None or sql is None or expectation is None:
            return None
        return PolicyTest(name, user, sql, expectation, node.source, database, circumstances)

    def _user(self, node: Node | None) -> str | None:
        user = self._fields.text(node, "'user'")
        known = self._policies.principals
        if node is not None and user is not None and user not in known:
            self._fields.report(node, f"no principal is called {user!r}{closest(user, known)}")
        return user

    def _database(self, node: Node | None) -> str | None:
        name = self._fields.text(node, "'database'")
        if node is not None and name is not None and name not in self._databases:
            self._fields.report(node, f"unknown database {name!r}{closest(name, self._databases)}")
        return name

    def _circumstances(self, address: Node | None, at: Node | None) -> Circumstances | None:
        if address is None and at is None:
            return None
        client = self._fields.text(address, "'address'") or ""
        return Circumstances(client, self._moment(at) or self._now)

    def _moment(self, node: Node | None) -> datetime | None:
        text = self._fields.text(node, "'at'")
        if node is None or text is None:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            form = 'must be a time with its zone, such as "2026-03-01T09:30+01:00"'
            self._fields.report(node, f"'at' {form}")
            return None
        return moment

    def _expectation(self, node: Node) -> Expectation | None:
        entries = self._fields.mapping(node, "'expect'", _EXPECT_KEYS)
        if entries is None:
            return None
        if not entries:
            self._fields.report(node, f"'expect' needs at least one of {', '.join(_EXPECT_KEYS)}")
        decision = self._decision(entries.get("decision"))
        refusal = next((entries[key] for key in _OF_REFUSALS if key in entries), None)
        if refusal is not None and decision not in (None, "deny"):
            self._fields.report(refusal, f"only a refusal has it; the test expects {decision}")
        return Expectation(
            decision if refusal is None else "deny",
            _word(entries.get("sqlstate")),
            self._fields.text(entries.get("rule"), "'rule'"),
            self._fields.text(entries.get("message"), "'message'"),
            self._names(entries.get("masked"), "'masked'"),
            self._names(entries.get("filtered"), "'filtered'"),
            self._fields.text(entries.get("upstream"), "'upstream'"),
        )

    def _decision(self, node: Node | None) -> str | None:
        decision = self._fields.text(node, "'decision'")
        if node is not None and decision is not None and decision not in DECISIONS:
            known = ", ".join(DECISIONS)
            self._fields.report(node, f"'decision' must be one of {known}{closest(decision, DECISIONS)}")
        return decision

    def _names(self, node: Node | None, what: str) -> frozenset[str] | None:
        return None if node is None else frozenset(text for _, text in self._fields.texts(node, what))


def _word(node: Node | None) -> str | None:
    """As it was written: 42501 looks like a number to YAML."""
    return node.text if isinstance(node, Scalar) else None


def failures(expected: Expectation, decision: Decision) -> Iterator[str]:
    """What differs, each as one sentence; nothing when the test passes."""
    refusal = decision.refusal
    verdict = decision.verdict
    if expected.decision is not None and expected.decision != verdict:
        reason = "" if refusal is None else f": {refusal.sqlstate} {refusal.message} (rule {refusal.rule})"
        yield f"expected {expected.decision}, got {verdict}{reason}"
        return
    if refusal is not None:
        yield from _differing("sqlstate", expected.sqlstate, refusal.sqlstate)
        yield from _differing("rule", expected.rule, refusal.rule)
        told = "\n".join((refusal.message, refusal.detail, refusal.hint))
        if expected.message is not None and expected.message not in told:
            yield f"expected {expected.message!r} in the refusal, got {refusal.message!r}"
    masked = frozenset(name for plan in decision.plans for name in plan.masked_columns)
    filtered = frozenset(name for plan in decision.plans for name in plan.filtered_tables)
    yield from _unequal("masked columns", expected.masked, masked)
    yield from _unequal("filtered tables", expected.filtered, filtered)
    if expected.upstream is not None and expected.upstream not in decision.text:
        yield f"expected {expected.upstream!r} in what goes upstream, got {decision.text!r}"


def _differing(what: str, expected: str | None, got: str) -> Iterator[str]:
    if expected is not None and expected != got:
        yield f"expected {what} {expected}, got {got}"


def _unequal(what: str, expected: frozenset[str] | None, got: frozenset[str]) -> Iterator[str]:
    if expected is not None and expected != got:
        lacking, surplus = sorted(expected - got), sorted(got - expected)
        parts = [f"not {', '.join(lacking)}"] if lacking else []
        parts += [f"also {', '.join(surplus)}"] if surplus else []
        yield f"{what}: {'; '.join(parts)}"
