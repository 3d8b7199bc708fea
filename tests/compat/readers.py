"""Reads what test runners report: junit XML, `go test -json`, unittest's verbose text. Text in, outcomes out."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Final

from tests.compat.outcomes import Outcome, Outcomes

# "test_x (package.module.Class.test_x)", perhaps a line of its docstring, and the verdict after " ... ". What tests
# print themselves may stand between the dots and the verdict.
_UNITTEST: Final = re.compile(r"^(\w+) \(([\w.]+)\)", re.MULTILINE)
_VERDICT: Final = re.compile(r"(ok|FAIL|ERROR|skipped\b.*|expected failure|unexpected success)$", re.MULTILINE)
_VERDICTS: Final = {
    "ok": Outcome.PASSED,
    "expected failure": Outcome.PASSED,
    "FAIL": Outcome.FAILED,
    "ERROR": Outcome.FAILED,
    "unexpected success": Outcome.FAILED,
}
_GO_VERDICTS: Final = {"run": Outcome.FAILED, "pass": Outcome.PASSED, "fail": Outcome.FAILED, "skip": Outcome.SKIPPED}


def read_junit(file: Path) -> Outcomes:
    """pytest's --junit-xml; empty when the file isn't there. A test with an error in its teardown has failed."""
    if not file.exists():
        return {}
    found: dict[str, Outcome] = {}
    for case in ElementTree.parse(file).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        outcome = _junit_outcome(case)
        if found.get(name) is not Outcome.FAILED:
            found[name] = outcome
    return found


def _junit_outcome(case: ElementTree.Element) -> Outcome:
    if case.find("failure") is not None or case.find("error") is not None:
        return Outcome.FAILED
    skipped = case.find("skipped")
    if skipped is None:
        return Outcome.PASSED
    # An expected failure is no skip: that it fails through pgwarden too is what is expected.
    return Outcome.PASSED if skipped.get("type") == "pytest.xfail" else Outcome.SKIPPED


def read_unittest(text: str) -> Outcomes:
    """`-v` output of unittest and Django's runner."""
    found: dict[str, Outcome] = {}
    heads = list(_UNITTEST.finditer(text))
    for head, following in zip(heads, [*heads[1:], None], strict=True):
        end = following.start() if following is not None else len(text)
        verdict = _VERDICT.search(text, head.end(), end)
        name = head[2] if head[2].endswith(f".{head[1]}") else f"{head[2]}.{head[1]}"
        if verdict is not None:
            found[name] = _VERDICTS.get(verdict[1], Outcome.SKIPPED)
    return found


def read_go(text: str) -> Outcomes:
    """`go test -json`, names as ``package::Test/part``. A test that began and never ended (a panic) has failed."""
    found: dict[str, Outcome] = {}
    for line in text.splitlines():
        event = json.loads(line) if line.startswith("{") else {}
        if "Test" in event and event["Action"] in _GO_VERDICTS:
            found[f"{event['Package']}::{event['Test']}"] = _GO_VERDICTS[event["Action"]]
    return found
