"""The node itself: health, metrics, capabilities, counts, the state of the index.

Each handler calls one service function and decides nothing.
"""

from __future__ import annotations

from typing import Final

import trio

from aimem import service
from aimem.api.metrics import TEXT_TYPE
from aimem.api.refusals import Reply
from aimem.api.route import Access, Call, Effect, Route
from aimem.errors import Code
from aimem.wire import Capabilities, Health, IndexQuery, IndexStatus, ReindexRequest, Stats, encode, to_builtins

INDEX_WAIT_S: Final = 10.0


async def health(call: Call[None, None]) -> Health | Reply:
    """Liveness; 503 tells a load balancer, which reads no bodies, to go elsewhere."""
    answer = await service.health(call.node)
    if answer.status != "error":
        return answer
    refused = {"error": "the node cannot serve; its warnings say why", "code": Code.UNAVAILABLE}
    return Reply(status=503, content=encode({**to_builtins(answer), **refused}))


async def metrics(call: Call[None, None]) -> Reply:
    """The page that Prometheus reads."""
    status = await service.status(call.node, call.who)
    return Reply(status=200, content=call.surface.metrics.render(status.samples), media_type=TEXT_TYPE)


async def openapi(call: Call[None, None]) -> Reply:
    """The description of this surface."""
    return Reply(status=200, content=call.surface.openapi())


async def capabilities(call: Call[None, None]) -> Capabilities:
    """What this node can do."""
    return await service.capabilities(call.node)


async def stats(call: Call[None, None]) -> Stats:
    """Counts."""
    return await service.stats(call.node, call.who)


async def index_status(call: Call[IndexQuery, None]) -> IndexStatus:
    """State of the index; the wait for `wait_below` ends before the request's own deadline would."""
    if call.query.wait_below is not None:
        with trio.move_on_after(min(INDEX_WAIT_S, call.surface.settings.request_deadline_s / 2)):
            return await service.index_status(call.node, call.query.wait_below)
    return await service.index_status(call.node, None)


async def reindex(call: Call[None, ReindexRequest]) -> IndexStatus:
    """Make the index anew."""
    return await service.reindex(call.node, call.who, call.body)


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="GET", path="/api/v1/health", name="health", handler=health, answer=Health, access=Access.OPEN,
        summary="Liveness without a query over rows; 503 with the same body if the node cannot serve.",
    ),
    Route(
        method="GET", path="/metrics", name="metrics", handler=metrics, answer=None,
        summary="Metrics in Prometheus' text format.",
    ),
    Route(
        method="GET", path="/api/v1/metrics", name="metrics_v1", handler=metrics, answer=None,
        summary="The same as /metrics.",
    ),
    Route(
        method="GET", path="/api/v1/openapi.json", name="openapi", handler=openapi, answer=None,
        summary="This surface as an OpenAPI 3.1 document.",
    ),
    Route(
        method="GET", path="/api/v1/capabilities", name="capabilities", handler=capabilities,
        answer=Capabilities, summary="What this node can do, as it is now.",
    ),
    Route(
        method="GET", path="/api/v1/stats", name="stats", handler=stats, answer=Stats,
        summary="Counts of live memories, links, archive and log.",
    ),
    Route(
        method="GET", path="/api/v1/index", name="index_status", handler=index_status, query=IndexQuery,
        answer=IndexStatus, summary="State of the search index and the backlog of embeddings.",
    ),
    Route(
        method="POST", path="/api/v1/index", name="reindex", handler=reindex, body=ReindexRequest,
        answer=IndexStatus, summary="Make the search index anew; GET /api/v1/index tells how far it is.",
        effect=Effect.WRITE,
    ),
)
