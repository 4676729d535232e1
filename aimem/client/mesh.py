"""The mesh."""

from __future__ import annotations

from aimem.client.calls import Caller, decoded, segment
from aimem.wire import CatchUpRequest, MeshDocument, MeshQuery, WriteOutcome, copies, reloading, trusting


class MeshCalls(Caller):
    """The mesh."""

    async def mesh(self, query: MeshQuery | None = None, *, agent_id: str | None = None) -> MeshDocument:
        """The mesh as the node sees it."""
        return await self.read("/mesh", MeshDocument, query=query or MeshQuery(), agent_id=agent_id)

    async def catch_up(self, request: CatchUpRequest, *, agent_id: str | None = None) -> MeshDocument:
        """Have the node exchange with its peers now, until it has all that they have."""
        return decoded(await self.send("POST", "/mesh", body=request, agent_id=agent_id), MeshDocument)

    async def verify_mesh(self, request: copies.VerifyRequest, *, agent_id: str | None = None) -> copies.VerifyAnswer:
        """Have the node compare its objects with a peer's for a moment."""
        return decoded(await self.send("POST", "/mesh/verify", body=request, agent_id=agent_id), copies.VerifyAnswer)

    async def trust_node(
        self, request: trusting.TrustRequest, *, agent_id: str | None = None
    ) -> trusting.TrustAnswer:
        """Have the node believe a key under a name."""
        return decoded(await self.send("POST", "/mesh/trust", body=request, agent_id=agent_id), trusting.TrustAnswer)

    async def reload(self, *, agent_id: str | None = None) -> reloading.ReloadAnswer:
        """Have the node read its configuration anew."""
        return decoded(await self.send("POST", "/mesh/reload", agent_id=agent_id), reloading.ReloadAnswer)

    async def look_at(
        self, request: reloading.LookRequest, *, agent_id: str | None = None
    ) -> reloading.LookedAt:
        """Have the node look who answers at an address."""
        return decoded(await self.send("POST", "/mesh/look", body=request, agent_id=agent_id), reloading.LookedAt)

    async def rejoin(
        self, request: reloading.RejoinRequest, *, agent_id: str | None = None
    ) -> reloading.RejoinAnswer:
        """Have the node join its mesh anew, or wait a while for that."""
        sent = await self.send("POST", "/mesh/rejoin", body=request, agent_id=agent_id)
        return decoded(sent, reloading.RejoinAnswer)

    async def write_outcome(self, version: str, *, agent_id: str | None = None) -> WriteOutcome:
        """What became of a write."""
        return await self.read(f"/writes/{segment(version)}", WriteOutcome, agent_id=agent_id)
