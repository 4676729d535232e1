"""Refusals that repeat: the first of a caller and a rule in a minute is told at once, others as one row with a count.

A table of bounded size, without a clock and without a store of its own.
"""

from __future__ import annotations

from typing import Final

import msgspec

from aimem.model import Instant, after
from aimem.store import AuditRow

WINDOW_S: Final = 60.0
CALLERS_COUNT: Final = 1024
"""Callers and rules that are told apart within a minute."""
ANONYMOUS: Final = "anonymous"
OTHERS: Final = "others"
"""Whom rows name that stand for all callers beyond that."""

_Key = tuple[str, str, str | None]


class _Entry:
    """What one caller was refused by one rule since a moment, and is not told yet."""

    def __init__(self, began: Instant) -> None:
        self.began = began
        self.row: AuditRow | None = None

    def is_over(self, now: Instant) -> bool:
        # A wall clock that was set back must not keep a minute open for hours.
        return not self.began <= now < after(self.began, WINDOW_S)

    def add(self, row: AuditRow) -> None:
        # Of many alike: when the first was, what the last wanted.
        known = self.row
        self.row = row if known is None else msgspec.structs.replace(row, at=known.at, count=known.count + row.count)

    def take(self) -> list[AuditRow]:
        rows = [] if self.row is None else [self.row]
        self.row = None
        return rows


class Folding:
    """Refusals of the current minute of each caller and rule.

    Attributes:
      noted_count, folded_count: refusals so far, and those of them that stand in the row of another.
    """

    def __init__(self, callers_count: int = CALLERS_COUNT) -> None:
        self._callers_count = callers_count
        self._entries: dict[_Key, _Entry] = {}
        self.noted_count = self.folded_count = 0

    def admit(self, row: AuditRow) -> list[AuditRow]:
        """What is to be written now, in this order; otherwise the row is kept and counted."""
        self.noted_count += row.count
        # The id of an anonymous caller was drawn for one request: by it, no two of its refusals would be alike.
        caller = ANONYMOUS if row.agent_id.startswith(f"{ANONYMOUS}:req-") else row.agent_id
        key = (caller, row.action, row.rule)
        entry = self._entries.get(key)
        if entry is not None and entry.is_over(row.at):
            return [*self._entries.pop(key).take(), *self._begin(key, row)]
        if entry is None and len(self._entries) < self._callers_count:
            return self._begin(key, row)
        if entry is None:
            row = msgspec.structs.replace(
                row, agent_id=OTHERS, credential=OTHERS, action=OTHERS, namespace=None, target=None, rule=None,
                detail=None,
            )
            entry = self._entries.setdefault((OTHERS, OTHERS, None), _Entry(row.at))
        entry.add(row)
        self.folded_count += row.count
        return []

    def _begin(self, key: _Key, row: AuditRow) -> list[AuditRow]:
        self._entries[key] = _Entry(row.at)
        return [row]

    def take_over(self, now: Instant) -> list[AuditRow]:
        """What was counted in minutes that are over, which are forgotten."""
        over = [key for key, entry in self._entries.items() if entry.is_over(now)]
        return [row for key in over for row in self._entries.pop(key).take()]

    def take_all(self) -> list[AuditRow]:
        """All that was counted and not told yet; the minutes go on."""
        return [row for entry in self._entries.values() for row in entry.take()]

    def wait_s(self, now: Instant) -> float | None:
        """Seconds until the next minute is over; None if there is none."""
        ends = [after(entry.began, WINDOW_S) for entry in self._entries.values()]
        return max(0.0, (min(ends) - now) / 1_000_000) if ends else None
