"""What a language model is asked for.

Each handler calls one service function and decides nothing.
"""

from __future__ import annotations

from typing import Final

from aimem import service
from aimem.api.route import Call, Effect, Route
from aimem.errors import Code
from aimem.wire import AutoTagged, ContradictionOut, ContradictionRequest, ExpandedQuery, ExpandRequest


async def expand_query(call: Call[None, ExpandRequest]) -> ExpandedQuery:
    """Other words for a question."""
    return await service.expand(call.node, call.who, call.body)


async def auto_tag(call: Call[None, None]) -> AutoTagged:
    """Tag one memory."""
    return await service.auto_tag(call.node, call.who, call.path["memory_id"], call.once)


async def detect_contradiction(call: Call[None, ContradictionRequest]) -> ContradictionOut:
    """Compare two memories."""
    return await service.detect_contradiction(call.node, call.who, call.body)


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="POST", path="/api/v1/expand_query", name="expand_query", handler=expand_query, body=ExpandRequest,
        answer=ExpandedQuery, summary="Other words for a question, from the language model.",
        errors=(Code.NEEDS_LLM, Code.LLM_ANSWER_UNUSABLE),
    ),
    Route(
        method="POST", path="/api/v1/memories/{memory_id}/auto_tag", name="auto_tag", handler=auto_tag,
        answer=AutoTagged, summary="Have the language model tag a memory.", effect=Effect.WRITE_ONCE,
        errors=(Code.NOT_FOUND, Code.RESERVED_NAMESPACE, Code.NEEDS_LLM, Code.LLM_ANSWER_UNUSABLE),
    ),
    Route(
        method="POST", path="/api/v1/detect_contradiction", name="detect_contradiction", handler=detect_contradiction,
        body=ContradictionRequest, answer=ContradictionOut,
        summary="Whether two memories contradict each other; the answer says who judged.",
        errors=(Code.NOT_FOUND,),
    ),
)
