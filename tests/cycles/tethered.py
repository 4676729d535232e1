"""A daemon of ours that ends with whoever started it, and else is as any: `python -m tests.cycles.tethered serve`."""

from __future__ import annotations

import sys

from aimem.__main__ import carry_out
from aimem.ports import share_heap
from tests.cycles.tether import follow, kill_self

if __name__ == "__main__":
    share_heap()    # as a daemon does, which is too late where a thread follows
    follow(kill_self)
    carry_out(sys.argv[1:])
