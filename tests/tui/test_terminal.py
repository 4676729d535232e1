"""The console in a terminal of its own, as its user meets it: the demonstration opens it on a mesh."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tui.terminal import Terminal

pytestmark = pytest.mark.slow


def opened(folder: Path, *words: str, **environ: str) -> Terminal:
    """A command line of ours in a terminal, its temporary files in a folder."""
    return Terminal((sys.executable, "-m", "aimem", *words), TMPDIR=str(folder), **environ)


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose name is short enough for sockets in it."""
    return Path(os.path.realpath(tmp_path_factory.mktemp("t")))


def test_in_the_demonstration_a_node_dies_and_is_back_a_policy_is_made_and_a_write_queued_and_approved(
    short: Path
) -> None:
    terminal = opened(short, "demo", "--nodes", "2", "--console")
    try:
        said = terminal.until(b"take node-b down, the hard way", b"kill -9 ")
        terminal.until(b"2 of 2 nodes reachable, all well")
        line = next(line for line in said.decode().splitlines() if "kill -9 " in line)
        os.kill(int(line.split()[-1]), signal.SIGKILL)
        terminal.until(b"nothing listens at https://127.0.0.1:")
        terminal.until(b"2 of 2 nodes reachable, all well")
        terminal.type(b"2")
        terminal.until(b"NODE-A", b"press v to have all copies compared now")
        terminal.type(b"v")
        terminal.until(b"node-b equal")
        terminal.type(b"5")
        terminal.until(b"no policy holds here")
        terminal.type(b"e")
        terminal.until(b"The policy of demo", b"Save")       # the field has the focus, and takes letters
        terminal.type(20 * b"\x0b")      # Ctrl-K takes the rest of a line, and then the line
        terminal.type(b'{"write": "approve", "promote": "any", "delete": "any", "policy": "any"}\x13')
        terminal.until(b"Set this policy of demo?", b"Do it")
        terminal.type(b"\r")
        terminal.until(b"set the policy of demo", b"holds, of demo")
        terminal.type(b"3")
        terminal.until(b"nothing waits for a decision")
        [db] = short.glob("*/node-b.db")
        words = ("--agent-id", "ai:planner", "store", "--title", "Asked", "--content", "Said.", "--namespace", "demo")
        command = (sys.executable, "-m", "aimem", "--db", str(db), *words)
        asked = subprocess.run(command, check=False, capture_output=True)
        assert b"queued for approval" in asked.stderr, asked
        terminal.until(b"1 action waiting", b"Said.")
        terminal.type(b"a")
        terminal.until(b"Approve? ", b"Do it")
        terminal.type(b"\r")
        terminal.until(b"approved and done", b"on 2 of 2 nodes", b"nothing waits for a decision")
        terminal.type(b"h")
        terminal.until(b"by operator")
        terminal.type(b"q")
        assert terminal.close() == 0
    finally:
        terminal.kill()
    assert not list(short.iterdir())


def written(folder: Path, **environ: str) -> bytes:
    """All that the console writes from its opening to its end, where no daemon runs."""
    terminal = opened(folder, "--db", str(folder / "x.db"), "console", **environ)
    try:
        said = terminal.until(b"ai-memory serve", b"Quit")
        terminal.type(b"q")
        assert terminal.close() == 0
        return said
    finally:
        terminal.kill()


def colours(said: bytes) -> set[tuple[int, ...]]:
    """The parameters of every sequence that sets a colour."""
    found = {tuple(int(part or b"0") for part in one.split(b";")) for one in re.findall(rb"\x1b\[([\d;]+)m", said)}
    return {one for one in found if any(30 <= part <= 48 or 90 <= part <= 107 for part in one)}


def test_with_no_color_there_is_no_hue(short: Path) -> None:
    for one in colours(written(short, NO_COLOR="1")):
        for place, part in enumerate(one):
            if part in (38, 48) and one[place + 1] == 2:
                assert len(set(one[place + 2:place + 5])) == 1, one


def test_a_terminal_of_sixteen_colours_gets_no_others(short: Path) -> None:
    used = colours(written(short, TERM="linux", COLORTERM=""))
    assert used
    assert not [one for one in used if 38 in one or 48 in one]
