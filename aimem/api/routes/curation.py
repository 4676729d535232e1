"""The curator: one cycle now, the reports of earlier ones, and taking acts back.

Each handler calls the service and decides nothing, but that a cycle ends before the request's deadline would.
"""

from __future__ import annotations

from typing import Final

import trio

from aimem import service
from aimem.api.route import Call, Effect, Route
from aimem.errors import Code
from aimem.wire import CurateRequest, CurationReport, ReportsPage, ReportsQuery, RollbackRequest, RolledBack


async def curate(call: Call[None, CurateRequest | None]) -> CurationReport:
    """Run a cycle for at most half of the request's time; what is left is told, and done by the next."""
    cycle = await service.begin_cycle(call.node, call.who, call.body or CurateRequest())
    with trio.move_on_after(call.surface.settings.request_deadline_s / 2):
        await service.run_cycle(call.node, cycle)
    return await service.end_cycle(call.node, cycle)


async def curation_reports(call: Call[ReportsQuery, None]) -> ReportsPage:
    """List reports."""
    return await service.curation_reports(call.node, call.who, call.query)


async def roll_back(call: Call[None, RollbackRequest]) -> RolledBack:
    """Take acts back."""
    return await service.roll_back(call.node, call.who, call.body, call.once)


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="POST", path="/api/v1/curator", name="curate", handler=curate, body=CurateRequest, body_required=False,
        answer=CurationReport, summary="Run one cycle of the curator.", effect=Effect.WRITE,
    ),
    Route(
        method="GET", path="/api/v1/curator/reports", name="curation_reports", handler=curation_reports,
        query=ReportsQuery, answer=ReportsPage, summary="Reports of the curator's cycles, the latest first.",
    ),
    Route(
        method="POST", path="/api/v1/curator/rollback", name="roll_back", handler=roll_back, body=RollbackRequest,
        answer=RolledBack, summary="Take back what the curator did.", effect=Effect.WRITE_ONCE,
        errors=(Code.NOT_FOUND, Code.NAME_TAKEN),
    ),
)
