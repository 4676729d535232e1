"""The archive, and the node as a whole."""

from __future__ import annotations

import httpx
import msgspec

from aimem.client.calls import Caller, decoded, segment, succeeded
from aimem.wire import (
    ArchivedPage,
    ArchiveRequest,
    ArchiveResult,
    ArchiveStats,
    Capabilities,
    GcQuery,
    GcResult,
    GetArchivedQuery,
    Health,
    IndexQuery,
    IndexStatus,
    Purged,
    PurgeQuery,
    ReindexRequest,
    Restored,
    RestoreQuery,
    Stats,
)


class UpkeepCalls(Caller):
    """The archive, and the node as a whole."""

    async def list_archive(self, query: GetArchivedQuery | None = None, *, agent_id: str | None = None) -> ArchivedPage:
        """A page of archived memories, newest first."""
        return await self.read("/archive", ArchivedPage, query=query or GetArchivedQuery(), agent_id=agent_id)

    async def archive(
        self, request: ArchiveRequest, *, agent_id: str | None = None, key: str | None = None
    ) -> ArchiveResult:
        """Take memories out of sight, with all that they have."""
        return await self.write("POST", "/archive", ArchiveResult, body=request, agent_id=agent_id, key=key)

    async def purge_archive(self, query: PurgeQuery, *, agent_id: str | None = None, key: str | None = None) -> Purged:
        """Delete archived memories for ever."""
        return await self.write("DELETE", "/archive", Purged, query=query, agent_id=agent_id, key=key)

    async def restore(
        self, memory_id: str, query: RestoreQuery | None = None, *, agent_id: str | None = None, key: str | None = None
    ) -> Restored:
        """Bring an archived memory back."""
        path = f"/archive/{segment(memory_id)}/restore"
        return await self.write("POST", path, Restored, query=query or RestoreQuery(), agent_id=agent_id, key=key)

    async def archive_stats(self, *, agent_id: str | None = None) -> ArchiveStats:
        """Counts of the archive."""
        return await self.read("/archive/stats", ArchiveStats, agent_id=agent_id)

    async def stats(self, *, agent_id: str | None = None) -> Stats:
        """Counts of the node."""
        return await self.read("/stats", Stats, agent_id=agent_id)

    async def collect(
        self, query: GcQuery | None = None, *, agent_id: str | None = None, key: str | None = None
    ) -> GcResult:
        """Collect expired memories, or count them."""
        return await self.write("POST", "/gc", GcResult, query=query or GcQuery(), agent_id=agent_id, key=key)

    async def health(self, *, agent_id: str | None = None) -> Health:
        """Whether the node is well. An unwell node answers too (status 503, `status` is `error`)."""
        answer = await self.send("GET", "/health", agent_id=agent_id)
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            try:
                return msgspec.json.decode(answer.content, type=Health)
            except msgspec.DecodeError:
                pass  # not its health: an error envelope, which is raised as such below
        return decoded(answer, Health)

    async def capabilities(self, *, agent_id: str | None = None) -> Capabilities:
        """What the node can do now."""
        return await self.read("/capabilities", Capabilities, agent_id=agent_id)

    async def index_status(self, *, wait_below: int | None = None, agent_id: str | None = None) -> IndexStatus:
        """The vector index.

        With `wait_below` the node answers when at most so many memories wait to be embedded or to come into the index,
        or after ten seconds.
        """
        return await self.read("/index", IndexStatus, query=IndexQuery(wait_below=wait_below), agent_id=agent_id)

    async def reindex(
        self, request: ReindexRequest, *, agent_id: str | None = None, key: str | None = None
    ) -> IndexStatus:
        """Have the index made anew; the answer is how far it is, `index_status` waits for it."""
        return await self.write("POST", "/index", IndexStatus, body=request, agent_id=agent_id, key=key)

    async def metrics(self, *, agent_id: str | None = None) -> str:
        """The node's metrics, as Prometheus reads them."""
        return succeeded(await self.send("GET", "/metrics", agent_id=agent_id)).text

    async def openapi(self, *, agent_id: str | None = None) -> bytes:
        """The OpenAPI document, as JSON text."""
        return succeeded(await self.send("GET", "/openapi.json", agent_id=agent_id)).content
