"""The namespace of a project."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from aimem.cli.namespace import project_namespace, repository_name


@pytest.mark.parametrize(("url", "name"), [
    ("git@host.example:org/repo.git\n", "repo"), ("https://host.example/org/repo/", "repo"), ("/srv/repo.git", "repo"),
    ("host:repo", "repo"), ("../up.git/", "up"), ("", ""), ("https://host.example/org/.git", ""),
])
def test_the_repository_s_name_is_the_last_part_of_its_url(url: str, name: str) -> None:
    assert repository_name(url) == name


@pytest.mark.parametrize(("folder", "namespace"), [
    ("project", "project"), ("two words", "global"), ("_closed", "global"), ("..x", "..x"), ("back\\slash", "global")])
def test_without_git_it_is_the_folder_s_name_if_that_is_valid(tmp_path: Path, folder: str, namespace: str) -> None:
    cwd = tmp_path / folder
    cwd.mkdir()
    assert project_namespace(cwd) == namespace


def test_the_root_folder_and_a_folder_that_is_gone_are_global(tmp_path: Path) -> None:
    assert project_namespace(Path("/")) == "global"
    assert project_namespace(tmp_path / "gone away") == "global"


def test_the_remote_beats_the_folder(tmp_path: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    cwd = tmp_path / "folder"
    cwd.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=cwd, check=True)
    assert project_namespace(cwd) == "folder"
    subprocess.run(["git", "remote", "add", "origin", "git@host.example:org/fleet.git"], cwd=cwd, check=True)
    assert project_namespace(cwd) == "fleet"
    assert project_namespace(cwd) == "fleet"
