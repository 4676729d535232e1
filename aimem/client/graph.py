"""The knowledge graph."""

from __future__ import annotations

from aimem.client.calls import Caller
from aimem.wire import GraphQuery, GraphResult, Invalidated, InvalidateRequest, Timeline, TimelineQuery


class GraphCalls(Caller):
    """The knowledge graph."""

    async def kg_timeline(self, query: TimelineQuery, *, agent_id: str | None = None) -> Timeline:
        """Links from a memory, by the time at which they began to hold."""
        return await self.read("/kg/timeline", Timeline, query=query, agent_id=agent_id)

    async def kg_invalidate(
        self, request: InvalidateRequest, *, agent_id: str | None = None, key: str | None = None
    ) -> Invalidated:
        """Say when a link ceased to hold. NotFound's details hold `found: false` and the triple."""
        return await self.write("POST", "/kg/invalidate", Invalidated, body=request, agent_id=agent_id, key=key)

    async def kg_query(
        self, request: GraphQuery, *, agent_id: str | None = None, key: str | None = None
    ) -> GraphResult:
        """Memories that links lead to from one."""
        return await self.write("POST", "/kg/query", GraphResult, body=request, agent_id=agent_id, key=key)
