"""Which objects differed from a peer's although both nodes knew the same writes, since when, and whether they still do.

It is kept since the start of the process, for people: what was mended is worth a look at a disk all the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from aimem.model import Instant
from aimem.replication.divergence import Lost

OBJECTS_MAX: Final = 1000
"""Objects that are remembered. Those that are equal again make room; without any, one more is only known to be."""


class Different(Struct, frozen=True):
    """An object in which the two differ."""

    kind: str
    key: str
    lost: Lost


class Difference(Struct, frozen=True, kw_only=True):
    """An object that differed: when that was seen first and last, and at the last comparison with whom.

    Attributes:
      lost: where something was lost, as of the last time, as seen from here.
      urls: peers with which it differed when it was last compared; none once it is equal again.
    """

    kind: str
    key: str
    lost: Lost
    first_at: Instant
    last_at: Instant
    urls: frozenset[str]


class Differences:
    """All of them, by object: one that differs from two peers, or is found again each hour, is one.

    Attributes:
      has_more: whether more differed than are remembered.
    """

    def __init__(self) -> None:
        self.has_more = False
        self._found: dict[tuple[str, str], Difference] = {}

    @property
    def lasting(self) -> tuple[Difference, ...]:
        """Those that differed when they were last compared."""
        return tuple(found for found in self._found.values() if found.urls)

    @property
    def ended(self) -> tuple[Difference, ...]:
        """Those that are equal again."""
        return tuple(found for found in self._found.values() if not found.urls)

    def note(self, url: str, different: Iterable[Different], at: Instant) -> None:
        """These objects differ from a peer's."""
        for one in different:
            name = one.kind, one.key
            known = self._found.get(name)
            if known is None and not self._has_room():
                self.has_more = True
                return
            urls = frozenset({url}) if known is None else known.urls | {url}
            first_at = at if known is None else known.first_at
            self._found[name] = Difference(
                kind=one.kind, key=one.key, lost=one.lost, first_at=first_at, last_at=at, urls=urls
            )

    def _has_room(self) -> bool:
        if len(self._found) >= OBJECTS_MAX and self.ended:
            oldest = min(self.ended, key=lambda found: found.last_at)
            del self._found[oldest.kind, oldest.key]
        return len(self._found) < OBJECTS_MAX

    def settle(self, url: str, equal: AbstractSet[tuple[str, str]]) -> None:
        """These objects, by kind and key, are the same as a peer's."""
        for name in self._found.keys() & equal:
            self._leave(name, url)

    def forget(self, url: str) -> None:
        """It is no peer any more: nothing is compared with it."""
        for name in list(self._found):
            self._leave(name, url)

    def _leave(self, name: tuple[str, str], url: str) -> None:
        self._found[name] = replace(self._found[name], urls=self._found[name].urls - {url})
