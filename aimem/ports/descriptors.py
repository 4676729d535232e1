"""How many files and connections this process may have open at once."""

from __future__ import annotations

import resource


def raise_open_max(wanted: int) -> int:
    """Allow as many as are wanted, as far as the machine lets this process; never fewer than before.

    Returns: how many may be open now; `wanted` where nothing bounds it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    target = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if target > soft:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
        except (ValueError, OSError):
            return soft     # a kernel with a bound of its own, below what it says
        return target
    return soft
