"""What happened in a run: a hash over all of it, counts of it, and on demand the lines themselves."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable

import trio


class Trace:
    """Two runs of one seed have equal hashes, in any process; if not, something in them did not come from the seed."""

    def __init__(self, tell: Callable[[str], None] | None = None) -> None:
        self.counts: Counter[str] = Counter()
        self._hash, self._tell = hashlib.sha256(), tell

    def note(self, what: str, *details: object) -> None:
        """Something happened, now."""
        self.counts[what] += 1
        line = f"{trio.current_time():12.6f} {what} {' '.join(map(str, details))}"
        self._hash.update(line.encode() + b"\n")
        if self._tell is not None:
            self._tell(line)

    @property
    def digest(self) -> str:
        """16 hex digits."""
        return self._hash.hexdigest()[:16]
