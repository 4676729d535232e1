"""Readiness for the service manager: datagrams of sd_notify(3), if it asked for them."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping

import trio

WATCHDOG_SHARE = 0.5    # sd_watchdog_enabled(3) advises half of the interval


class Notifier:
    """Tells the service manager what the node is doing; says nothing where there is none."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        is_ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        interval_us = environ.get("WATCHDOG_USEC", "")
        self._beat_s = int(interval_us) / 1e6 * WATCHDOG_SHARE if is_ours and interval_us.isdecimal() else None

    def ready(self, status: str) -> None:
        """The node serves."""
        self._tell(READY="1", STATUS=status, MAINPID=str(os.getpid()))

    def stopping(self, *, grace_s: float) -> None:
        """The node drains, and may take so many seconds."""
        self._tell(STOPPING="1", STATUS="draining", EXTEND_TIMEOUT_USEC=str(int(grace_s * 1e6)))

    async def run_watchdog(self) -> None:
        """Beat from the event loop: a loop that is stuck stops beating, and the manager restarts the service."""
        while self._beat_s:
            self._tell(WATCHDOG="1")
            await trio.sleep(self._beat_s)

    def _tell(self, **fields: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address     # '@': abstract
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        # A manager that does not listen must not stop the node: it will find out by its own time limit.
        with socket.socket(socket.AF_UNIX, kind) as out, contextlib.suppress(OSError):
            out.connect(address)
            out.send("\n".join(f"{key}={value}" for key, value in fields.items()).encode())
