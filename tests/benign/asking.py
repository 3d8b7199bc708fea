"""Asks a case through pgwarden and on the copy, over each path of the protocol that the tool could take."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from tests.benign.cases import Case, Step, cases_of
from tests.security.asking import difference
from tests.security.canary_shop import connect
from tests.security.raw_client import BINARY, TEXT, Answer, RawClient, Value

_OWN = re.compile(rb"\?database\?|\?pid\?")
Path = Callable[[RawClient, Step], Answer]


def _simple(link: RawClient, step: Step) -> Answer:
    return link.simple(step.sql)


def _extended(result: int) -> Path:
    return lambda link, step: link.extended(step.sql, _encoded(step), result)


def _encoded(step: Step) -> tuple[Value, ...]:
    return tuple(None if value is None else value.encode() for value in step.parameters)


_PATHS: dict[str, Path] = {"simple": _simple, "text": _extended(TEXT), "binary": _extended(BINARY)}


@dataclass(frozen=True, slots=True)
class Fault:
    """`what` differs from the copy's answer, on `path`."""

    case: Case
    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.case.tool}: {self.case.name} ({self.path}): {self.what}"


@dataclass
class Asker:
    """`dsns` of the principals through pgwarden and of the copies; `databases`: their names, which differ."""

    dsns: dict[str, str]
    databases: tuple[str, ...]
    judged: dict[str, list[Fault]] = field(default_factory=dict)

    def faults_of(self, tool: str) -> list[Fault]:
        """At most one of each case. Every tool is asked once."""
        if tool not in self.judged:
            with ExitStack() as stack:
                links = {name: stack.enter_context(connect(dsn)) for name, dsn in self.dsns.items()}
                found = [self.judge(links, case) for case in cases_of(tool)]
            self.judged[tool] = [fault for fault in found if fault is not None]
        return self.judged[tool]

    def judge(self, links: dict[str, RawClient], case: Case) -> Fault | None:
        """Cases of several steps leave state behind, so they get connections of their own."""
        for name, path in _PATHS.items():
            if name == "simple" and any(step.parameters for step in case.steps):
                continue
            if name == "binary" and len(case.steps) > 1:
                continue
            what = self._asked(links, case, path) if len(case.steps) == 1 else self._played(case, path)
            if what:
                return Fault(case, name, what)
        return None

    def _played(self, case: Case, path: Path) -> str:
        with ExitStack() as stack:
            links = {name: stack.enter_context(connect(dsn)) for name, dsn in self.dsns.items()}
            return self._asked(links, case, path)

    def _asked(self, links: dict[str, RawClient], case: Case, path: Path) -> str:
        for number, step in enumerate(case.steps):
            copies = {name: path(links[name], step) for name in self._copies(case, step)}
            plain = copies["plain" if step.is_metadata else "sanitized"]
            ours = path(links[case.user], step)
            found = self._difference(step, ours, plain)
            if found:
                return f"step {number}: {found}" if len(case.steps) > 1 else found
        return ""

    @staticmethod
    def _copies(case: Case, step: Step) -> tuple[str, ...]:
        """State is made on both copies, as either may be asked later."""
        if len(case.steps) > 1:
            return ("sanitized", "plain")
        return ("plain",) if step.is_metadata else ("sanitized",)

    def _difference(self, step: Step, ours: Answer, plain: Answer) -> str:
        if plain.sqlstate != step.fails:
            return f"the copy itself says {plain.error}"
        if ours.sqlstate != plain.sqlstate:
            return f"{_told(ours)} here, {_told(plain)} on the copy"
        ours, plain = self._neutral(ours), self._neutral(plain)
        if ours.tags != plain.tags and ours.tags[:-1] != plain.tags[:-1]:
            return f"tags {ours.tags} here, {plain.tags} on the copy"
        return difference(ours, plain, is_ordered=step.is_ordered)

    def _neutral(self, answer: Answer) -> Answer:
        """Names of the three databases are one."""
        names = re.compile("|".join(sorted(self.databases, key=len, reverse=True)).encode())
        rows = [tuple(None if v is None else names.sub(b"shop", v) for v in row) for row in answer.rows]
        return replace(answer, rows=rows)


def _told(answer: Answer) -> str:
    error = answer.error
    return " | ".join(error[part] for part in "CMDH" if part in error) if error else "an answer"
