"""Where the C library keeps what this process allocates."""

from __future__ import annotations

import ctypes
from typing import Final

_M_ARENA_MAX: Final = -8    # <malloc.h>


def share_heap() -> None:
    """Have all threads share one heap, where the C library is glibc; to be called before there is a second thread.

    Left alone, glibc gives each thread a heap of its own. Readers drop the pages that they have read once somebody has
    written, and take new ones: what lives on between them keeps each heap from giving room to the others.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:     # another C library has one heap
        mallopt(_M_ARENA_MAX, 1)
