"""How long a write would wait now, from how long writes took lately."""

from __future__ import annotations

from typing import Final

RECENT: Final = 0.2
"""How much the latest group says of the next: after a change of pace five groups later two thirds are of the new."""


class Pace:
    """Moving averages of what a group of jobs costs: each job by itself, and the group whatever its size (the commit).

    Kept apart, since a group's cost is shared: where the writer is idle, one job pays for a whole commit, and a
    hundred that come at once would seem to wait for a hundred commits.
    """

    def __init__(self) -> None:
        self.job_s = self.group_s = 0.0
        self._has_seen = False

    def note(self, job_count: int, jobs_s: float, whole_s: float) -> None:
        """A group of so many jobs took so long, the jobs alone and as a whole."""
        weight = RECENT if self._has_seen else 1.0
        self._has_seen = True
        self.job_s += weight * (jobs_s / job_count - self.job_s)
        self.group_s += weight * (max(0.0, whole_s - jobs_s) - self.group_s)

    def wait_s(self, job_count: int, group_count: int) -> float:
        """Seconds until so many jobs would be done, at most `group_count` in a group."""
        groups = -(-job_count // group_count)
        return job_count * self.job_s + groups * self.group_s
