"""On what and with which versions the figures were made, and how busy the machine was with other things."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from proxy.build import build_kind, commit, package_version
from tests.bench.pooler import pgbouncer_version
from tests.bench.stage import Stage

_FLAGS = ("sha_ni", "avx2", "avx512f", "aes", "sse4_2", "constant_tsc", "hypervisor")
_PACKAGES = ("uvloop", "cython", "postgast", "msgspec", "psycopg", "asyncpg", "pyperf", "py-spy")


def facts(stage: Stage) -> list[list[str]]:
    """Lines of a table: name, value."""
    return [
        ["commit", commit()],
        ["pgwarden", f"{package_version()}, {build_kind()} hot modules"],
        ["PgBouncer", pgbouncer_version()],
        ["PostgreSQL", stage.server.version],
        ["pgbench", _first_line([stage.pgbench, "--version"])],
        ["psql", _first_line(["psql", "--version"])],
        ["Python", f"{platform.python_version()}, {platform.python_compiler()}"],
        ["packages", ", ".join(f"{name} {_version(name)}" for name in _PACKAGES)],
        ["kernel", f"{platform.system()} {platform.release()} {platform.machine()}"],
        ["CPU", f"{_cpu('model name')}, {os.cpu_count()} cores"],
        ["CPU flags", ", ".join(flag for flag in _FLAGS if flag in _cpu("flags").split())],
        ["memory", f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / (1 << 30):.0f} GiB"],
        ["load before the start", " ".join(f"{load:.2f}" for load in os.getloadavg()) + " (1, 5, 15 minutes)"],
    ]


def _first_line(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.split("\n")[0]
    except OSError:
        return "not installed"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _cpu(name: str) -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.partition(":")[0].strip() == name:
            return line.partition(":")[2].strip()
    return ""
