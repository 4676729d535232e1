"""This program with a slow disk, for `ai-memory bench mesh` and tests alone: `python -m aimem.slowed MS serve ...`.

No setting leads here: nobody is to find a daemon slow because of a line in a file.
"""

from __future__ import annotations

import sys
from typing import NoReturn

from aimem.__main__ import carry_out


def main() -> NoReturn:
    """Carry out this process's command line, whose first word is the delay."""
    carry_out(sys.argv[2:], sync_delay_ms=float(sys.argv[1]))


if __name__ == "__main__":
    main()
