"""The route table: one row per method and path, in the order of the manual. App, OpenAPI and tests read it.

Each module holds one subject: its handlers and its rows.
"""

from __future__ import annotations

from typing import Final

from aimem.api.route import Route
from aimem.api.routes import (
    agentkeys,
    agents,
    approvals,
    archive,
    audit,
    consolidating,
    contradictions,
    curation,
    duplicates,
    entities,
    events,
    finding,
    forgetting,
    graph,
    links,
    memories,
    mesh,
    messages,
    namespaces,
    node,
    session,
    subscriptions,
    taxonomy,
    thinking,
    transfer,
    upkeep,
)

ROUTES: Final[tuple[Route, ...]] = (
    *node.ROUTES,
    *memories.ROUTES,
    *finding.ROUTES,
    *links.ROUTES,
    *thinking.ROUTES,
    *graph.ROUTES,
    *contradictions.ROUTES,
    *taxonomy.ROUTES,
    *duplicates.ROUTES,
    *entities.ROUTES,
    *forgetting.ROUTES,
    *consolidating.ROUTES,
    *curation.ROUTES,
    *namespaces.ROUTES,
    *upkeep.ROUTES,
    *transfer.ROUTES,
    *archive.ROUTES,
    *audit.ROUTES,
    *agents.ROUTES,
    *approvals.ROUTES,
    *agentkeys.ROUTES,
    *messages.ROUTES,
    *session.ROUTES,
    *mesh.ROUTES,
    *events.ROUTES,
    *subscriptions.ROUTES,
)
"""Every route of this surface; `{memory_id}` takes one segment, a slash inside an id is sent as %2F."""
