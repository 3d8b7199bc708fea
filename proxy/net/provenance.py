"""Who wrote a policy folder's present content: by git where the folder is in a checkout, else by its files.

git is asked, never obeyed: nothing that a repository's configuration names is run.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

_LIMIT_S: Final = 2.0  # new policies wait for it
_QUIET: Final = (
    *("--no-optional-locks", "-c", "safe.directory=*", "-c", "core.fsmonitor=false"),
    *("-c", "log.showSignature=false", "-c", "core.hooksPath=/dev/null", "-c", "core.quotePath=true"),
)
_FORM: Final = "--format=%h%x00%an <%ae>%x00%cI"


def provenance_of(folder: Path) -> str:
    """One clause, such as "commit 1f2e3d4 by Ada <ada@example.com> of 2026-11-21T20:00:00+00:00"; never raises."""
    told = _git(folder, "log", "-1", _FORM, "--", ".")
    if told.count("\0") == 2:
        commit, author, at = told.strip().split("\0")
        edited = ", edited since" if _git(folder, "status", "--porcelain", "--", ".").strip() else ""
        return f"commit {commit} by {author} of {at}{edited}"
    return _by_files(folder)


def _git(folder: Path, *arguments: str) -> str:
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "GIT_CONFIG_NOSYSTEM": "1"}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *_QUIET, *arguments],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            check=False,
            timeout=_LIMIT_S,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _by_files(folder: Path) -> str:
    """The newest file's owner and time."""
    try:
        newest = max((path.stat() for path in folder.rglob("*.y*ml")), key=lambda state: state.st_mtime)
    except (OSError, ValueError):
        return "files that nobody owns any more"
    at = datetime.fromtimestamp(newest.st_mtime, UTC).isoformat(timespec="seconds")
    return f"files of {_login(newest.st_uid)}, last changed {at}"


def _login(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"uid {user}"
