"""What a language model is asked for."""

from __future__ import annotations

from aimem.client.calls import Caller, segment
from aimem.wire import AutoTagged, ContradictionOut, ContradictionRequest, ExpandedQuery, ExpandRequest


class ThinkingCalls(Caller):
    """What a language model is asked for."""

    async def expand_query(
        self, request: ExpandRequest, *, agent_id: str | None = None, key: str | None = None
    ) -> ExpandedQuery:
        """Other words for a question."""
        return await self.write("POST", "/expand_query", ExpandedQuery, body=request, agent_id=agent_id, key=key)

    async def auto_tag(self, memory_id: str, *, agent_id: str | None = None, key: str | None = None) -> AutoTagged:
        """Have a memory tagged, by its whole id."""
        path = f"/memories/{segment(memory_id)}/auto_tag"
        return await self.write("POST", path, AutoTagged, agent_id=agent_id, key=key)

    async def detect_contradiction(
        self, request: ContradictionRequest, *, agent_id: str | None = None, key: str | None = None
    ) -> ContradictionOut:
        """Whether two memories contradict each other, and who says so."""
        return await self.write(
            "POST", "/detect_contradiction", ContradictionOut, body=request, agent_id=agent_id, key=key)
