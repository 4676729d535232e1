"""What the service manager hears: datagrams of sd_notify(3), if it asked for them."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import trio

from aimem.errors import InvalidRequest

log = logging.getLogger(__name__)

WATCHDOG_SHARE: Final = 0.5     # sd_watchdog_enabled(3) advises half of the interval
STILL_MAX_S: Final = 300.0
"""A writer without a sign of life for so long hangs. Moving a long log, or a sync of it on a slow disk, takes a minute
or two in which SQLite says nothing; joining a whole state takes longer, and says something all the time."""
END_GRACE_S: Final = 60.0
"""What may take time after the last request: flushing services, moving the log, closing the database."""


class Notifier:
    """Tells the service manager what the node is doing; says nothing where there is none."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        is_ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        interval_us = environ.get("WATCHDOG_USEC", "")
        self._beat_s = int(interval_us) / 1e6 * WATCHDOG_SHARE if is_ours and interval_us.isdecimal() else None
        self._serving = ""

    def starting(self, status: str) -> None:
        """The node does not serve yet; this is what it does."""
        self._tell(STATUS=status)

    def ready(self, status: str) -> None:
        """The node serves."""
        self._serving = status
        self._tell(READY="1", STATUS=status, MAINPID=str(os.getpid()))

    @contextlib.contextmanager
    def reloading(self) -> Iterator[None]:
        """The node reads its configuration anew within the block, and serves all the while."""
        if not self._serving:   # before it is ready READY=1 would be a lie, and while it stops it is nobody's concern
            yield
            return
        now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000
        self._tell(RELOADING="1", MONOTONIC_USEC=str(now_us), STATUS="reading the configuration anew")
        status = self._serving
        try:
            yield
        except InvalidRequest as error:
            status += f"; nothing was read anew: {error.message}"
            raise
        finally:
            if self._serving:
                self._tell(READY="1", STATUS=status)

    def stopping(self, *, grace_s: float) -> None:
        """The node drains, and may take so many seconds for requests in progress."""
        self._serving = ""
        self._tell(STOPPING="1", STATUS="draining", EXTEND_TIMEOUT_USEC=str(int((grace_s + END_GRACE_S) * 1e6)))

    async def run_watchdog(self, still_s: Callable[[], float]) -> None:
        """Beat from the event loop: one that is stuck stops beating, and the manager restarts the service.

        Args:
          still_s: how long the writer, at work, has given no sign of life; the loop does not beat for one that hangs.
        """
        while self._beat_s:
            still = still_s()
            if still < STILL_MAX_S:
                self._tell(WATCHDOG="1")
            else:
                log.error("writer.hangs", extra={"still_s": round(still)})
                self._tell(STATUS=f"the writer has hung for {still:.0f} s")
            await trio.sleep(self._beat_s)

    def _tell(self, **fields: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address     # '@': abstract
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        lines = (f"{key}={' '.join(value.splitlines())}" for key, value in fields.items())
        # A manager that does not listen must not stop the node: it will find out by its own time limit.
        with socket.socket(socket.AF_UNIX, kind) as out, contextlib.suppress(OSError):
            out.connect(address)
            out.send(os.fsencode("\n".join(lines)))
