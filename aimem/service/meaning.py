"""The meaning arm of recall: the rows nearest to a question, of those that the caller asked for and may see."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from aimem.model import Instant
from aimem.service.node import Node
from aimem.store import Clause, Filters, memories, narrowing

SMALL_MAX: Final = narrowing.NARROW_MAX_COUNT
"""Conditions that leave so many rows get their exact best: the index scans just these rows."""

WIDEN_BY: Final = 4
SPARE: Final = 1.5
WIDEST: Final = 6_400
"""Conditions that leave one row of 64 have their hundred best among these; of those that leave less, what is there has
to do. To try so many takes 50 ms where their memories have to be looked at; all of a million would take seconds."""


class Scope(Struct, frozen=True):
    """Which rows count: the reader's conditions, what the caller may see, and when."""

    filters: Filters
    visible: Clause
    now: Instant

    @property
    def is_open(self) -> bool:
        """Whether every live row counts."""
        return not self.filters.is_narrow and self.visible.sql == "1"


async def nearest_in_scope(node: Node, vector: bytes, width: int, scope: Scope) -> dict[int, float]:
    """The `width` nearest rows that count, or all of them if they are fewer: cosine by row.

    Rows of a small namespace, a rare tag, a short time are named to the index. Otherwise it is asked for plenty, of
    which those that count are kept: the nearest among them are the nearest of all that count. Where it is one row of
    many that counts, and no index says which, there may be too few among the nearest 6,400.
    """
    if scope.filters.is_narrow:
        named = await node.store.read(narrowing.named, scope.filters, scope.visible, scope.now, SMALL_MAX)
        if named is not None:
            return dict(await node.recaller.nearest(vector, width, named)) if named else {}
    return await _nearest_of_plenty(node, vector, width, scope)


async def _nearest_of_plenty(node: Node, vector: bytes, width: int, scope: Scope) -> dict[int, float]:
    """Ask for more and more, until enough of it counts, or it is all that may be asked for."""
    wide = width
    if not scope.is_open:   # most callers see most of what there is; what they ask for by themselves is a part of it
        wide = WIDEN_BY * width if scope.filters.is_narrow else int(SPARE * width)
    while True:
        near = await node.recaller.nearest(vector, wide)
        counts = await node.store.read(
            memories.numbers_among, [no for no, _ in near], scope.filters, scope.visible, scope.now
        )
        found = [row for row in near if row[0] in counts]
        if len(found) >= width or len(near) < wide or wide >= WIDEST:
            return dict(found[:width])
        # As much as the share that counted calls for; of rows that are alike, more or none may count than of others.
        wide = min(WIDEST, max(WIDEN_BY * wide, int(SPARE * wide * width / max(1, len(found)))))
