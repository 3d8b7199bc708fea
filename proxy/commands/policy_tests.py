"""`pgwarden test`: do the policies do what their authors say they do? For pipelines, before anything is deployed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from xml.etree import ElementTree

import typer

from policies.catalog import Catalog, Namespace
from policies.compile import Compiler
from policies.errors import PolicyFileError
from policies.load import load_folder
from policies.model import PolicySet
from policies.resolve import resolve
from policies.unit_tests import PolicyTest, failures, read_tests
from proxy.commands.options import ConfigOption, read_config
from proxy.commands.outcome import CommandError, ExitCode, clear_errors, print_out
from proxy.commands.snapshots import catalog_of, database_names
from proxy.config import Config

# What XML 1.0 has no way to write.
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class _Result:
    test: PolicyTest
    failures: tuple[str, ...]


def run_tests(
    files: Annotated[list[Path], typer.Argument(help="Files of tests, or folders of them (*.yaml).")],
    config: ConfigOption = None,
    policies: Annotated[
        Path | None, typer.Option(help="The policy folder to test; left out: the configuration's.")
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="Also write the results there as JUnit XML.")] = None,
) -> None:
    """Runs policy tests: each says what a user should get for a statement. The statements aren't run; the databases
    are only asked for their catalogs. Ends with 3 when a test fails.

    \b
    A file of tests:
      tests:
        - name: analysts see masked addresses
          user: ada
          sql: SELECT email FROM shop.customers
          expect: {decision: rewrite, masked: [shop.customers.email]}
        - name: nobody sees salaries
          user: ada
          sql: SELECT * FROM shop.salaries
          expect: {decision: deny, sqlstate: 42501}

    \b
    Examples:
      pgwarden test policy-tests/ --config pgwarden.yaml
      pgwarden test policy-tests/ -c pgwarden.yaml --junit results.xml
    """
    with clear_errors():
        read = read_config(config)
        names = database_names(read)
        loaded = load_folder(policies or read.policies, os.environ, names)
        tests = _tests(files, loaded, names)
        results = _run(tests, loaded, read)
        if junit is not None:
            _write_junit(junit, results)
    print_out("\n".join(_lines(results)))
    if any(result.failures for result in results):
        raise typer.Exit(ExitCode.FINDINGS)


def _tests(files: Sequence[Path], policies: PolicySet, databases: Sequence[str]) -> list[PolicyTest]:
    now = datetime.now(UTC)
    tests: list[PolicyTest] = []
    problems = []
    for file in _expanded(files):
        try:
            tests += read_tests(file.read_bytes(), str(file), policies, databases, now)
        except OSError as error:
            raise CommandError(f"{file} can't be read: {error.strerror or error}") from None
        except PolicyFileError as error:
            problems += error.problems
    if problems:
        raise PolicyFileError(problems)
    return tests


def _expanded(files: Sequence[Path]) -> Iterator[Path]:
    for path in files:
        if not path.is_dir():
            yield path
            continue
        found = sorted(entry for entry in path.rglob("*") if entry.suffix in (".yaml", ".yml"))
        if not found:
            raise CommandError(f"{path} holds no tests (*.yaml)")
        yield from found


def _run(tests: Sequence[PolicyTest], policies: PolicySet, config: Config) -> list[_Result]:
    names = database_names(config)
    unnamed = next((test for test in tests if test.database is None), None)
    if unnamed is not None and len(names) > 1:
        raise CommandError(f"{unnamed.source}: name a 'database'; the configuration has {', '.join(names)}")
    catalogs = {name: catalog_of(config, name) for name in sorted({test.database or names[0] for test in tests})}
    compiler = Compiler()
    return [
        _Result(test, tuple(_failures(test, policies, catalogs[test.database or names[0]], compiler))) for test in tests
    ]


def _failures(test: PolicyTest, policies: PolicySet, catalog: Catalog, compiler: Compiler) -> Iterator[str]:
    policy = resolve(policies, test.user, catalog.database, test.circumstances)
    assert policy is not None  # read_tests knows the principals
    namespace = Namespace(catalog.search_path, catalog.search_path)
    yield from failures(test.expectation, compiler.decide(test.sql, policy, catalog, namespace))


def _lines(results: Sequence[_Result]) -> Iterator[str]:
    for result in results:
        if result.failures:
            yield f"{result.test.source}: {result.test.name}"
            yield from (f"    {failure}" for failure in result.failures)
    failed = sum(bool(result.failures) for result in results)
    yield f"{len(results) - failed} passed, {failed} failed" if failed else f"{len(results)} passed"


def _write_junit(file: Path, results: Sequence[_Result]) -> None:
    failed = sum(bool(result.failures) for result in results)
    suite = ElementTree.Element("testsuite", name="pgwarden", tests=str(len(results)), failures=str(failed), errors="0")
    for result in results:
        place = result.test.source
        case = ElementTree.SubElement(
            suite, "testcase", name=_writable(result.test.name), classname=_writable(place.file), line=str(place.line)
        )
        if result.failures:
            text = _writable("\n".join(result.failures))
            failure = ElementTree.SubElement(case, "failure", message=text.partition("\n")[0])
            failure.text = text
    try:
        ElementTree.ElementTree(suite).write(file, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        raise CommandError(f"{file} can't be written: {error.strerror or error}") from None


def _writable(text: str) -> str:
    return _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", text)
