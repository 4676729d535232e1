"""Making one memory of several.

Each handler calls one service function and decides nothing.
"""

from __future__ import annotations

from typing import Final

from aimem import service
from aimem.api.route import Call, Effect, Route
from aimem.errors import Code
from aimem.wire import AutoConsolidated, AutoConsolidateRequest, Consolidated, ConsolidateRequest


async def consolidate(call: Call[None, ConsolidateRequest]) -> Consolidated:
    """Put one memory in place of several."""
    return await service.consolidate(call.node, call.who, call.body, call.once)


async def auto_consolidate(call: Call[None, AutoConsolidateRequest | None]) -> AutoConsolidated:
    """Consolidate what shares a tag."""
    return await service.auto_consolidate(call.node, call.who, call.body or AutoConsolidateRequest())


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="POST", path="/api/v1/consolidate", name="consolidate", handler=consolidate, body=ConsolidateRequest,
        answer=Consolidated, status=201, summary="Store one memory in place of 2 to 100 others, which are archived.",
        effect=Effect.WRITE_ONCE, errors=(
            Code.NOT_FOUND, Code.RESERVED_NAMESPACE, Code.NAME_TAKEN, Code.ID_TAKEN, Code.IS_STANDARD,
            Code.NEEDS_LLM, Code.LLM_ANSWER_UNUSABLE,
        ),
    ),
    Route(
        method="POST", path="/api/v1/auto_consolidate", name="auto_consolidate", handler=auto_consolidate,
        body=AutoConsolidateRequest, body_required=False, answer=AutoConsolidated, effect=Effect.WRITE,
        summary="Consolidate the memories of each namespace that share a tag.", errors=(Code.RESERVED_NAMESPACE,),
    ),
)
