"""The audit of a node."""

from __future__ import annotations

from aimem.client.calls import Caller
from aimem.wire import AuditPage, AuditPruned, AuditPruneQuery, AuditQuery, AuditVerified, AuditVerifyQuery


class AuditCalls(Caller):
    """The audit."""

    async def list_audit(self, query: AuditQuery | None = None, *, agent_id: str | None = None) -> AuditPage:
        """Rows, the latest first."""
        return await self.read("/audit", AuditPage, query=query or AuditQuery(), agent_id=agent_id)

    async def verify_audit(
        self, query: AuditVerifyQuery | None = None, *, agent_id: str | None = None
    ) -> AuditVerified:
        """Check a portion of the audit; with `more` in the answer, its `head` is where the next begins."""
        return await self.read("/audit/verify", AuditVerified, query=query or AuditVerifyQuery(), agent_id=agent_id)

    async def prune_audit(
        self, query: AuditPruneQuery, *, agent_id: str | None = None, key: str | None = None
    ) -> AuditPruned:
        """Delete old rows behind a signed checkpoint."""
        return await self.write("DELETE", "/audit", AuditPruned, query=query, agent_id=agent_id, key=key)
