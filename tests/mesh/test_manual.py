"""The four nodes of ai-memory-mesh(7), typed into a shell as they stand there."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.sources import MANUAL
from tests.system.members import free_ports
from tests.system.processes import environment

pytestmark = pytest.mark.slow

SECTION = re.compile(r"^\.Ss Four nodes on one machine\n(.*?)^\.Ss ", re.MULTILINE | re.DOTALL)
DISPLAY = re.compile(r"^\.Bd -literal.*?\n(.*?)^\.Ed", re.MULTILINE | re.DOTALL)
MOST_S = 240
LISTENING = "until [ $(grep -c 'listening on' said) -ge {count} ]; do sleep 0.1; done"
SHOWN = "until ai-memory --db {node}.db list --json 2>&1 | grep -q {title}; do sleep 0.1; done"


def typed() -> list[str]:
    """The section's displays without prompts."""
    section = SECTION.search((MANUAL / "ai-memory-mesh.7").read_text())
    assert section is not None
    blocks = DISPLAY.findall(section[1])
    return [re.sub(r"^[$>] ", "", block, flags=re.MULTILINE).replace("\\e", "\\") for block in blocks]


def program(folder: Path) -> Path:
    """A folder with the command."""
    folder.mkdir()
    (folder / "ai-memory").write_text(f'#!/bin/sh\nexec {sys.executable} -m aimem "$@"\n')
    (folder / "ai-memory").chmod(0o755)
    return folder


def run(script: str, folder: Path, path: str) -> int:
    """Have a shell do it in a folder; what it started ends with it."""
    with (folder / "said").open("w") as said, (folder / "shown").open("w") as shown:
        shell = subprocess.Popen(
            ["bash", "-e", "-c", script], cwd=folder, env={**environment(), "PATH": path}, stdout=shown, stderr=said,
            start_new_session=True,
        )
        try:
            return shell.wait(MOST_S)
        finally:
            os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()


def test_four_nodes_set_up_as_the_manual_says_work_and_a_lost_one_comes_back_from_its_backup(tmp_path: Path) -> None:
    start, use, lose, look = typed()
    everywhere = "\n".join(SHOWN.format(node=node, title="Tide") for node in "bcd")
    script = "\n".join((
        start, LISTENING.format(count=4), use.replace("list\n", f"list\n{everywhere}\n", 1), lose,
        LISTENING.format(count=5), SHOWN.format(node="c", title="Ebb"), look,
    ))
    for port, free in zip(("9077", "9078", "9079", "9080"), free_ports(4), strict=True):
        script = re.sub(rf"(?<=[: ]){port}\b", str(free), script)
    work = tmp_path / "work"
    work.mkdir()
    status = run(script, work, f"{program(tmp_path / 'bin')}:{os.environ['PATH']}")
    assert status == 0, (work / "said").read_text()
    shown = (work / "shown").read_text()
    assert re.findall(r"^equal +(\w) ", shown, re.MULTILINE) == ["b", "c", "d", "a", "b", "d"]
    assert re.search(r"^member lists: +agreed$", shown, re.MULTILINE)
    assert {"Tide", "Ebb"} <= set(re.findall(r"\b(Tide|Ebb)\b", shown[shown.rindex("TITLE"):]))
