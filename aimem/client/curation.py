"""Forgetting, consolidating, curating: what changes many memories at once."""

from __future__ import annotations

from aimem.client.calls import Caller
from aimem.wire import (
    AutoConsolidated,
    AutoConsolidateRequest,
    Consolidated,
    ConsolidateRequest,
    CurateRequest,
    CurationReport,
    ForgetRequest,
    Forgotten,
    ReportsPage,
    ReportsQuery,
    RollbackRequest,
    RolledBack,
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

    async def curate(
        self, request: CurateRequest | None = None, *, agent_id: str | None = None, key: str | None = None
    ) -> CurationReport:
        """Run one cycle of the curator; `more` of its report asks for another."""
        return await self.write(
            "POST", "/curator", CurationReport, body=request or CurateRequest(), agent_id=agent_id, key=key)

    async def curation_reports(
        self, query: ReportsQuery | None = None, *, agent_id: str | None = None
    ) -> ReportsPage:
        """Reports of cycles, the latest first."""
        return await self.read("/curator/reports", ReportsPage, query=query or ReportsQuery(), agent_id=agent_id)

    async def roll_back(
        self, request: RollbackRequest, *, agent_id: str | None = None, key: str | None = None
    ) -> RolledBack:
        """Take back what the curator did: one act, or the last ones."""
        return await self.write("POST", "/curator/rollback", RolledBack, body=request, agent_id=agent_id, key=key)
