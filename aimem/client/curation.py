"""Forgetting, consolidating, curating: what changes many memories at once."""

from __future__ import annotations

from aimem.client.calls import Caller
from aimem.wire import (
    AutoConsolidated,
    AutoConsolidateRequest,
    Consolidated,
    ConsolidateRequest,
    ForgetRequest,
    Forgotten,
)


class CurationCalls(Caller):
    """Forgetting, consolidating, curating."""

    async def forget(self, request: ForgetRequest, *, agent_id: str | None = None, key: str | None = None) -> Forgotten:
        """Archive what filters name, name it only (`dry_run`), or bring what was forgotten back (`undo`)."""
        return await self.write("POST", "/forget", Forgotten, body=request, agent_id=agent_id, key=key)

    async def consolidate(
        self, request: ConsolidateRequest, *, agent_id: str | None = None, key: str | None = None
    ) -> Consolidated:
        """Put one memory in place of several."""
        return await self.write("POST", "/consolidate", Consolidated, body=request, agent_id=agent_id, key=key)

    async def auto_consolidate(
        self, request: AutoConsolidateRequest, *, agent_id: str | None = None, key: str | None = None
    ) -> AutoConsolidated:
        """Consolidate what shares a tag, namespace by namespace."""
        return await self.write("POST", "/auto_consolidate", AutoConsolidated, body=request, agent_id=agent_id, key=key)
