"""A process that ends with whoever started it, however that one ends: each has an end of a pipe that is never used."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def tether() -> Iterator[int]:
    """What processes are to have as their stdin; it ends with the block, and with this process."""
    far, near = os.pipe()
    try:
        yield far
    finally:
        os.close(near)
        os.close(far)


def follow(end: Callable[[], None]) -> None:
    """Call this once, from a thread, when the other end of what is our stdin is gone."""

    def wait() -> None:
        while os.read(0, 1):
            pass
        end()

    threading.Thread(target=wait, daemon=True).start()


def kill_self() -> None:
    """End at once, as a machine does that loses its power, but for what the kernel still writes."""
    os.kill(os.getpid(), signal.SIGKILL)
