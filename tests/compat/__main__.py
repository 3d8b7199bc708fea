"""The program: fetches suites, runs each twice, prints the table. Exit code 1 when a difference has no reason."""

from __future__ import annotations

import datetime
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from proxy.embedded import EmbeddedServer
from proxy.installation import EmbeddedError, Installation, find_system, find_wheel
from tests.compat.known import FILE, Known, read_known
from tests.compat.outcomes import Comparison, Outcome, Run
from tests.compat.report import COLUMNS, Verdict, judge, markdown, row
from tests.compat.results_file import load, save
from tests.compat.sources import SourceMissing, Sources
from tests.compat.stand import direct_stand, through_stand
from tests.compat.suite import Suite, Workplace
from tests.compat.suites import SUITES

CACHE: Final = Path("var/compat")
HEADING: Final = (
    "`tests/compat/run --report docs/compat.md` makes this page. It runs suites that others wrote twice, each time on",
    "a new server, directly and through pgwarden under the allow-everything policy, and compares them test by test.",
    "What differs is run again through pgwarden; it counts if it differs again. In PostgreSQL's own suites and with",
    "sqlsmith's statements a test passes when its output is the one of the direct run.",
)
console = Console()


def main(
    suites: Annotated[list[str] | None, typer.Argument(help=f"any of: {', '.join(SUITES)}; all if none")] = None,
    server: Annotated[int, typer.Option(help="PostgreSQL: 15 (installed) or 18 (the wheel)")] = 15,
    keep: Annotated[Path | None, typer.Option(help="keep logs and reports of the runs there")] = None,
    cache: Annotated[Path, typer.Option(help="downloads and venvs")] = CACHE,
    clone_from: Annotated[list[str] | None, typer.Option(help="URL=PLACE: another place of a git repository")] = None,
    report: Annotated[
        Path | None, typer.Option(help="write the table there, as Markdown, with what --keep holds of earlier runs")
    ] = None,
) -> None:
    """Runs third-party suites directly and through pgwarden, and compares them test by test."""
    chosen = [_suite(name) for name in suites or SUITES]
    known = read_known(FILE.read_text("utf-8"))
    with _working_folder(keep) as folder:
        bench = Bench(folder, Sources(cache.absolute(), _pairs(clone_from)), _installation(server))
        verdicts = [judge(found, known) for suite in chosen if (found := bench.compare(suite)) is not None]
    _show(verdicts)
    if report is not None:
        all_verdicts = _with_kept(verdicts, keep, known)
        report.write_text(markdown(all_verdicts, HEADING), "utf-8")
    is_wrong = any(verdict.unexplained or verdict.is_empty or verdict.comparison.through.faults for verdict in verdicts)
    raise typer.Exit(1 if is_wrong else 0)


class Bench:
    """Runs suites one after the other; the audit store has a server of its own, for as long as `folder` lives."""

    def __init__(self, folder: Path, sources: Sources, installation: Installation) -> None:
        self._folder = folder
        self._sources = sources
        self._installation = installation

    def compare(self, suite: Suite) -> Comparison | None:
        try:
            version = suite.prepare(self._sources)
        except (SourceMissing, RuntimeError) as error:
            console.print(f"{suite.name} can't be had: {error}", markup=False)
            return None
        direct = self._direct(suite)
        _tell(suite, "directly", direct)
        through = self._through(suite)
        _tell(suite, "through pgwarden", through)
        comparison = Comparison(suite.name, version, direct, through, measured=self._measured())
        if comparison.newly_failing:
            again = self._through(suite, comparison.newly_failing, "again")
            _tell(suite, "again", again)
            comparison = comparison.settled(again.outcomes)
        save(comparison, self._folder / suite.name)
        return comparison

    def _measured(self) -> str:
        return f"{datetime.datetime.now(datetime.UTC).date().isoformat()}, PostgreSQL {self._installation.version}"

    def _direct(self, suite: Suite) -> Run:
        place = self._place(suite, "direct")
        with direct_stand(place.folder, self._installation, suite.needs) as endpoint:
            return suite.run(place, endpoint)

    def _through(self, suite: Suite, only: tuple[str, ...] = (), name: str = "through") -> Run:
        place = self._place(suite, name)
        with (
            EmbeddedServer(place.folder / "store", find_wheel()) as store,
            through_stand(place.folder, self._installation, suite.needs, store.dsn()) as endpoint,
        ):
            run = suite.run(place, endpoint, only)
            return replace(run, faults=endpoint.faults())

    def _place(self, suite: Suite, name: str) -> Workplace:
        folder = self._folder / suite.name / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return Workplace(folder, self._sources, self._installation)


@contextmanager
def _working_folder(keep: Path | None) -> Iterator[Path]:
    """Passable for the server's user, which is another one when root runs this."""
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep.absolute()
        return
    folder = Path(tempfile.mkdtemp(prefix="pgwarden-compat-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _suite(name: str) -> Suite:
    if name not in SUITES:
        raise typer.BadParameter(f"no suite {name!r}; known: {', '.join(SUITES)}")
    return SUITES[name]


def _pairs(texts: list[str] | None) -> dict[str, str]:
    if wrong := [text for text in texts or () if "=" not in text]:
        raise typer.BadParameter(f"expected URL=PLACE: {wrong[0]}")
    return {text.partition("=")[0]: text.partition("=")[2] for text in texts or ()}


def _installation(server: int) -> Installation:
    found = {15: find_system, 18: find_wheel}.get(server, lambda: None)()
    if found is None or found.major != server:
        raise EmbeddedError(f"PostgreSQL {server} isn't installed")
    return found


def _tell(suite: Suite, how: str, run: Run) -> None:
    counts = ", ".join(f"{run.count(outcome)} {outcome}" for outcome in Outcome)
    cut = ", cut off" if run.was_cut_off else ""
    note = f" ({run.note})" if run.note else ""
    console.print(f"{suite.name} {how}: {counts} in {run.seconds:.0f} s{cut}{note}")


def _show(verdicts: list[Verdict]) -> None:
    table = Table(*COLUMNS[:-1])
    for verdict in verdicts:
        table.add_row(*row(verdict)[:-1])
    console.print(table)
    for verdict in verdicts:
        name = verdict.comparison.suite
        for fault in verdict.comparison.through.faults:
            console.print(f"{name}: pgwarden logged {fault}", markup=False, soft_wrap=True)
        if verdict.is_empty:
            console.print(f"{name}: nothing passed directly; look into its log (--keep)")
        for test in verdict.unexplained:
            console.print(f"{name}: {test}", markup=False, soft_wrap=True)
        for test, reason in verdict.documented:
            console.print(f"{name}: {test} (known: {reason})", markup=False, soft_wrap=True)
        for test in sorted(verdict.comparison.flaky):
            console.print(f"{name}: {test} (flaky: passed when run again)", markup=False, soft_wrap=True)


def _with_kept(verdicts: list[Verdict], keep: Path | None, known: list[Known]) -> list[Verdict]:
    """In the order of the suites: those of this run, and of the others what an earlier run has left in `keep`."""
    found = {verdict.comparison.suite: verdict for verdict in verdicts}
    if keep is not None:
        earlier = (load(keep / name) for name in SUITES)
        found = {old.suite: judge(old, known) for old in earlier if old is not None} | found
    return [found[name] for name in SUITES if name in found]


if __name__ == "__main__":
    program = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    program.command()(main)
    program()
