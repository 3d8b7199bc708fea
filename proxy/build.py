"""Which pgwarden this is: version, commit, and whether the hot modules run compiled."""

from __future__ import annotations

import os
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Final

from proxy.wire.build import is_compiled

COMMIT_VARIABLE: Final = "PGWARDEN_COMMIT"


def package_version() -> str:
    return version("pgwarden")


def build_kind() -> str:
    """``compiled`` when the hot modules are extension modules, else ``interpreted``."""
    return "compiled" if is_compiled() else "interpreted"


def commit() -> str:
    """Of the checkout it runs from; an image says it in PGWARDEN_COMMIT; ``unknown`` elsewhere."""
    if given := os.environ.get(COMMIT_VARIABLE):
        return given
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return "unknown"
    try:
        answer = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"],
            capture_output=True,
            text=True,
            check=False,
            timeout=5,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return answer.stdout.strip() or "unknown"
