"""Which build runs is told truly, and PGWARDEN_PURE=1 has its way."""

import importlib.machinery
import os
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.wire import frames, rows
from proxy.wire.build import is_compiled

ROOT = Path(__file__).parents[3]
REPORT = "import tests.fix_build; from proxy.wire import frames, build; print(frames.__file__, build.is_compiled())"


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
    folder = ROOT / "proxy" / "wire"
    built = all(any((folder / (name + suffix)).exists() for suffix in suffixes) for name in ("frames", "rows"))
    assert _report("")[1] == str(built)


@pytest.mark.skipif(os.environ.get("PGWARDEN_PURE") != "1", reason="only the interpreted run can be held to it")
def test_this_very_run_is_interpreted_when_asked_for() -> None:
    assert not is_compiled()
    assert str(frames.__file__).endswith(".py")
    assert str(rows.__file__).endswith(".py")
