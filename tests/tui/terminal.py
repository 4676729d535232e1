"""A command in a terminal of its own, as its user has it."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import termios
import time
from collections.abc import Callable, Sequence

PATIENCE_S = 120
SIZE = (40, 120)
"""Its rows and columns."""


class Terminal:
    """A command with a terminal, of which all that is written is kept."""

    def __init__(self, words: Sequence[str], **environ: str) -> None:
        """Start it."""
        self.end, other = pty.openpty()
        termios.tcsetwinsize(other, SIZE)
        self.said = b""
        self.process = subprocess.Popen(
            words, stdin=other, stdout=other, stderr=other, start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color", **environ},
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
