"""`pgwarden audit reconcile`: did anything reach the database without pgwarden?"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from audit.record import Verdict
from audit.store import Store
from audit.store_shapes import SentShape, StoreShapes
from policies.catalog import Namespace
from policies.compile import Compiler
from policies.likeness import filled, likeness
from policies.load import load_folder
from policies.model import Circumstances
from policies.resolve import resolve
from proxy.commands.options import ConfigOption, read_config
from proxy.commands.outcome import CommandError, ExitCode, clear_errors, print_error, print_out
from proxy.commands.snapshots import catalog_of, database_names
from proxy.config import Config
from proxy.net import catalog_queries
from proxy.places import SHOP_DATABASE, embedded_dsn, store_dsn
from proxy.reconciliation import Excess, Observed, Reconciliation, reconcile
from proxy.server_statements import UnreadableError, read_logs, read_statistics

_EARLIER: Final = timedelta(minutes=1)  # of the records: their clock isn't the server's
_DIGEST: Final = "sha256:"
_SHOWN: Final = 100  # characters of a text


def reconcile_command(
    config: ConfigOption = None,
    database: Annotated[str | None, typer.Option("--database", "-d", help="By the name that clients use.")] = None,
    server: Annotated[
        str | None,
        typer.Option(help="A URL for reading pg_stat_statements (pg_read_all_stats); else the database's own."),
    ] = None,
    log: Annotated[
        list[Path] | None, typer.Option(help="csvlog or jsonlog with log_statement or pgaudit; several times.")
    ] = None,
    login: Annotated[str | None, typer.Option(help="pgwarden's login there; else the upstream's.")] = None,
    ignore: Annotated[list[str] | None, typer.Option(help="A login that may go its own way, such as backups'.")] = None,
    wait: Annotated[float, typer.Option(min=0, help="Seconds for the last records to reach the store.")] = 3.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Compares the records with what the server itself counted: statements of other logins, statements of pgwarden's
    login that were never recorded, and those that ran more often than they were recorded.

    Ends with 0 when there are none, with 3 when there are.

    \b
    Examples:
      pgwarden audit reconcile -c pgwarden.yaml -d shop --server postgresql://auditor@db.internal/shop
      pgwarden audit reconcile -c pgwarden.yaml -d shop --log /var/log/postgresql/postgresql.csv --ignore backup
    """
    with clear_errors():
        read = read_config(config)
        name = _chosen(read, database)
        observed = _observed(read, name, server, log or [])
        time.sleep(wait)
        with store_dsn(read) as dsn:
            shapes = asyncio.run(_shapes(dsn, name, observed))
        recorded, unsure = _sent(read, name, shapes)
        ran = [one for one in observed.ran if one.login not in (ignore or [])]
        found = reconcile(ran, recorded, _own_texts(), login or _gateway(read, name))
        found.unsure = unsure
    _warn(observed, found)
    print_out(json.dumps(_data(observed, found), ensure_ascii=False) if as_json else "\n".join(_lines(observed, found)))
    raise typer.Exit(ExitCode.OK if found.is_complete else ExitCode.FINDINGS)


def _chosen(config: Config, database: str | None) -> str:
    names = sorted(database_names(config))
    if database is None and len(names) == 1:
        return names[0]
    if database not in names:
        raise CommandError(f"name one of these with --database: {', '.join(names)}")
    return database


def _observed(config: Config, name: str, server: str | None, logs: Sequence[Path]) -> Observed:
    try:
        if logs:
            return read_logs(logs, _real_name(config, name))
        if server is None and config.databases is None:
            with embedded_dsn(config, SHOP_DATABASE) as dsn:
                return read_statistics(dsn)
        return read_statistics(server or _upstream(config, name))
    except UnreadableError as error:
        raise CommandError(str(error)) from None


def _upstream(config: Config, name: str) -> str:
    assert config.databases is not None, "the embedded one was dealt with"
    return config.databases[name].server.url()


def _real_name(config: Config, name: str) -> str:
    return SHOP_DATABASE if config.databases is None else config.databases[name].server.database


def _gateway(config: Config, name: str) -> str:
    if config.databases is None:
        raise CommandError("name pgwarden's login with --login: this is the embedded database")
    return config.databases[name].server.user


async def _shapes(dsn: str, database: str, observed: Observed) -> list[SentShape]:
    store = Store(dsn)
    try:
        return await StoreShapes(store).since(database, observed.since - _EARLIER)
    finally:
        await store.close()


def _sent(config: Config, name: str, shapes: Sequence[SentShape]) -> tuple[Counter[str], int]:
    """How often each likeness was sent; and of how many statements that isn't known."""
    recorded: Counter[str] = Counter()
    unsure = 0
    rewritten = [one for one in shapes if one.decision is Verdict.REWRITE]
    for one in shapes:
        if one.decision is Verdict.ALLOW and not one.sql_text.startswith(_DIGEST):
            recorded[likeness(one.sql_text)] += one.statements
    texts = _rewritten(config, name, rewritten) if rewritten else []
    for one, text in zip(rewritten, texts, strict=True):
        if text is None:
            unsure += one.statements
        else:
            recorded[likeness(text)] += one.statements
    unsure += sum(one.statements for one in shapes if one.sql_text.startswith(_DIGEST))
    return recorded, unsure


def _rewritten(config: Config, name: str, shapes: Sequence[SentShape]) -> list[str | None]:
    """What was sent for each, as far as the policies that decided are still there."""
    policies = load_folder(config.policies, os.environ, database_names(config))
    catalog, compiler = catalog_of(config, name), Compiler()
    namespace = Namespace(catalog.search_path, catalog.search_path)
    texts: list[str | None] = []
    for one in shapes:
        policy = resolve(policies, one.user, name, Circumstances(one.client_address, one.at))
        decision = None
        if policy is not None and not one.sql_text.startswith(_DIGEST):
            decision = compiler.decide(filled(one.sql_text), policy, catalog, namespace)
        is_known = decision is not None and decision.refusal is None
        texts.append(decision.text if decision is not None and is_known else None)
    return texts


def _own_texts() -> list[str]:
    """What pgwarden reads from catalogs for itself."""
    names = (value for name, value in vars(catalog_queries).items() if not name.startswith("__"))
    texts = [value for value in names if isinstance(value, str)]
    return [*texts, *catalog_queries.PARTS.values()]


# what is told


def _warn(observed: Observed, found: Reconciliation) -> None:
    if observed.lost:
        print_error(f"the server has dropped entries {observed.lost} times: raise pg_stat_statements.max")
    if found.unsure:
        print_error(
            f"{found.unsure} recorded statements were rewritten by policies of then, or hold no text: what was sent for"
            " them isn't known, and may stand among the unknown ones"
        )


def _data(observed: Observed, found: Reconciliation) -> dict[str, Any]:
    return {"since": observed.since.isoformat(), "is_complete": found.is_complete} | asdict(found)


def _lines(observed: Observed, found: Reconciliation) -> Iterable[str]:
    yield (
        f"since {observed.since:%Y-%m-%d %H:%M:%S} UTC: {found.matched} calls are recorded, {found.housekeeping} are"
        f" settings, transactions and pgwarden's own, {found.catalogs} read system catalogs alone"
    )
    yield from _listed("by other logins", found.others)
    yield from _listed("by pgwarden's login, but never recorded", found.unknown)
    yield from _listed("by pgwarden's login, more often than recorded", found.more)


def _listed(title: str, excesses: Sequence[Excess]) -> Iterable[str]:
    if not excesses:
        return
    yield ""
    yield f"{title}: {sum(one.calls - one.recorded for one in excesses)} calls"
    for one in excesses:
        recorded = f" ({one.recorded} recorded)" if one.recorded else ""
        yield f"  {one.calls:>8}{recorded}  {one.login}: {_shortened(one.sql)}"


def _shortened(sql: str) -> str:
    """A terminal must not obey what somebody else wrote."""
    text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in " ".join(sql.split()))
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
