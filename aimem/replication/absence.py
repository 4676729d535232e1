"""How long a peer has not answered, and when a person is told of it. Pure."""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from aimem.replication.counts import failure_kind

TOLD_AFTER_S: Final = 10.0
"""A node that is started anew, or a whole mesh that starts, is back before: of that nobody is told."""
ALARM_AFTER_S: Final = 3600.0
"""What takes longer than a repair that somebody is at is an alarm: somebody may have forgotten it."""
_TOLD_AT_ONCE: Final = frozenset({"forged", "nonsense", "untrusted", "other_cluster", "protocol"})
"""Somebody answers there, and is not the peer that is wanted: time does not mend that."""


class Absence(Struct, frozen=True, kw_only=True):
    """What is known of a peer that does not answer as one.

    Attributes:
      since: when the first exchange that failed began, by Trio's clock; None while the last one did not fail.
      told: the kind of failure that was told of, empty while none was.
    """

    since: float | None = None
    told: str = ""


def failed(absence: Absence, reason: str, began: float, now: float) -> tuple[Absence, bool]:
    """An exchange that began then failed. Returns: the absence from now on, and whether a person is to be told."""
    since, kind = began if absence.since is None else absence.since, failure_kind(reason)
    is_new = not absence.told or (kind in _TOLD_AT_ONCE and absence.told not in _TOLD_AT_ONCE)
    is_due = is_new and (kind in _TOLD_AT_ONCE or now - since >= TOLD_AFTER_S)
    return replace(absence, since=since, told=kind if is_due else absence.told), is_due
