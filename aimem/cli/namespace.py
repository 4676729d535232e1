"""Which namespace a memory belongs to when nobody said: the project's name."""

from __future__ import annotations

import re
import subprocess  # noqa: TID251  # only git knows where `origin` points (includes, insteadOf); asked once, bounded
from pathlib import Path

from aimem.errors import AimemError
from aimem.model import GLOBAL, rules

GIT_PATIENCE_S = 5
"""git only reads a file here; a folder on a dead network mount must not hold the command for ever."""


def project_namespace(cwd: Path) -> str:
    """The last path element of the git remote `origin` (without `.git`), else the folder's name, else `global`.

    A name that is no valid namespace segment is skipped.
    """
    for name in (repository_name(_origin(cwd)), cwd.name):
        if _is_segment(name):
            return name
    return GLOBAL


def repository_name(url: str) -> str:
    """The repository's name in a remote URL or path (`git@host:org/repo.git`, `https://host/repo/`); may be empty."""
    return re.split(r"[/:]", url.strip().rstrip("/"))[-1].removesuffix(".git")


def _is_segment(name: str) -> bool:
    try:
        return bool(name) and "/" not in name and rules.writable_namespace(name) == name
    except AimemError:
        return False


def _origin(cwd: Path) -> str:
    try:
        answer = subprocess.run(
            ["git", "remote", "get-url", "origin"], cwd=cwd, capture_output=True, timeout=GIT_PATIENCE_S, check=False,
            stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.decode(errors="replace") if answer.returncode == 0 else ""
