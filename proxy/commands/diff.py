"""`pgwarden diff`: what would another policy folder change for the statements that were really asked?"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from audit.errors import FilterError
from audit.query import Filters, parse_moment
from audit.record import Record, Stage, at_datetime
from audit.store import Store
from policies.catalog import Catalog, Namespace
from policies.compile import Compiler
from policies.compile.redaction import is_redacted
from policies.difference import NO_SUCH_USER, Differences, Exposure, changes, exposure
from policies.load import load_folder
from policies.model import Circumstances, PolicySet
from policies.resolve import resolve
from proxy.commands.options import ConfigOption, read_config
from proxy.commands.outcome import CommandError, ExitCode, clear_errors, print_error, print_out
from proxy.commands.snapshots import catalog_of, database_names
from proxy.config import Config
from proxy.places import store_dsn

_DEFAULT_LIMIT = 10_000
_EXAMPLE_CHARACTERS = 100
# Records that keep no text: it was too much to remember, or only its digest was wanted.
_DIGEST = "sha256:"


class FailOn(StrEnum):
    OPENED = "opened"
    REFUSED = "refused"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class _Asked:
    """A text that a user sent, from where and when."""

    user: str
    database: str
    sql: str
    circumstances: Circumstances


def diff(
    old: Annotated[Path, typer.Argument(help="The policy folder as it is.")],
    new: Annotated[Path, typer.Argument(help="The policy folder as it would be.")],
    config: ConfigOption = None,
    statements: Annotated[
        Path | None,
        typer.Option(help="JSON lines as `audit query --json` prints them; left out: the audit store is asked."),
    ] = None,
    since: Annotated[str, typer.Option(help="Of the store: an age (90s, 1h, 7d) or an ISO 8601 time.")] = "7d",
    user: Annotated[str | None, typer.Option("--user", "-u", help="Only this user's statements.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many records of the store, the newest.")] = (
        _DEFAULT_LIMIT
    ),
    fail_on: Annotated[
        FailOn | None,
        typer.Option(help="End with 3 when something is opened, newly refused, or different at all."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Decides recorded statements under both folders, and tells per user what would be newly refused or allowed,
    masked or unmasked, filtered or unfiltered. Nothing is run; the databases are only asked for their catalogs.

    A policy's `when` is held against each record's own time and address; names without a schema are looked up in the
    database's usual search_path.

    \b
    Examples:
      pgwarden diff -c pgwarden.yaml policies/ ../next/policies/ --since 7d
      pgwarden diff -c pgwarden.yaml old/ new/ --statements asked.jsonl --fail-on opened
    """
    with clear_errors():
        read = read_config(config)
        names = database_names(read)
        sets = load_folder(old, os.environ, names), load_folder(new, os.environ, names)
        asked = _asked(statements, read, since, user, limit)
        found = _differences(sets, asked, read)
    print_out(json.dumps(_data(found), ensure_ascii=False) if as_json else "\n".join(_lines(found)))
    if _is_failing(found, fail_on):
        raise typer.Exit(ExitCode.FINDINGS)


def _is_failing(found: Differences, fail_on: FailOn | None) -> bool:
    match fail_on:
        case FailOn.OPENED:
            return found.has_openings
        case FailOn.REFUSED:
            return found.has_refusals
        case FailOn.ANY:
            return bool(found.tallies)
    return False


# what was asked


def _asked(file: Path | None, config: Config, since: str, user: str | None, limit: int) -> list[_Asked]:
    now = datetime.now(UTC)
    asked = _from_file(file, now) if file is not None else _from_store(config, since, now, user, limit)
    found = [each for each in asked if user in (None, each.user)]
    kept = [each for each in found if not each.sql.startswith(_DIGEST) and not is_redacted(each.sql)]
    if len(kept) < len(found):
        print_error(f"{len(found) - len(kept)} records hold no whole text, only its digest or a redacted one: left out")
    return kept


def _from_file(file: Path, now: datetime) -> Iterator[_Asked]:
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{file} can't be read: {error}") from None
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield from _from_line(file, number, line, now)


def _from_line(file: Path, number: int, line: str, now: datetime) -> Iterator[_Asked]:
    try:
        record: dict[str, Any] = json.loads(line)
        if record.get("stage", Stage.INTENT) == Stage.INTENT:
            at = parse_moment(str(record["at"]), now) if "at" in record else now
            circumstances = Circumstances(str(record.get("client_address", "")), at)
            asked = _Asked(str(record["user"]), str(record["database"]), str(record["sql_text"]), circumstances)
            asked.sql.encode()  # JSON can spell halves of characters, which no client can send
            yield asked
    except (ValueError, KeyError, TypeError, AttributeError, FilterError):
        wanted = 'a JSON object with "user", "database" and "sql_text"'
        raise CommandError(f"{file}:{number}: {wanted} was expected") from None


def _from_store(config: Config, since: str, now: datetime, user: str | None, limit: int) -> Iterator[_Asked]:
    filters = Filters(user=user, stage=Stage.INTENT, since=parse_moment(since, now), limit=limit)
    with store_dsn(config) as dsn:
        records = asyncio.run(_query(dsn, filters))
    if len(records) == limit:
        print_error(f"only the newest {limit} records were read; --limit reads more")
    for record in records:
        circumstances = Circumstances(record.client_address, at_datetime(record))
        yield _Asked(record.user, record.database, record.sql_text, circumstances)


async def _query(dsn: str, filters: Filters) -> list[Record]:
    store = Store(dsn)
    try:
        return await store.query(filters)
    finally:
        await store.close()


# decided twice


def _differences(sets: tuple[PolicySet, PolicySet], asked: Sequence[_Asked], config: Config) -> Differences:
    found = Differences()
    known = set(database_names(config))
    databases = {each.database for each in asked}
    if unknown := sorted(databases - known):
        print_error(f"statements of databases that aren't configured are left out: {_printable(', '.join(unknown))}")
    for name in sorted(databases & known):
        catalog, compiler = catalog_of(config, name), Compiler()
        for each in asked:
            if each.database == name:
                before, after = (_exposure(compiler, policies, each, catalog) for policies in sets)
                found.add(each.sql, changes(each.user, name, before, after))
    return found


def _exposure(compiler: Compiler, policies: PolicySet, asked: _Asked, catalog: Catalog) -> Exposure:
    policy = resolve(policies, asked.user, asked.database, asked.circumstances)
    if policy is None:
        return NO_SUCH_USER
    namespace = Namespace(catalog.search_path, catalog.search_path)
    return exposure(compiler.decide(asked.sql, policy, catalog, namespace), policy)


# what is told


def _data(found: Differences) -> dict[str, Any]:
    return {
        "statements": found.statements,
        "same": found.same,
        "changes": [
            {
                "user": change.user,
                "database": change.database,
                "kind": change.kind.value,
                "is_opening": change.kind.is_opening,
                "subject": change.subject,
                "statements": tally.statements,
                "example": tally.example,
            }
            for change, tally in sorted(found.tallies.items())
        ],
    }


def _lines(found: Differences) -> Iterable[str]:
    yield f"{found.statements} statements, {found.same} as before"
    user = ""
    for change, tally in sorted(found.tallies.items()):
        if change.user != user:
            user = change.user
            yield ""
            yield user
        sign = "!" if change.kind.is_opening else " "
        yield f" {sign}{change.kind.value}: {change.subject}  [{tally.statements} on {change.database}]"
        yield f"      {_shortened(tally.example)}"


def _shortened(sql: str) -> str:
    text = _printable(" ".join(sql.split()))
    return text if len(text) <= _EXAMPLE_CHARACTERS else text[: _EXAMPLE_CHARACTERS - 1] + "…"


def _printable(text: str) -> str:
    """A terminal must not obey what somebody else wrote."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
