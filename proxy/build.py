"""Which pgwarden this is: version, commit, and whether the hot modules run compiled."""

from __future__ import annotations

import os
import subprocess
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

COMMIT_VARIABLE: Final = "PGWARDEN_COMMIT"
_ROOT: Final = Path(__file__).resolve().parent.parent


def package_version() -> str:
    return version("pgwarden")


def hot_modules() -> list[str]:
    """Names of the modules that have types for Cython beside them; those whose .pxd is code are part of others."""
    found = (path for package in ("proxy", "policies", "audit") for path in (_ROOT / package).rglob("*.pxd"))
    typed = (path for path in found if "cdef inline" not in path.read_text("utf-8"))
    sources = (path.with_suffix("") for path in typed if path.with_suffix(".py").exists())
    return sorted(".".join(source.relative_to(_ROOT).parts) for source in sources)


def is_compiled() -> bool:
    """Whether all hot modules are extension modules: a build has all of them or none."""
    specs = [find_spec(name) for name in hot_modules()]
    return all((spec is not None and spec.origin or "").endswith(tuple(EXTENSION_SUFFIXES)) for spec in specs)


def build_kind() -> str:
    """``compiled`` or ``interpreted``."""
    return "compiled" if is_compiled() else "interpreted"


def commit() -> str:
    """Of the checkout it runs from; an image says it in PGWARDEN_COMMIT; ``unknown`` elsewhere."""
    if given := os.environ.get(COMMIT_VARIABLE):
        return given
    if not (_ROOT / ".git").exists():
        return "unknown"
    try:
        answer = subprocess.run(
            ["git", "-C", str(_ROOT), "rev-parse", "--short=12", "HEAD"],
            capture_output=True,
            text=True,
            check=False,
            timeout=5,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return answer.stdout.strip() or "unknown"
