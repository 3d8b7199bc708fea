"""Who wrote the policies: git says it where there is one, the files where there isn't."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from proxy.net.provenance import provenance_of


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    if shutil.which("git") is None:
        pytest.skip("git isn't installed")
    folder = tmp_path / "repository" / "policies"
    folder.mkdir(parents=True)
    git(folder.parent, "init", "-q")
    (folder / "a.yaml").write_text("policies: []\n")
    git(folder.parent, "add", ".")
    git(folder.parent, "commit", "-qm", "first")
    return folder


def test_the_commit_and_its_author_are_told(checkout: Path) -> None:
    told = provenance_of(checkout)
    assert told.startswith("commit ")
    assert "by Ada <ada@example.com> of 2" in told
    assert not told.endswith("edited since")


def test_an_edit_that_isnt_committed_is_told(checkout: Path) -> None:
    (checkout / "b.yaml").write_text("policies: []\n")
    assert provenance_of(checkout).endswith(", edited since")


def test_nothing_that_a_repository_names_is_run(checkout: Path, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    program.chmod(0o755)
    for key in ("core.fsmonitor", "core.pager", "gpg.program", "diff.external", "core.sshCommand"):
        git(checkout, "config", key, str(program))
    git(checkout, "config", "log.showSignature", "true")
    (checkout / "a.yaml").write_text("policies: [ ]\n")
    assert "Ada" in provenance_of(checkout)
    assert not (tmp_path / "ran").exists()


def test_a_plain_folder_is_told_by_its_files(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("policies: []\n")
    assert provenance_of(tmp_path).startswith("files of ")
    assert provenance_of(tmp_path / "nowhere") == "files that nobody owns any more"
