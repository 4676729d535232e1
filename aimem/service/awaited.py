"""Which texts' vectors this node makes, and which it awaits of the nodes that wrote them.

The truth is in the database: a memory without vectors is owed them. Here is only whose turn it is, so all of it may be
lost at any time, and whatever finds no room is looked at again later.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import Final

import trio
from msgspec import Struct

AWAITED_MAX: Final = 16_384
"""Texts awaited of one peer; what is beyond stays in the database until half of them came (some 3 MB)."""

_NOWHERE: Final = 2**62


class Awaited(Struct, frozen=True):
    """A text that a peer is to send the vectors of: a row that has it, and since when it is awaited (Trio's clock)."""

    no: int
    since: float


class Bell:
    """Wakes one task, also one that comes later; rung twice it wakes once."""

    def __init__(self) -> None:
        self._rung = trio.Event()

    def ring(self) -> None:
        """Have the task look."""
        self._rung.set()

    async def wait(self) -> None:
        """Wait until it was rung."""
        await self._rung.wait()
        self._rung = trio.Event()


class Share:
    """What is awaited of one peer; what was asked for and is not there yet goes behind the others.

    Attributes:
      left_from: the first row that found no room.
      progress_at: when the peer last sent something: as long as it does, it has more to do and will send that too.
    """

    def __init__(self) -> None:
        self.texts: dict[bytes, Awaited] = {}
        self.left_from: int | None = None
        self.progress_at = -math.inf
        self.bell = Bell()

    def expect(self, text_hash: bytes, no: int, now: float) -> None:
        """Await the vectors of a text, if there is room."""
        if text_hash in self.texts:
            return
        if len(self.texts) == AWAITED_MAX:
            self.left_from = no if self.left_from is None else min(no, self.left_from)
            return
        self.texts[text_hash] = Awaited(no, now)
        self.bell.ring()

    def first(self, count: int) -> tuple[bytes, ...]:
        """The texts to ask for next."""
        return tuple(text_hash for text_hash, _ in zip(self.texts, range(count), strict=False))

    def put_back(self, hashes: Iterable[bytes]) -> None:
        """Ask for these after all others."""
        for text_hash in hashes:
            if text_hash in self.texts:
                self.texts[text_hash] = self.texts.pop(text_hash)

    def overdue(self, hashes: Iterable[bytes], now: float, grace_s: float) -> tuple[bytes, ...]:
        """Those of these that were awaited for long enough."""
        return tuple(
            text_hash for text_hash in hashes if (awaited := self.texts.get(text_hash)) is not None
            and max(awaited.since, self.progress_at) + grace_s <= now
        )


class EmbeddingWork:
    """How far the backlog was looked through, and what of it is awaited.

    Attributes:
      bell: rung when the backlog is to be looked through.
      is_told: whether the store knows which model's vectors count.
      is_stuck: the last look ended early; any commit may mean that the next one does not.
    """

    def __init__(self) -> None:
        self.bell = Bell()
        self.is_told = self.is_stuck = False
        self._shares: dict[str, Share] = {}
        self._released: set[bytes] = set()
        self._seen, self._changed_from = 0, _NOWHERE

    def begin(self) -> None:
        """Await nothing and look at everything, as a task does that starts again."""
        self.is_told = False
        self._shares.clear()
        self._released.clear()
        self.look_from(0)

    @property
    def count(self) -> int:
        """Texts that are awaited."""
        return sum(len(share.texts) for share in self._shares.values())

    def share(self, url: str) -> Share:
        """What is awaited of the peer at an address."""
        return self._shares.setdefault(url, Share())

    # Looking through the backlog: page by page, from where something changed.

    def look_from(self, no: int) -> None:
        """Rows from this one on are to be looked at (again)."""
        self._seen, self._changed_from = min(self._seen, no - 1), min(self._changed_from, no - 1)

    def begin_page(self) -> int:
        """Returns: the row behind which to read on."""
        self._changed_from = _NOWHERE
        return self._seen

    def end_page(self, last: int) -> None:
        """Rows up to this one were looked at, but for those that changed since the page began."""
        self._seen = min(last, self._changed_from)

    # What is not awaited any longer.

    def is_released(self, text_hash: bytes) -> bool:
        """Whether this node is to make the vectors although another wrote the text."""
        return text_hash in self._released

    def released(self) -> frozenset[bytes]:
        """All such texts."""
        return frozenset(self._released)

    def forget_released(self, hashes: Collection[bytes]) -> None:
        """These were made, or nobody has the text any more."""
        self._released.difference_update(hashes)

    def settle(self, share: Share, hashes: Iterable[bytes]) -> None:
        """These are there, or owed no more."""
        for text_hash in hashes:
            share.texts.pop(text_hash, None)
        if share.left_from is not None and len(share.texts) <= AWAITED_MAX // 2:
            self.look_from(share.left_from)
            share.left_from = None
            self.bell.ring()

    def release(self, share: Share, hashes: Collection[bytes]) -> None:
        """Have this node make the vectors of these texts."""
        rows = [share.texts[text_hash].no for text_hash in hashes if text_hash in share.texts]
        if not rows:
            return
        self._released.update(hashes)
        self.settle(share, hashes)
        self.look_from(min(rows))
        self.bell.ring()
