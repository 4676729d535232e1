"""The meaning arm of recall: the rows nearest to a question, of those that the caller asked for and may see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from aimem.model import Instant
from aimem.service.node import Node
from aimem.store import Clause, Filters, memories

SELECTIVE_MAX: Final = 20_000
"""So many rows at most are named to the index, which scans exactly these: a small namespace gets its exact best."""

WIDEN_BY: Final = 4
WIDEST: Final = 6_400
"""A filter that leaves one row of fifty has its hundred best among these."""


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

    What many rows fit is asked for in plenty and then filtered, for to name them all would take longer than the search.
    Hidden rows take no place from others either way.
    """
    if not scope.is_open:
        few = await node.store.read(
            memories.numbers_matching, scope.filters, scope.visible, scope.now, SELECTIVE_MAX + 1
        )
        if len(few) <= SELECTIVE_MAX:
            return dict(await node.recaller.nearest(vector, width, few))
    wide = width if scope.is_open else WIDEN_BY * width
    while wide <= max(WIDEST, width):
        near = await node.recaller.nearest(vector, wide)
        counts = await _that_count(node, [no for no, _ in near], scope)
        found = [row for row in near if row[0] in counts]
        if len(found) >= width or len(near) < wide:
            return dict(found[:width])
        wide *= WIDEN_BY
    every = await node.store.read(memories.numbers_matching, scope.filters, scope.visible, scope.now, None)
    return dict(await node.recaller.nearest(vector, width, every))


async def _that_count(node: Node, numbers: Sequence[int], scope: Scope) -> frozenset[int]:
    return await node.store.read(memories.numbers_among, numbers, scope.filters, scope.visible, scope.now)
