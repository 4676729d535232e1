"""The audit: its rows, whether it is whole, and cutting it.

Each handler calls one service function and decides nothing.
"""

from __future__ import annotations

from typing import Final

from aimem import service
from aimem.api.route import Call, Effect, Route
from aimem.errors import Code
from aimem.wire import AuditPage, AuditPruned, AuditPruneQuery, AuditQuery, AuditVerified, AuditVerifyQuery


async def list_audit(call: Call[AuditQuery, None]) -> AuditPage:
    """List rows."""
    return await service.list_audit(call.node, call.who, call.query)


async def verify_audit(call: Call[AuditVerifyQuery, None]) -> AuditVerified:
    """Check the chain."""
    return await service.verify_audit(call.node, call.who, call.query)


async def prune_audit(call: Call[AuditPruneQuery, None]) -> AuditPruned:
    """Cut it."""
    return await service.prune_audit(call.node, call.who, call.query)


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="GET", path="/api/v1/audit", name="list_audit", handler=list_audit, query=AuditQuery, answer=AuditPage,
        summary="Who did what on this node and what was refused, the latest first; an agent sees its own rows.",
    ),
    Route(
        method="GET", path="/api/v1/audit/verify", name="verify_audit", handler=verify_audit, query=AuditVerifyQuery,
        answer=AuditVerified, summary="Check that the audit is whole.", errors=(Code.OPERATOR_REQUIRED,),
    ),
    Route(
        method="DELETE", path="/api/v1/audit", name="prune_audit", handler=prune_audit, query=AuditPruneQuery,
        answer=AuditPruned, summary="Delete old rows of the audit behind a signed checkpoint.", effect=Effect.WRITE,
        errors=(Code.OPERATOR_REQUIRED, Code.AUDIT_DAMAGED),
    ),
)
