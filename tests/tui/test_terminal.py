"""The console in a terminal of its own, as its user meets it: the demonstration opens it on a mesh."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PATIENCE_S = 60


class Terminal:
    """A command with a terminal, of which all that is written is kept."""

    def __init__(self, folder: Path, *words: str, **environ: str) -> None:
        """Start it."""
        self.end, other = pty.openpty()
        self.said = b""
        self.process = subprocess.Popen(
            (sys.executable, "-m", "aimem", *words), stdin=other, stdout=other, stderr=other, start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color", "TMPDIR": str(folder), "COLUMNS": "120", "LINES": "40",
                 **environ},
        )
        os.close(other)

    def until(self, *words: bytes) -> bytes:
        """Wait until it has written each of these since it was asked last. Returns: that."""
        begun, deadline = len(self.said), time.monotonic() + PATIENCE_S
        while not all(word in self.said[begun:] for word in words):
            self._read(deadline, lambda: f"not written: {words}\n{self.said[begun:].decode(errors='replace')}")
        return self.said[begun:]

    def _read(self, deadline: float, why: Callable[[], str]) -> None:
        ready, _, _ = select.select([self.end], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, why()
        self.said += os.read(self.end, 65_536)

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self.end, keys)

    def close(self) -> int:
        """Read on until it has ended; its exit status."""
        try:
            while os.read(self.end, 65_536):
                pass
        except OSError:     # the other end is closed
            pass
        os.close(self.end)
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        """End it, whatever it does."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(PATIENCE_S)


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose name is short enough for sockets in it."""
    return Path(os.path.realpath(tmp_path_factory.mktemp("t")))


def test_in_the_demonstration_a_node_dies_and_is_back_a_policy_is_made_and_a_write_queued_and_approved(
    short: Path
) -> None:
    terminal = Terminal(short, "demo", "--nodes", "2", "--console")
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
        terminal.until(b"The policy of demo", b"Do it")       # the field has the focus, and takes letters
        terminal.type(b"\x15")      # Ctrl-U empties the field
        terminal.until(b"JSON")
        terminal.type(b'{"write": "approve", "promote": "any", "delete": "any", "policy": "any"}\r')
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
        terminal.type(b"q")
        assert terminal.close() == 0
    finally:
        terminal.kill()
    assert not list(short.iterdir())


def written(folder: Path, **environ: str) -> bytes:
    """All that the console writes from its opening to its end, where no daemon runs."""
    terminal = Terminal(folder, "--db", str(folder / "x.db"), "console", **environ)
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
