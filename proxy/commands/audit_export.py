"""`pgwarden audit export`: records leave the store for a file or a pipe."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import typer

from audit.errors import StoreUnreachableError
from audit.export_lines import Form, header_of, line_of
from audit.follower import Follower
from audit.query import Filters, matches
from audit.store import Store
from audit.store_records import StoreRecords
from audit.store_rows import ChainedRecord
from proxy.commands.noted import note
from proxy.commands.options import ConfigOption, read_config
from proxy.commands.outcome import CommandError, clear_errors, print_error
from proxy.commands.record_filters import Column, Decision, Since, Table, Tenant, Until, User, Workload, read_filters
from proxy.config import Audit
from proxy.places import store_dsn

_PAUSE_S: Final = 1.0
_AWAY_S: Final = 5.0


def export(
    config: ConfigOption = None,
    form: Annotated[Form, typer.Option("--format", "-f", help="JSON Lines (exact) or CSV (for spreadsheets).")] = (
        Form.JSONL
    ),
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A new file; else standard output.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what comes, until Ctrl-C.")] = False,
    tenant: Tenant = None,
    user: User = None,
    decision: Decision = None,
    since: Since = None,
    until: Until = None,
    table: Table = None,
    column: Column = None,
    workload: Workload = None,
) -> None:
    """All matching records, oldest first, as `pgwarden schema records` describes them. That somebody exported them
    is recorded first.

    With --follow: those since --since, or of now, and then each one when it reaches the store, however late.

    \b
    Examples:
      pgwarden audit export -c pgwarden.yaml --since 30d --tenant acme -o acme.jsonl
      pgwarden audit export -c pgwarden.yaml --format csv --decision deny --since 7d > denials.csv
      pgwarden audit export -c pgwarden.yaml --follow | vector --config vector.yaml
    """
    if follow and until is not None:
        raise typer.BadParameter("--follow has no end: leave --until out")
    with clear_errors():
        filters = read_filters(
            tenant=tenant,
            user=user,
            decision=decision,
            since=since,
            until=until,
            table=table,
            column=column,
            workload=workload,
        )
        read = read_config(config)
        with store_dsn(read) as dsn, _opened(output, is_kept=follow) as stream:
            sentence = _sentence(filters, form, output, is_following=follow)
            with suppress(KeyboardInterrupt):  # as one ends what has no end
                writer = _Writer(stream, form)
                asyncio.run(_export(read.audit, Store(dsn), sentence, filters, writer, is_following=follow))


async def _export(
    audit: Audit, store: Store, sentence: str, filters: Filters, writer: _Writer, *, is_following: bool
) -> None:
    try:
        await note(audit, store, "audit_export", sentence)
        writer.begin()
        if is_following:
            await _follow(StoreRecords(store), filters, writer)
        else:
            await writer.all(StoreRecords(store).all(filters))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains at its end
    finally:
        await store.close()


class _Writer:
    """Blocks while the reader of a pipe is slow: nobody else waits for this process."""

    def __init__(self, stream: BinaryIO, form: Form) -> None:
        self._stream = stream
        self._form = form

    def begin(self) -> None:
        self._stream.write(header_of(self._form))

    async def all(self, records: AsyncIterator[ChainedRecord]) -> None:
        async for one in records:
            self.put(one)
        self.flush()

    def put(self, one: ChainedRecord) -> None:
        self._stream.write(line_of(self._form, one))

    def flush(self) -> None:
        self._stream.flush()


async def _follow(source: StoreRecords, filters: Filters, writer: _Writer) -> None:
    """From the ends of the chains as they were before what is there already was read: nothing falls between."""
    positions = await source.ends()
    follower = Follower(source, positions, time.monotonic)
    if filters.since is not None:
        async for one in source.all(filters):
            if one.sequence <= positions.get(one.chain, 0):
                writer.put(one)
    while True:
        try:
            found = await follower.next()
        except StoreUnreachableError as error:
            print_error(f"{error}; trying again")
            await asyncio.sleep(_AWAY_S)
            continue
        for one in found:
            if matches(filters, one.record):
                writer.put(one)
        writer.flush()
        if not found:
            await asyncio.sleep(_PAUSE_S)


@contextmanager
def _opened(path: Path | None, *, is_kept: bool) -> Iterator[BinaryIO]:
    """A file is there when it is whole; one that is followed is there from the start. None is ever overwritten."""
    if path is None:
        yield sys.stdout.buffer
        return
    own = path if is_kept else path.with_name(f"{path.name}.part")
    if path.exists():
        raise CommandError(f"{path} exists already")
    try:
        with open(os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        if own != path:
            os.link(own, path)  # fails if somebody made it meanwhile
    except OSError as error:
        raise CommandError(f"{path} can't be written: {error.strerror}") from None
    finally:
        if own != path:
            own.unlink(missing_ok=True)


def _sentence(filters: Filters, form: Form, output: Path | None, *, is_following: bool) -> str:
    names = ("tenant", "user", "decision", "since", "until", "table", "column", "workload")
    given = [f"{name} {value}" for name in names if (value := getattr(filters, name)) is not None]
    where = "standard output" if output is None else output
    what = f"records with {', '.join(given)}" if given else "all records"
    return f"{what} {'are followed' if is_following else 'go'} to {where} as {form}"
