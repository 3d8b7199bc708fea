"""The guided tour: asks through pgwarden as any client would, shows side by side what each user sees, and checks it.

It speaks to pgwarden only by its DSN (psycopg) and to the records by the audit package; it must not reach into the
running sidecar.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import psycopg
from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from audit.errors import AuditError
from audit.query import Filters
from audit.record import Record, Stage, Verdict
from audit.store import Store
from proxy.demo.stations import STEPS
from proxy.demo.steps import Refused, Seen, Step, Views

PASSWORD_OF: Final = {"admin": "admin-demo", "ada": "ada-demo", "sam": "sam-demo"}
WHO_IS: Final = {
    "admin": "admin · everything",
    "ada": "ada · analyst at acme",
    "sam": "sam · support at globex",
}
_APPLICATION: Final = "pgwarden tour"
_CONNECT_S: Final = 15
_RECORDS_WAIT_S: Final = 20.0
_SHOWN_RECORDS: Final = 20


@dataclass(frozen=True, slots=True)
class TourPlaces:
    """Where pgwarden listens, the database's name there, and the folder whose YAML the refusals point into."""

    host: str
    port: int
    database: str
    policies: Path

    def dsn(self, user: str) -> str:
        return f"postgresql://{user}:{PASSWORD_OF[user]}@{self.host}:{self.port}/{self.database}"


class Tour:
    """`run` walks all stations in the calling thread; `give_up`, from any thread, ends it at the next one."""

    def __init__(self, console: Console, places: TourPlaces, store_dsn: str) -> None:
        self._console = console
        self._places = places
        self._store_dsn = store_dsn
        self._is_over = threading.Event()
        self._broken: list[str] = []

    def give_up(self) -> None:
        self._is_over.set()

    def run(self) -> bool:
        """True when every station showed what it should."""
        began = datetime.now(UTC) - timedelta(seconds=1)
        count = 0
        for number, step in enumerate(STEPS, 1):
            if self._is_over.is_set():
                return False
            count += len(step.users)
            self._visit(number, step)
        if not self._is_over.is_set():
            self._show_records(len(STEPS) + 1, began, count)
        self._close()
        return not self._broken and not self._is_over.is_set()

    def _visit(self, number: int, step: Step) -> None:
        self._console.rule(f"[bold]{number}. {step.title}[/bold]", align="left")
        self._console.print(step.note)
        self._console.print(
            Syntax(step.sql, "postgresql", theme="ansi_dark", background_color="default", padding=1, word_wrap=True)
        )
        views = {user: self._ask(user, step.sql) for user in step.users}
        self._console.print(_side_by_side(views))
        self._note_broken(step.title, step.broken(views))

    def _note_broken(self, title: str, broken: Sequence[str]) -> None:
        for sentence in broken:
            self._broken.append(f"{title}: {sentence}")
            self._console.print(f"[bold red]this did not hold: {sentence}[/bold red]")

    def _ask(self, user: str, statement: str) -> Seen:
        try:
            with psycopg.connect(
                self._places.dsn(user),
                autocommit=True,
                connect_timeout=_CONNECT_S,
                application_name=_APPLICATION,
            ) as connection:
                return _answer(connection, statement)
        except psycopg.OperationalError as error:
            return Seen(refused=_refusal(error))

    def _show_records(self, number: int, began: datetime, statements: int) -> None:
        self._console.rule(f"[bold]{number}. What the records say, and what it cost[/bold]", align="left")
        self._console.print(
            "A record is written before a statement runs and another when it has ended; a refused one never runs."
        )
        try:
            records = asyncio.run(_wait_for_records(self._store_dsn, began, statements, self._is_over))
        except AuditError as error:
            self._note_broken("records", [f"the store answers ({error})"])
            return
        self._console.print(_records_table(records[:_SHOWN_RECORDS]))
        self._console.print(_costs_table(records))
        self._note_broken("records", _broken_records(records, statements))

    def _close(self) -> None:
        if self._broken:
            self._console.print(f"[bold red]{len(self._broken)} expectations did not hold.[/bold red]")
        elif not self._is_over.is_set():
            self._console.print("[bold green]Everything showed what it should.[/bold green]")


def _answer(connection: psycopg.Connection[Any], statement: str) -> Seen:
    try:
        cursor = connection.execute(statement.encode())
    except psycopg.Error as error:
        return Seen(refused=_refusal(error))
    names = tuple(column.name for column in cursor.description or ())
    return Seen(names, tuple(tuple(None if v is None else str(v) for v in row) for row in cursor.fetchall()))


def _refusal(error: psycopg.Error) -> Refused:
    told = error.diag
    position = int(told.statement_position or 0)
    message = told.message_primary or str(error).strip()
    return Refused(told.sqlstate or "", message, told.message_detail or "", told.message_hint or "", position)


def _side_by_side(views: Views) -> RenderableType:
    panels = [Panel(_shown(seen), title=WHO_IS[user], border_style="cyan") for user, seen in views.items()]
    return Columns(panels, padding=(0, 1))


def _shown(seen: Seen) -> RenderableType:
    if seen.refused is not None:
        return _shown_refusal(seen.refused)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in seen.columns:
        table.add_column(Text(name), overflow="fold")
    for row in seen.rows:
        table.add_row(*(Text("NULL", style="dim") if cell is None else Text(cell) for cell in row))
    return table


def _shown_refusal(refused: Refused) -> RenderableType:
    lines = [Text(f"ERROR {refused.sqlstate}: {refused.message}", style="bold red")]
    named = (("DETAIL", refused.detail), ("HINT", refused.hint), ("POSITION", str(refused.position or "")))
    lines += [Text(f"{name}: {text}") for name, text in named if text]
    return Group(*lines)


async def _wait_for_records(dsn: str, began: datetime, wanted: int, is_over: threading.Event) -> list[Record]:
    """One record for each of the tour's statements, newest first: how it ended, or for what never ran, how it began.

    The shipper is at work, so they may take a moment to arrive.
    """
    store = Store(dsn)
    deadline = time.monotonic() + _RECORDS_WAIT_S
    try:
        while True:
            found = await store.query(Filters(since=began, limit=1000))
            own = _ended([record for record in found if record.application == _APPLICATION])
            if len(own) >= wanted or is_over.is_set() or time.monotonic() > deadline:
                return own
            await asyncio.sleep(0.2)
    finally:
        await store.close()


def _ended(records: Sequence[Record]) -> list[Record]:
    has_outcome = {record.statement_id for record in records if record.stage == Stage.OUTCOME}
    return [
        record
        for record in records
        if record.stage == Stage.OUTCOME
        or (record.decision == Verdict.DENY and record.stage == Stage.INTENT and record.statement_id not in has_outcome)
    ]


def _records_table(records: Sequence[Record]) -> RenderableType:
    table = Table(header_style="bold", border_style="dim")
    for name in ("user", "decision", "rows", "ms", "filtered", "masked", "rules"):
        table.add_column(name, overflow="fold", justify="right" if name in ("rows", "ms") else "left")
    for record in records:
        table.add_row(*(Text(cell) for cell in _record_cells(record)))
    return table


def _record_cells(record: Record) -> tuple[str, ...]:
    return (
        record.user,
        str(record.decision or ""),
        "" if record.rows is None else str(record.rows),
        "" if record.duration_us is None else f"{record.duration_us / 1000:.1f}",
        " ".join(table.rpartition(".")[2] for table in record.filtered_tables),
        " ".join(column.rpartition(".")[2] for column in record.masked_columns),
        _rules_text(record.rule_ids),
    )


def _rules_text(rule_ids: Sequence[str]) -> str:
    """One rule by its name, many by their policies and numbers: ``analysts ×6``."""
    if len(rule_ids) < 2:
        return "".join(rule_ids)
    counted = Counter(rule.partition("/")[0] for rule in rule_ids)
    return ", ".join(f"{policy} ×{count}" for policy, count in counted.items())


def _costs_table(records: Sequence[Record]) -> RenderableType:
    table = Table(title="what the tour cost", title_justify="left", header_style="bold", border_style="dim")
    for name in ("user", "tenant", "statements", "cost"):
        table.add_column(name, justify="left" if name in ("user", "tenant") else "right")
    for user, tenant in sorted({(record.user, record.tenant) for record in records}):
        own = [record for record in records if record.user == user]
        table.add_row(Text(user), Text(tenant or "-"), str(len(own)), Text(_cost(own)))
    return table


def _cost(records: Sequence[Record]) -> str:
    total = sum((record.cost or Decimal(0) for record in records), Decimal(0))
    currency = next((record.currency for record in records if record.currency), "")
    return f"{total:.9f} {currency}".strip()


def _broken_records(records: Sequence[Record], statements: int) -> list[str]:
    found = {
        f"each of the {statements} statements is on record": len(records) == statements,
        "a refused statement is recorded with its rule": any(r.decision == "deny" and r.rule_ids for r in records),
        "a masked column is recorded": any(record.masked_columns for record in records),
        "what ran has a cost": any(record.cost for record in records),
    }
    return [sentence for sentence, holds in found.items() if not holds]
