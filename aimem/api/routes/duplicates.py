"""Duplicates.

Each handler calls one service function and decides nothing.
"""

from __future__ import annotations

from typing import Final

from aimem import service
from aimem.api.route import Call, Route
from aimem.errors import Code
from aimem.wire import DuplicateCheck, DuplicateResult


async def check_duplicate(call: Call[None, DuplicateCheck]) -> DuplicateResult:
    """Whether a text is there already."""
    return await service.check_duplicate(call.node, call.who, call.body)


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="POST", path="/api/v1/check_duplicate", name="check_duplicate", handler=check_duplicate,
        body=DuplicateCheck, answer=DuplicateResult, summary="Whether a text, or one much like it, is there already.",
        errors=(Code.EMBEDDER_UNAVAILABLE,),
    ),
)
