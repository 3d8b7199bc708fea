"""`pgwarden shipper`."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from proxy.commands.options import ConfigOption, LogOption, read_config
from proxy.commands.outcome import clear_errors
from proxy.commands.serve import run_loop
from proxy.config import Config
from proxy.fleet_shipper import FleetShipper
from proxy.logs import LogFormat, set_up


def shipper(
    config: ConfigOption = None,
    admin: Annotated[str | None, typer.Option(help="Where metrics and health are; wins over the file.")] = None,
    log: LogOption = LogFormat.HUMAN,
) -> None:
    """Carries the records of many sidecars from the bus to the audit store, until it is told to end.

    Sidecars with `audit.bus` send their records to NATS JetStream; this takes them from there. Of the configuration it
    reads `audit.bus`, `audit.store`, `audit.retention_days`, `audit.export` and `admin.listen`. Run two or more, so
    that one may die: each record is stored once. SIGTERM and SIGINT end it after the round under way.

    \b
    Example:
      pgwarden shipper --config shipper.yaml
    """
    set_up(log, sys.stderr)
    with clear_errors():
        given: dict[str, Any] = {} if admin is None else {"admin": {"listen": admin}}
        run_loop(_ship(read_config(config, given)))


async def _ship(config: Config) -> None:
    fleet = FleetShipper(config)
    fleet.listen_to_signals()
    await fleet.start()
    await fleet.run()
