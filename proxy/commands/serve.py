"""`pgwarden serve`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from proxy.commands.options import ConfigOption, LogOption, read_config
from proxy.commands.outcome import CommandError, clear_errors
from proxy.config import Config
from proxy.descriptors import raise_limit
from proxy.logs import LogFormat, set_up
from proxy.loop import loop_factory
from proxy.supervisor import Supervisor


def serve(
    config: ConfigOption = None,
    listen: Annotated[str | None, typer.Option(help="Where clients connect; wins over the file.")] = None,
    admin: Annotated[str | None, typer.Option(help="Where metrics and health are; wins over the file.")] = None,
    policies: Annotated[Path | None, typer.Option(help="The policy folder; wins over the file.")] = None,
    log: LogOption = LogFormat.HUMAN,
) -> None:
    """Stands before the databases until it is told to end.

    SIGTERM lets running sessions finish (30 s at most), SIGINT (Ctrl-C) ends at once, SIGHUP reads certificates and
    policies again; policies are also read again whenever a file in the folder changes. Each key of the file can be
    given as an environment variable: PGWARDEN_AUDIT__DURABILITY=strict.

    \b
    Examples:
      pgwarden serve --config pgwarden.yaml
      pgwarden serve --policies policies/ --listen 127.0.0.1:6000 --log json
    """
    set_up(log, sys.stderr)
    with clear_errors():
        settings = read_config(config, overrides_of(listen, admin, policies))
        raise_limit()
        run_loop(_serve(settings, log))


def overrides_of(listen: str | None, admin: str | None, policies: Path | None) -> dict[str, Any]:
    """What the command line says, nested like the YAML. Paths count from the current folder."""
    given: dict[str, Any] = {}
    if listen is not None:
        given["listen"] = listen
    if admin is not None:
        given["admin"] = {"listen": admin}
    if policies is not None:
        given["policies"] = policies.absolute()
    return given


async def _serve(config: Config, log: LogFormat) -> None:
    supervisor = Supervisor(config, os.environ, log)
    supervisor.listen_to_signals()
    await supervisor.start()
    await supervisor.run()


def run_loop(work: Coroutine[Any, Any, Any]) -> Any:
    """On uvloop where there is one. An address that can't be had is the caller's to mend, so it is told plainly."""
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(work)
    except OSError as error:
        raise CommandError(f"can't start: {error}") from None
