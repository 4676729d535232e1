"""The ASGI app: one Quart view per route, save for the routes that come often, which have a door before it.

Handlers are coroutines only: Quart would run a plain function in a thread of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any  # an ASGI scope is an open mapping

from msgspec.structs import replace
from quart import Request, Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import (
    HTTPException,
    MethodNotAllowed,
    NotFound,
    RequestEntityTooLarge,
)

from aimem.api.answering import answered, too_large
from aimem.api.direct import directly
from aimem.api.exchange import EXCHANGE_KEY, rimmed
from aimem.api.guard import AsgiApp, Receive, Scope, Send, guarded, make_policy
from aimem.api.headers import request_class
from aimem.api.metrics import Metrics
from aimem.api.openapi import openapi_document
from aimem.api.refusals import Reply, Stream, refusal
from aimem.api.route import Access, Route, Surface
from aimem.api.routes import ROUTES
from aimem.config import ApiConfig
from aimem.errors import Code, InvalidRequest
from aimem.errors import NotFound as NoSuchThing
from aimem.service import Node
from aimem.wire import encode


def never_stopping() -> bool:
    """For a surface that ends with its process (tests, one command)."""
    return False


def make_app(
    node: Node, settings: ApiConfig, *, routes: Iterable[Route] = ROUTES,
    is_stopping: Callable[[], bool] = never_stopping, beside: Mapping[str, AsgiApp] | None = None,
) -> QuartTrio:
    """The HTTP surface of a node.

    Args:
      node: what the handlers are handed; its chance names anonymous callers and requests.
      settings: key, body limit and deadline.
      routes: the route table; tests hand in their own.
      is_stopping: once true, every further request is answered 503 shutting_down; those in progress end.
      beside: other apps by their path, behind the same rim and guard. What they read and how long they take is theirs
        to bound.
    Returns: an ASGI app; its lifespan has to be driven once. The connection layer says in
      `scope["extensions"]["aimem.transport"]` how a request came; without it a request counts as public TCP.
    """
    table = tuple(routes)
    metrics = Metrics()
    surface = Surface(settings=settings, metrics=metrics, openapi=cache(lambda: encode(openapi_document(table))))
    app = QuartTrio("aimem.api", static_folder=None)
    app.url_map.strict_slashes = True
    app.url_map.merge_slashes = False
    # Deadlines are ours (below) and the connection layer's (sends); Quart's would cut an answer without a word.
    app.config.update(MAX_CONTENT_LENGTH=settings.body_max_bytes, BODY_TIMEOUT=None, RESPONSE_TIMEOUT=None)
    app.request_class = request_class({route.path: route.body_limit_bytes for route in table if route.body_limit_bytes})
    for route in table:
        rule = route.path.replace("{", "<").replace("}", ">")
        app.add_url_rule(rule, route.name, _view(route, node, surface), methods=[route.method])
    app.register_error_handler(HTTPException, _framework_refusal)
    policy = make_policy(
        settings.api_key, (route.path for route in table if route.access is Access.OPEN),
        ((route.method, route.path) for route in table if route.is_between_nodes),
    )
    # hypercorn's TypedDicts stand against open mappings.
    framework: AsgiApp = app.asgi_app  # type: ignore[assignment]
    behind = guarded(_beside(directly(framework, table, node, surface), beside or {}), policy, node)
    # Replacing asgi_app is Quart's documented way to put a middleware before it.
    app.asgi_app = rimmed(  # type: ignore[method-assign,assignment]
        behind, metrics=metrics, rng=node.chance.rng, is_stopping=is_stopping
    )
    return app


def _beside(app: AsgiApp, others: Mapping[str, AsgiApp]) -> AsgiApp:
    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        other = others.get(scope["path"]) if scope["type"] == "http" else None
        if other is not None:
            scope[EXCHANGE_KEY].route = scope["path"]
        await (other or app)(scope, receive, send)

    return dispatch


class _Framed:
    """A request of the framework's, as the pipeline reads it."""

    def __init__(self, incoming: Request, limit_bytes: int) -> None:
        self._request, self._limit_bytes = incoming, limit_bytes
        self.scope: Mapping[str, Any] = incoming.scope
        self.method, self.path, self.query_string = incoming.method, incoming.path, incoming.query_string
        self.mimetype = incoming.mimetype

    def values_of(self, header: str) -> Sequence[str]:
        return self._request.headers.getlist(header)

    async def read(self) -> bytes:
        try:
            return await self._request.get_data(cache=False, as_text=False, parse_form_data=False)
        except RequestEntityTooLarge:
            raise too_large(self._limit_bytes) from None


def _view(route: Route, node: Node, surface: Surface) -> Callable[..., Awaitable[Response]]:
    limit_bytes = route.body_limit_bytes or surface.settings.body_max_bytes

    async def view(**encoded: str) -> Response:
        request.scope[EXCHANGE_KEY].route = route.path  # type: ignore[typeddict-item]  # the rim's own key
        return _response(await answered(route, node, surface, _Framed(request, limit_bytes), encoded))

    return view


def _response(reply: Reply | Stream) -> Response:
    if isinstance(reply, Stream):
        # A HEAD is answered by the same view, and has no body to wait for.
        pieces = b"" if request.method == "HEAD" else reply.pieces
        return Response(pieces, 200, content_type=reply.media_type)
    return Response(reply.content, reply.status, dict(reply.headers), content_type=reply.media_type)


async def _framework_refusal(error: HTTPException) -> Response:
    """What Quart itself refuses: paths and methods that no route has."""
    shown = request.path[:80]
    if isinstance(error, MethodNotAllowed):
        allowed = sorted(error.valid_methods or ())
        reply = refusal(
            InvalidRequest(
                f"{request.method[:16]} is not allowed on {shown}; allowed are {', '.join(allowed)}",
                code=Code.METHOD_NOT_ALLOWED, allowed=allowed,
            ),
            headers=(("Allow", ", ".join(allowed)),),
        )
    elif isinstance(error, NotFound):
        reply = refusal(NoSuchThing(f"there is no route {shown}; see /api/v1/openapi.json"))
    else:
        reply = replace(refusal(InvalidRequest(f"the request is refused: {error.name}")), status=error.code or 400)
    return _response(reply)
