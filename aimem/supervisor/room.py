"""Room for the connections of a daemon: each is an open file."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from aimem.ports import raise_open_max

log = logging.getLogger(__name__)

OPEN_WANTED: Final = 65_536
OPEN_FEW: Final = 2048
"""Listeners alone may hold 900 connections (512 on TCP, 256 that are shaking hands, 128 of the owner), beside those to
peers and webhooks and the files of the database: below it a crowd on the network stops the database, not just itself.
"""


def make_room(raise_max: Callable[[int], int] = raise_open_max) -> None:
    """Have this process open as many as the machine allows; the usual 1,024 are the shell's thought for small programs.

    Args:
      raise_max: see `raise_open_max`.
    """
    allowed = raise_max(OPEN_WANTED)
    if allowed < OPEN_FEW:
        log.warning("node.few_open_files", extra={"allowed": allowed, "wanted": OPEN_FEW})
