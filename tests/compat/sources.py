"""Where suites come from: sdists of PyPI, Debian's source packages, git, and the venvs that run them. All cached."""

from __future__ import annotations

import hashlib
import re
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.compat.processes import require_program

SYSTEM_PYTHON: Final = Path("/usr/bin/python3")
DEBIAN_KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
DEBIAN_MIRROR: Final = "http://deb.debian.org/debian"


class SourceMissing(Exception):
    """A suite can't be had here; the text says why."""


@dataclass(frozen=True, slots=True)
class Sources:
    """The cache: one folder for everything that is downloaded or made once."""

    folder: Path
    clones: Mapping[str, str] = field(default_factory=dict)  # where to clone a repository from, by its URL

    def git(self, url: str) -> Path:
        """A clone of the repository, for suites that no registry carries. Raises SourceMissing."""
        home = self.folder / "git" / _mark(url)
        if not home.exists():
            partial = _fresh(home)
            command: list[str | Path] = ["git", "clone", "-q", "--depth=1", self.clones.get(url, url), partial / "tree"]
            try:
                require_program(command, partial / "log", folder=partial)
            except RuntimeError as error:
                raise SourceMissing(f"{url}: {error}; --clone-from {url}=PLACE names another place") from error
            partial.rename(home)
        return home / "tree"

    def sdist(self, requirement: str) -> Path:
        """The unpacked source distribution that PyPI has for `requirement`."""
        home = self.folder / "sdist" / _mark(requirement)
        if not home.exists():
            partial = _fresh(home)
            name = re.split("[<>=!~]", requirement)[0]
            command: list[str | Path] = [SYSTEM_PYTHON, "-m", "pip", "download", "-q", "--no-deps"]
            command += ["--no-binary", name]
            require_program([*command, "-d", partial, requirement], partial / "log", folder=partial)
            _unpack(next(partial.glob("*.tar.gz")), partial)
            partial.rename(home)
        return next(path for path in home.iterdir() if path.is_dir())

    def debian(self, package: str, release: str) -> Path:
        """The unpacked original source of a Debian package, as `apt-get source` finds it in `release`."""
        home = self.folder / "debian" / _mark(f"{package} {release}")
        if not home.exists():
            partial = _fresh(home)
            _apt_source(package, release, partial)
            archives = [path for path in partial.iterdir() if ".orig.tar." in path.name]
            _unpack(archives[0], partial)
            partial.rename(home)
        return next(path for path in home.iterdir() if path.is_dir() and path.name != "apt")

    def venv(self, packages: Sequence[str]) -> Path:
        """A venv of the system's Python with `packages`; the path of its interpreter."""
        home = self.folder / "venv" / _mark(" ".join(packages))
        python = home / "bin" / "python"
        if not (home / "complete").exists():
            shutil.rmtree(home, ignore_errors=True)
            home.parent.mkdir(parents=True, exist_ok=True)
            log = home.parent / f"{home.name}.log"
            require_program([SYSTEM_PYTHON, "-m", "venv", home], log, folder=home.parent)
            require_program([python, "-m", "pip", "install", "-q", *packages], log, folder=home)
            (home / "complete").touch()
        return python


def _apt_source(package: str, release: str, folder: Path) -> None:
    """Only downloads, with lists of its own: the system's apt configuration stays as it is."""
    apt = folder / "apt"
    for name in ("lists/partial", "archives/partial"):
        (apt / name).mkdir(parents=True)
    (apt / "sources.list").write_text(f"deb-src [signed-by={DEBIAN_KEYRING}] {DEBIAN_MIRROR} {release} main\n")
    places = {"Etc::SourceList": apt / "sources.list", "Etc::SourceParts": "/dev/null"}
    places |= {"State::Lists": apt / "lists", "Cache": apt}
    command = ["apt-get", "-q", "-o", "APT::Sandbox::User=root"]
    for name, place in places.items():
        command += ["-o", f"Dir::{name}={place}"]
    log = folder / "apt.log"
    try:
        require_program([*command, "update"], log, folder=folder)
        require_program([*command, "source", "--download-only", package], log, folder=folder)
    except (RuntimeError, FileNotFoundError) as error:
        raise SourceMissing(f"Debian's source package {package}: {str(error)[-300:]}") from error


def _unpack(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="tar")


def _fresh(home: Path) -> Path:
    """A folder to fill and rename: an interrupted download leaves nothing that looks whole."""
    partial = home.with_name(f"{home.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    return partial


def _mark(text: str) -> str:
    readable = "".join(c if c.isalnum() else "-" for c in text)[:40].strip("-")
    return f"{readable}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
