"""The table of tools: name, description, parameters, handler, and what a client may expect of its effect.

Each module holds one subject. The published schema and the check of a call's arguments both come from the same types.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aimem.mcp.tools import (
    agents,
    approvals,
    curation,
    duplicates,
    entities,
    finding,
    graph,
    links,
    memories,
    messages,
    namespaces,
    session,
    subscriptions,
    taxonomy,
    thinking,
    upkeep,
)
from aimem.mcp.tools.tool import Call, Effect, Tool

TOOLS: Final[Mapping[str, Tool]] = {
    tool.name: tool
    for table in (
        memories.TOOLS,
        finding.TOOLS,
        links.TOOLS,
        thinking.TOOLS,
        graph.TOOLS,
        entities.TOOLS,
        taxonomy.TOOLS,
        duplicates.TOOLS,
        curation.TOOLS,
        upkeep.TOOLS,
        namespaces.TOOLS,
        agents.TOOLS,
        approvals.TOOLS,
        messages.TOOLS,
        subscriptions.TOOLS,
        session.TOOLS,
    )
    for tool in table
}

__all__ = ["TOOLS", "Call", "Effect", "Tool"]
