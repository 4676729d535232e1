"""The fourth way in, opened by the clock: expiry, retention, tidying, and cycles of the curator.

Owns when such work happens. Must never decide what it does: that is the services'.
"""

from aimem.curator.clock import run_curator, tidy_once
from aimem.curator.cycles import run_cycles

__all__ = ["run_curator", "run_cycles", "tidy_once"]
