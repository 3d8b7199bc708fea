"""`pgwarden demo`: everything at once, on a machine where nothing is prepared."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from proxy.commands.options import LogOption, read_config
from proxy.commands.outcome import ExitCode, clear_errors
from proxy.commands.serve import run_loop
from proxy.config import DEFAULT_ADMIN, DEFAULT_LISTEN, Config, UnixAddress
from proxy.demo.tour import PASSWORD_OF, Tour, TourPlaces
from proxy.embedded import find_free_port, is_port_free
from proxy.logs import LogFormat, set_up
from proxy.supervisor import Running, Supervisor

DEFAULT_FOLDER: Final = Path("var/demo")
_CONFIG_FILE: Final = "pgwarden.yaml"


def demo(
    tour: Annotated[
        bool, typer.Option("--tour", help="Only the tour; ends with 0 when it showed what it should.")
    ] = False,
    folder: Annotated[Path, typer.Option(help="Where data, records and policies are kept.")] = DEFAULT_FOLDER,
    log: LogOption = LogFormat.HUMAN,
) -> None:
    """A sample shop in an embedded PostgreSQL, pgwarden before it, and a guided tour of what each user sees.

    Afterwards it stays up: connect with psql as admin, ada or sam, edit the YAML in the policy folder and ask again.
    Ctrl-C ends everything. A second start finds the data of the first; delete the folder to begin anew.

    \b
    Examples:
      pgwarden demo
      pgwarden demo --tour
    """
    level = 30 if log is LogFormat.HUMAN else 20
    set_up(log, sys.stderr, level)
    with clear_errors():
        code = run_loop(_run(prepare(folder), log, level, is_tour_only=tour))
    raise typer.Exit(code)


def prepare(folder: Path) -> Config:
    """The demo's configuration and policies in `folder`: made when missing, never overwritten."""
    folder.mkdir(parents=True, exist_ok=True)
    with as_file(files("proxy.demo")) as source:
        if not (folder / _CONFIG_FILE).exists():
            shutil.copyfile(source / _CONFIG_FILE, folder / _CONFIG_FILE)
        if not (folder / "policies").exists():
            shutil.copytree(source / "policies", folder / "policies")
    return read_config(folder / _CONFIG_FILE, _free_addresses(read_config(folder / _CONFIG_FILE)))


def _free_addresses(config: Config) -> dict[str, Any]:
    """Other ports than the usual ones when somebody has them: a demo must come up."""
    given: dict[str, Any] = {}
    if ", ".join(map(str, config.listen)) == DEFAULT_LISTEN and not is_port_free(config.listen[0].port):
        given["listen"] = f"127.0.0.1:{find_free_port()}"
    if str(config.admin.listen) == DEFAULT_ADMIN and not is_port_free(config.admin.listen.port):
        given["admin"] = {"listen": f"127.0.0.1:{find_free_port()}"}
    return given


async def _run(config: Config, log: LogFormat, level: int, *, is_tour_only: bool) -> ExitCode:
    console = Console(highlight=False)
    supervisor = Supervisor(config, os.environ, log, level)
    supervisor.listen_to_signals()
    console.print("[dim]starting an embedded PostgreSQL with a sample shop, and pgwarden before it ...[/dim]")
    running = await supervisor.start()
    try:
        held = await _tour(console, running, config, supervisor)
        if is_tour_only:
            return ExitCode.OK if held else ExitCode.FAILED
        _print_places(console, running, config)
        await supervisor.run()
        return ExitCode.OK
    finally:
        await supervisor.stop()


def _where(running: Running) -> tuple[str, int]:
    """The first place where clients connect."""
    place = running.listen[0]
    return (str(place.folder) if isinstance(place, UnixAddress) else place.host), place.port


async def _tour(console: Console, running: Running, config: Config, supervisor: Supervisor) -> bool:
    """True when everything showed what it should. Ctrl-C leaves the tour, and the demo."""
    host, port = _where(running)
    places = TourPlaces(host, port, running.databases[0], config.policies)
    tour = Tour(console, places, running.store_dsn)
    walk = asyncio.create_task(asyncio.to_thread(tour.run))
    end = asyncio.create_task(supervisor.ended())
    await asyncio.wait({walk, end}, return_when=asyncio.FIRST_COMPLETED)
    end.cancel()
    if not walk.done():
        tour.give_up()
    return await walk


def _print_places(console: Console, running: Running, config: Config) -> None:
    console.rule("[bold]it stays up[/bold]")
    for user, password in PASSWORD_OF.items():
        console.print(
            f"  psql 'postgresql://{user}:{password}@{_where(running)[0]}:{_where(running)[1]}/{running.databases[0]}'"
        )
    policies = os.path.relpath(config.policies)
    file = os.path.relpath(config.policies.parent / _CONFIG_FILE)
    console.print(f"\n  admin     http://{running.admin}/metrics  /readyz  /version")
    console.print(f"  policies  {policies}/   edit them: a good edit counts at once")
    console.print(f"  records   {_own_command()} audit query --config {file} --since 1h")
    console.print("  Ctrl-C ends everything; the data stays.\n")


def _own_command() -> str:
    """How to call this program from here: a newcomer's PATH doesn't have it."""
    if shutil.which("pgwarden") is not None:
        return "pgwarden"
    return os.path.relpath(Path(sys.executable).parent / "pgwarden")
