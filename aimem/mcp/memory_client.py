"""The way to the node, as far as the tools use it."""

from __future__ import annotations

from typing import Protocol

from aimem.wire import (
    ArchivedPage,
    ArchiveStats,
    Capabilities,
    CreateMemory,
    Deleted,
    GcQuery,
    GcResult,
    GetArchivedQuery,
    Linked,
    LinkRequest,
    LinksOut,
    ListQuery,
    MemoryPage,
    MemoryWithLinks,
    Promoted,
    RecallRequest,
    RecallResult,
    Restored,
    RestoreQuery,
    SearchQuery,
    SearchResult,
    Stats,
    Stored,
    UpdatedMemory,
    UpdateMemory,
)


class MemoryClient(Protocol):
    """What this room needs of a node; `aimem.client.Client` has it, and so have the fakes of the tests.

    `agent_id` is the caller's identity. Each mutation goes out under an Idempotency-Key of its own, so that its
    repetition by the transport is safe. Every method raises what the node answers as AimemError.
    """

    async def remember(self, request: CreateMemory, /, *, agent_id: str | None = None) -> Stored:
        """Store a memory, or update the one of that name."""
        ...

    async def recall(self, request: RecallRequest, /, *, agent_id: str | None = None) -> RecallResult:
        """Find by meaning."""
        ...

    async def search(self, query: SearchQuery, /, *, agent_id: str | None = None) -> SearchResult:
        """Find by words."""
        ...

    async def list_memories(self, query: ListQuery, /, *, agent_id: str | None = None) -> MemoryPage:
        """One page of the list."""
        ...

    async def get(self, memory_id: str, /, *, agent_id: str | None = None) -> MemoryWithLinks:
        """One memory."""
        ...

    async def update(self, memory_id: str, request: UpdateMemory, /, *, agent_id: str | None = None) -> UpdatedMemory:
        """Change what the request gives; answers the memory as it is then."""
        ...

    async def delete(self, memory_id: str, /, *, agent_id: str | None = None) -> Deleted:
        """Remove for ever."""
        ...

    async def promote(self, memory_id: str, to_namespace: str | None, /, *, agent_id: str | None = None) -> Promoted:
        """Make long-lived, or copy into an ancestor namespace."""
        ...

    async def link(self, request: LinkRequest, /, *, agent_id: str | None = None) -> Linked:
        """State a relation."""
        ...

    async def links_of(self, memory_id: str, /, *, agent_id: str | None = None) -> LinksOut:
        """The links of a memory."""
        ...

    async def stats(self, *, agent_id: str | None = None) -> Stats:
        """Counts."""
        ...

    async def collect(self, query: GcQuery, /, *, agent_id: str | None = None) -> GcResult:
        """Collect what is expired, or count it."""
        ...

    async def list_archive(self, query: GetArchivedQuery, /, *, agent_id: str | None = None) -> ArchivedPage:
        """One page of the archive."""
        ...

    async def restore(self, memory_id: str, query: RestoreQuery, /, *, agent_id: str | None = None) -> Restored:
        """Bring an archived memory back."""
        ...

    async def archive_stats(self, *, agent_id: str | None = None) -> ArchiveStats:
        """Counts of the archive."""
        ...

    async def capabilities(self, *, agent_id: str | None = None) -> Capabilities:
        """What the node can do now."""
        ...
