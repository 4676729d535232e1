"""This program with a slow disk, for `ai-memory bench mesh` and tests alone: `python -m aimem.slowed MS serve ...`.

No setting leads here: nobody is to find a daemon slow because of a line in a file.
"""

from __future__ import annotations

import sys

from aimem.__main__ import carry_out

if __name__ == "__main__":
    carry_out(sys.argv[2:], sync_delay_ms=float(sys.argv[1]))
