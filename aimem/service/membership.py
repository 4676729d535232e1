"""Where this node is told who the members are, as whoever runs it says, and how that is read anew."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aimem.wire import reloading


def nowhere() -> reloading.ToldOut:
    """Of a process that was told by its caller."""
    return reloading.ToldOut(peers="nowhere", writes="nowhere", peers_by="", writes_by="", file=None, listed=None)


@dataclass(kw_only=True)
class Membership:
    """What is known of it.

    Attributes:
      told: where the members are named.
      notices: sentences for the operator, as of the last reading.
      restart: settings that were changed since the start, and hold from the next one on.
      reread: reads it anew and uses it, all or nothing; None where nobody does. Raises: InvalidRequest.
    """

    told: reloading.ToldOut = field(default_factory=nowhere)
    notices: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()
    reread: Callable[[], Awaitable[None]] | None = None
