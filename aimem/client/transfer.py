"""Export and import."""

from __future__ import annotations

from collections.abc import AsyncIterator

from msgspec import UNSET

from aimem.client.calls import Caller
from aimem.wire import ExportDocument, ExportQuery, ImportRequest, ImportResult

PAGE_ROWS = 1_000


class TransferCalls(Caller):
    """Export and import."""

    async def export(self, query: ExportQuery | None = None, *, agent_id: str | None = None) -> ExportDocument:
        """All that the caller may see, or with a query a page of it."""
        return await self.read("/export", ExportDocument, query=query or ExportQuery(), agent_id=agent_id)

    async def export_pages(self, *, agent_id: str | None = None) -> AsyncIterator[ExportDocument]:
        """The same page by page, in bounded memory; `wire.add_digests` makes the whole's digest of theirs."""
        cursor: str | None = None
        while True:
            page = await self.export(ExportQuery(limit=PAGE_ROWS, cursor=cursor), agent_id=agent_id)
            yield page
            if page.next_cursor is UNSET:
                return
            cursor = page.next_cursor

    async def import_memories(
        self, request: ImportRequest, *, agent_id: str | None = None, key: str | None = None
    ) -> ImportResult:
        """Take in rows of an export; `refused` of the answer names those that were not taken."""
        return await self.write("POST", "/import", ImportResult, body=request, agent_id=agent_id, key=key)
