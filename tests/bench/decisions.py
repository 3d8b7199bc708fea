"""What a decision costs by the way it is found, measured by pyperf in processes of their own."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import pickle
import subprocess
import sys

from proxy.net.introspect import read_catalog
from tests.bench.database import DATABASE
from tests.bench.results import Chapter, Table, at_most
from tests.bench.sidecar import ROOT
from tests.bench.stage import Stage
from tests.bench.trials import Spread, Tell, quiet

NAME = "decisions"
LIMITS_US = {"exact-text hit": 5.0, "same shape, new literals": 30.0, "miss of a five-table join": 2000.0}
_TEXT = """\
pyperf over `tests/bench/decision_paths.py`: {processes} processes, process time, with the catalog of the benchmark's
database and the policy of `pgwarden` above (row filters and masks). *Exact* and *shape* are the look-ups that a
session makes; a *miss* is a join of pgbench's four tables and the streamed one, with a name that never came before."""


def measure(stage: Stage, *, processes: int = 5, tell: Tell = quiet) -> Chapter:
    title = "Decisions"
    if importlib.util.find_spec("pyperf") is None:
        reason = "the decision paths: pyperf isn't installed (`pip install -e .[bench]`, as `make bench` does)"
        return Chapter(NAME, title, "", missing=[reason])
    found = _run(stage, processes)
    for name, spread in found.items():
        tell(f"{name}: {spread.text('.2f')} us")
    targets = [
        at_most(f"decision, us: {name}", limit, found[name].median, found[name].text("#.3g"))
        for name, limit in LIMITS_US.items()
    ]
    lines = [[name, *(f"{value:.2f}" for value in (s.median, s.least, s.greatest))] for name, s in found.items()]
    table = Table("decision paths", ["path", "median us", "least", "greatest"], lines)
    return Chapter(NAME, title, _TEXT.format(processes=processes), targets, [table])


def _run(stage: Stage, processes: int) -> dict[str, Spread]:
    """By path: us."""
    catalog = asyncio.run(read_catalog(stage.server.dsn, database=DATABASE))
    file, answer = stage.folder / "catalog.pickle", stage.folder / "decisions.json"
    file.write_bytes(pickle.dumps(catalog))
    names = "PGWARDEN_BENCH_CATALOG,PYTHONPATH,PGWARDEN_PURE"
    options = ["--processes", str(processes), "--inherit-environ", names, "-o", str(answer), "-q"]
    command = [sys.executable, "-m", "tests.bench.decision_paths", *options]
    environment = os.environ | {"PGWARDEN_BENCH_CATALOG": str(file), "PYTHONPATH": _python_path()}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        raise RuntimeError(f"pyperf: {done.stderr[-2000:]}")
    return {bench["metadata"]["name"]: _spread(bench) for bench in json.loads(answer.read_text())["benchmarks"]}


def _python_path() -> str:
    return os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))


def _spread(bench: dict[str, object]) -> Spread:
    runs = bench["runs"]
    assert isinstance(runs, list)
    return Spread.of(value * 1e6 for run in runs for value in run.get("values", []))
