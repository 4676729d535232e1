"""Namespaces as a tree.

Each handler calls one service function and decides nothing.
"""

from __future__ import annotations

from typing import Final

from aimem import service
from aimem.api.route import Call, Route
from aimem.wire import Taxonomy, TaxonomyQuery


async def get_taxonomy(call: Call[TaxonomyQuery, None]) -> Taxonomy:
    """The tree."""
    return await service.get_taxonomy(call.node, call.who, call.query)


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="GET", path="/api/v1/taxonomy", name="get_taxonomy", handler=get_taxonomy, query=TaxonomyQuery,
        answer=Taxonomy, summary="Namespaces as a tree, with their counts.",
    ),
)
