"""What systemd itself says of the units, on a machine that has it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.packaging.units import FOLDER, SERVICES, UNITS

pytestmark = pytest.mark.slow
EXPOSURE_MAX = 20
"""Tenths of what `systemd-analyze security` counts up to ten: below it all is well (OK)."""


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (apt install systemd)")
    return found


def said_by(*words: str | Path) -> str:
    run = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout + run.stderr


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units beside each other, calling a program that is there."""
    command = tmp_path / "ai-memory"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    for unit in UNITS:
        (tmp_path / unit.name).write_text(unit.read_text().replace("/usr/bin/ai-memory", str(command)))
    return tmp_path


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_finds_nothing_wrong(installed: Path, unit: Path) -> None:
    assert said_by(program("systemd-analyze"), "verify", "--man=no", installed / unit.name) == ""


def test_systemd_would_find_something_wrong(installed: Path) -> None:
    unit = installed / "ai-memory.service"
    unit.write_text(unit.read_text().replace("WatchdogSec=60", "WatchdogSecs=60"))
    run = subprocess.run(
        [program("systemd-analyze"), "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False)
    assert "WatchdogSecs" in run.stderr


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_service_is_exposed_to_little(unit: Path) -> None:
    said_by(program("systemd-analyze"), "security", "--offline=yes", f"--threshold={EXPOSURE_MAX}", "--no-pager", unit)


def test_the_user_and_the_folders_can_be_made(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root makes users and their folders")
    (tmp_path / "etc").mkdir()
    said_by(program("systemd-sysusers"), f"--root={tmp_path}", FOLDER / "ai-memory.sysusers")
    [user] = [line.split(":") for line in (tmp_path / "etc/passwd").read_text().splitlines() if "ai-memory" in line]
    assert (user[0], user[5]) == ("ai-memory", "/var/lib/ai-memory") and user[6].endswith("nologin")
    rules = tmp_path / "usr/lib/tmpfiles.d/ai-memory.conf"
    rules.parent.mkdir(parents=True)
    rules.write_text((FOLDER / "ai-memory.tmpfiles").read_text())
    said_by(program("systemd-tmpfiles"), f"--root={tmp_path}", "--create", rules)
    made = (tmp_path / "var/lib/ai-memory").stat()
    assert (made.st_uid, made.st_mode & 0o777) == (int(user[2]), 0o700)
