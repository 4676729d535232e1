"""One case for each tool: what a client calls it with, and what is then to be seen over HTTP.

Whoever adds a tool adds its case to the module of its subject here, and that module, if it is new, to `CASES` below:
three kinds of clients then drive it (`test_clients.py`).
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.mcp.cases import (
    agents,
    approvals,
    curation,
    finding,
    graph,
    links,
    memories,
    namespaces,
    subscriptions,
    thinking,
    upkeep,
)
from tests.mcp.cases.case import Case, World

CASES: Mapping[str, Case] = {
    **memories.CASES, **finding.CASES, **links.CASES, **graph.CASES, **agents.CASES, **curation.CASES, **thinking.CASES,
    **upkeep.CASES, **namespaces.CASES, **subscriptions.CASES, **approvals.CASES,
}

__all__ = ["CASES", "Case", "World"]
