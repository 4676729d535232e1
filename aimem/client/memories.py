"""Memories: one at a time, found, and linked."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Raw

from aimem.client.calls import Caller, segment
from aimem.errors import InvalidRequest
from aimem.wire import (
    BulkAnswer,
    BulkMemories,
    CreateMemory,
    Deleted,
    DeletedMemory,
    Linked,
    LinkRequest,
    LinksOut,
    ListQuery,
    MemoryPage,
    MemoryWithLinks,
    Promoted,
    PromoteRequest,
    RecallQuery,
    RecallRequest,
    RecallResult,
    SearchQuery,
    SearchResult,
    Stored,
    UpdatedMemory,
    UpdateMemory,
    encode,
)


class MemoryCalls(Caller):
    """Memories: one at a time, found, and linked."""

    async def remember(self, request: CreateMemory, *, agent_id: str | None = None, key: str | None = None) -> Stored:
        """Store a memory, or update the visible one of that name."""
        return await self.write("POST", "/memories", Stored, body=request, agent_id=agent_id, key=key)

    async def remember_many(
        self, requests: Sequence[CreateMemory], *, agent_id: str | None = None, key: str | None = None
    ) -> BulkAnswer:
        """Store up to 1,000 memories in one transaction; `results` of the answer says what became of each."""
        body = BulkMemories(memories=[Raw(_encoded(request)) for request in requests])
        return await self.write("POST", "/memories/bulk", BulkAnswer, body=body, agent_id=agent_id, key=key)

    async def list_memories(self, query: ListQuery | None = None, *, agent_id: str | None = None) -> MemoryPage:
        """A page of live memories, by priority, then the latest change."""
        return await self.read("/memories", MemoryPage, query=query or ListQuery(), agent_id=agent_id)

    async def get(self, memory_id: str, *, agent_id: str | None = None) -> MemoryWithLinks:
        """One memory, by its id or a unique prefix of at least 4 characters."""
        return await self.read(f"/memories/{segment(memory_id)}", MemoryWithLinks, agent_id=agent_id)

    async def update(
        self, memory_id: str, request: UpdateMemory, *, agent_id: str | None = None, key: str | None = None
    ) -> UpdatedMemory:
        """Change what the request names; the id may be a unique prefix."""
        path = f"/memories/{segment(memory_id)}"
        return await self.write("PUT", path, UpdatedMemory, body=request, agent_id=agent_id, key=key)

    async def delete(self, memory_id: str, *, agent_id: str | None = None, key: str | None = None) -> DeletedMemory:
        """Delete a memory for ever."""
        return await self.write("DELETE", f"/memories/{segment(memory_id)}", DeletedMemory, agent_id=agent_id, key=key)

    async def promote(
        self, memory_id: str, to_namespace: str | None = None, *, agent_id: str | None = None, key: str | None = None
    ) -> Promoted:
        """Make a memory long-lived, or clone it into an ancestor namespace."""
        body = None if to_namespace is None else PromoteRequest(to_namespace=to_namespace)
        path = f"/memories/{segment(memory_id)}/promote"
        return await self.write("POST", path, Promoted, body=body, agent_id=agent_id, key=key)

    async def search(self, query: SearchQuery, *, agent_id: str | None = None) -> SearchResult:
        """Memories that hold all the words."""
        return await self.read("/search", SearchResult, query=query, agent_id=agent_id)

    async def recall(
        self, request: RecallRequest, *, agent_id: str | None = None, key: str | None = None
    ) -> RecallResult:
        """Memories by meaning and words, best first; touches them unless `touch` is false."""
        return await self.write("POST", "/recall", RecallResult, body=request, agent_id=agent_id, key=key)

    async def recall_by_query(self, query: RecallQuery, *, agent_id: str | None = None) -> RecallResult:
        """The same by GET, which touches nothing unless `touch` is true."""
        return await self.read("/recall", RecallResult, query=query, agent_id=agent_id)

    async def link(self, request: LinkRequest, *, agent_id: str | None = None, key: str | None = None) -> Linked:
        """State a relation of two memories."""
        return await self.write("POST", "/links", Linked, body=request, agent_id=agent_id, key=key)

    async def unlink(self, request: LinkRequest, *, agent_id: str | None = None, key: str | None = None) -> Deleted:
        """Take back exactly this relation."""
        return await self.write("DELETE", "/links", Deleted, body=request, agent_id=agent_id, key=key)

    async def links_of(self, memory_id: str, *, agent_id: str | None = None) -> LinksOut:
        """Links from and to a memory."""
        return await self.read(f"/links/{segment(memory_id)}", LinksOut, agent_id=agent_id)


def _encoded(request: CreateMemory) -> bytes:
    try:
        return encode(request)
    except UnicodeEncodeError:
        raise InvalidRequest("a text holds bytes that are not UTF-8; send well-formed Unicode") from None
