"""The meaning arm of recall: the rows nearest to a question, of those that the caller asked for and may see."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from aimem.model import Instant
from aimem.service.node import Node
from aimem.store import Clause, Filters, memories

SMALL_MAX: Final = 20_000
"""Namespaces of so many rows together get their exact best: the index scans just these rows."""

WIDEN_BY: Final = 4
WIDEST: Final = 1_600
"""A filter that leaves one row of ten has its hundred best among these; of one that leaves less, the rows are named."""


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

    Rows of small namespaces are named to the index. Otherwise it is asked for plenty, of which those that count are
    kept: the nearest among them are the nearest of all that count, and to name these would take longer than the search.
    Only where too few are left they are named after all.
    """
    if not await _is_small(node, scope):
        found = await _nearest_of_plenty(node, vector, width, scope)
        if found is not None:
            return found
    named = await node.store.read(memories.numbers_matching, scope.filters, scope.visible, scope.now)
    return dict(await node.recaller.nearest(vector, width, named))


async def _is_small(node: Node, scope: Scope) -> bool:
    namespaces = scope.filters.namespaces
    if namespaces is None:
        return False
    return not await node.store.read(memories.have_more_than, namespaces, SMALL_MAX)


async def _nearest_of_plenty(node: Node, vector: bytes, width: int, scope: Scope) -> dict[int, float] | None:
    """Ask for more and more, until enough of it counts; None if so much would be needed that naming is better."""
    wide = width if scope.is_open else WIDEN_BY * width
    while wide <= max(WIDEST, width):
        near = await node.recaller.nearest(vector, wide)
        counts = await node.store.read(
            memories.numbers_among, [no for no, _ in near], scope.filters, scope.visible, scope.now
        )
        found = [row for row in near if row[0] in counts]
        if len(found) >= width or len(near) < wide:
            return dict(found[:width])
        wide *= WIDEN_BY
    return None
