"""Search and recall.

Each handler calls one service function and decides nothing.
"""

from __future__ import annotations

from typing import Final

import msgspec

from aimem import service
from aimem.api.route import Call, Route
from aimem.wire import RecallQuery, RecallRequest, RecallResult, SearchQuery, SearchResult


async def search(call: Call[SearchQuery, None]) -> SearchResult:
    """Search by words."""
    return await service.search(call.node, call.who, call.query)


async def recall_safely(call: Call[RecallQuery, None]) -> RecallResult:
    """Recall by GET, which touches nothing unless told to."""
    request = msgspec.convert(call.query, RecallRequest, from_attributes=True)
    return await service.recall(call.node, call.who, request)


async def recall(call: Call[None, RecallRequest]) -> RecallResult:
    """Recall by POST."""
    return await service.recall(call.node, call.who, call.body)


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="GET", path="/api/v1/search", name="search", handler=search, query=SearchQuery,
        answer=SearchResult, summary="Memories in which all words occur.",
    ),
    Route(
        method="GET", path="/api/v1/recall", name="recall_safely", handler=recall_safely, query=RecallQuery,
        answer=RecallResult, summary="Memories by meaning and words; touches nothing unless touch=true.",
    ),
    Route(
        method="POST", path="/api/v1/recall", name="recall", handler=recall, body=RecallRequest,
        answer=RecallResult,
        summary="Memories by meaning and words; what is returned counts as accessed unless touch is false.",
    ),
)
