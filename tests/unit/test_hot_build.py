"""Which build runs is told truly, and PGWARDEN_PURE=1 has its way."""

import importlib.machinery
import os
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.build import hot_modules, is_compiled
from proxy.wire import frames, rows

ROOT = Path(__file__).parents[2]
REPORT = (
    "import tests.fix_build; from proxy import build; from proxy.wire import frames;"
    "print(frames.__file__, build.is_compiled())"
)


def _report(pure: str) -> list[str]:
    environment = {**os.environ, "PGWARDEN_PURE": pure}
    ran = subprocess.run(
        [sys.executable, "-c", REPORT], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return ran.stdout.split()


def test_pure_runs_the_sources() -> None:
    origin, compiled = _report("1")
    assert origin.endswith(f"wire{os.sep}frames.py")
    assert compiled == "False"


def test_without_it_an_extension_wins_where_there_is_one() -> None:
    suffixes = tuple(importlib.machinery.EXTENSION_SUFFIXES)
    paths = [ROOT.joinpath(*name.split(".")) for name in hot_modules()]
    built = all(any(path.with_name(path.name + suffix).exists() for suffix in suffixes) for path in paths)
    assert paths
    assert _report("")[1] == str(built)


@pytest.mark.skipif(os.environ.get("PGWARDEN_PURE") != "1", reason="only the interpreted run can be held to it")
def test_this_very_run_is_interpreted_when_asked_for() -> None:
    assert not is_compiled()
    assert str(frames.__file__).endswith(".py")
    assert str(rows.__file__).endswith(".py")
