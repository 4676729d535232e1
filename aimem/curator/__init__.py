"""The fourth way in, opened by the clock: expiry, retention, tidying.

Owns when such work happens. Must never decide what it does: that is the services'.
"""

from aimem.curator.clock import run_curator, tidy_once

__all__ = ["run_curator", "tidy_once"]
