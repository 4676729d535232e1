"""A daemon of ours to which weeks pass while a test waits for seconds: `python -m tests.mesh.hurried serve ...`.

Nothing but two figures differs from `python -m aimem`, and these come from variables:
  TEST_TRIM_S   seconds between two looks at what may leave the log
  TEST_LATER_S  seconds by which the machine's clock is ahead
"""

from __future__ import annotations

import os
import sys
import time

from aimem.__main__ import carry_out
from aimem.replication import catchup

TRIM, LATER = "TEST_TRIM_S", "TEST_LATER_S"


def be_later(by_s: float) -> None:
    """Let the machine's clock be ahead by so much."""
    real, ahead_ns = time.time_ns, int(by_s * 1e9)
    time.time_ns = lambda: real() + ahead_ns


if __name__ == "__main__":
    catchup.TRIM_INTERVAL_S = float(os.environ[TRIM])  # type: ignore[misc]  # final but for us
    be_later(float(os.environ.get(LATER, "0")))
    carry_out(sys.argv[1:])
