"""Contradictions, and settling them."""

from __future__ import annotations

from aimem.client.calls import Caller
from aimem.wire import Contradictions, ContradictionsQuery, Resolved, ResolveRequest


class ContradictionCalls(Caller):
    """Contradictions, and settling them."""

    async def contradictions(self, query: ContradictionsQuery, *, agent_id: str | None = None) -> Contradictions:
        """Memories on one topic that say different things."""
        return await self.read("/contradictions", Contradictions, query=query, agent_id=agent_id)

    async def resolve(
        self, request: ResolveRequest, *, agent_id: str | None = None, key: str | None = None
    ) -> Resolved:
        """Say which of two memories holds."""
        return await self.write("POST", "/resolve", Resolved, body=request, agent_id=agent_id, key=key)
