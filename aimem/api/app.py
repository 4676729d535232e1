"""The ASGI app: one Quart view per route, which decodes the request, calls the handler and encodes the answer.

Owns the request's deadline. Handlers are coroutines only: Quart would run a plain function in a thread of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import cache
from hashlib import sha256
from types import UnionType

import trio
from msgspec import Struct
from msgspec.structs import replace
from quart import Request, Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import (
    HTTPException,
    MethodNotAllowed,
    NotFound,
    RequestEntityTooLarge,
)

from aimem.api.exchange import EXCHANGE_KEY, log_failure, rimmed
from aimem.api.guard import AGENT_HEADER, CALLER_KEY, AsgiApp, Receive, Scope, Send, guarded, make_policy
from aimem.api.metrics import Metrics
from aimem.api.openapi import openapi_document
from aimem.api.queries import decode_query, parse_query, percent_decoded
from aimem.api.refusals import JSON_TYPE, Reply, Stream, refusal, status_of
from aimem.api.route import Access, Call, Effect, Route, Surface
from aimem.api.routes import ROUTES
from aimem.config import ApiConfig
from aimem.errors import AimemError, Bug, Code, InvalidRequest, Unavailable
from aimem.errors import NotFound as NoSuchThing
from aimem.model import AgentId, Caller, Principal, rules
from aimem.service import Node, Once, admit_request, admit_write, note_refused_error, refuse_ended_caller
from aimem.wire import decode_body, encode


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
    for route in table:
        rule = route.path.replace("{", "<").replace("}", ">")
        app.add_url_rule(rule, route.name, _view(route, node, surface), methods=[route.method])
    app.register_error_handler(HTTPException, _framework_refusal)
    policy = make_policy(settings.api_key, (route.path for route in table if route.access is Access.OPEN))
    # hypercorn's TypedDicts stand against open mappings.
    behind = guarded(_beside(app.asgi_app, beside or {}), policy, node)  # type: ignore[arg-type]
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


def _view(route: Route, node: Node, surface: Surface) -> Callable[..., Awaitable[Response]]:
    async def view(**encoded: str) -> Response:
        request.scope[EXCHANGE_KEY].route = route.path  # type: ignore[typeddict-item]  # the rim's own key
        reply: Reply | Stream
        try:
            reply = await _within_deadline(route, node, surface, encoded)
        except AimemError as error:
            reply = refusal(error)
            if status_of(error) == 500:
                log_failure(error, route=route.path)
        except RequestEntityTooLarge:
            reply = refusal(_too_large(surface.settings.body_max_bytes))
        except Exception as error:  # noqa: BLE001  # a door's last line
            log_failure(error, route=route.path)
            reply = refusal(Bug("internal error"))
        return _response(reply)

    return view


async def _within_deadline(route: Route, node: Node, surface: Surface, encoded: dict[str, str]) -> Reply | Stream:
    deadline_s = surface.settings.request_deadline_s
    outcome = {} if route.effect is Effect.READ else {"outcome": "not_applied"}
    try:
        with trio.fail_after(deadline_s):
            call = await _read_call(route, node, surface, encoded)
            if outcome:
                # From here on a write may be on its way: whether the deadline came before its commit is not known here.
                outcome = {"outcome": "indeterminate"}
            answer = await _handled(route, call)
    except trio.TooSlowError:
        raise Unavailable(
            f"no answer within {deadline_s:g} s; try again, a write with the same Idempotency-Key",
            code=Code.DEADLINE_EXCEEDED, **outcome,
        ) from None
    return answer if isinstance(answer, Reply | Stream) else Reply(status=route.status, content=encode(answer))


async def _handled(route: Route, call: Call[object, object]) -> object:
    try:
        return await route.handler(call)
    except AimemError as error:
        note_refused_error(call.node, call.who, error, action=route.name)
        raise


async def _read_call(
    route: Route, node: Node, surface: Surface, encoded: dict[str, str]
) -> Call[object, object]:
    """Decode what the client sent, in the order: path, identity, query, body."""
    path = {name: percent_decoded(value, field=name) for name, value in encoded.items()}
    who = _principal(request, node)
    _admit(route, node, who, surface)
    parameters = parse_query(request.query_string)
    query = None if route.query is None else decode_query(route.query, parameters)
    # A GET's body means nothing; of the others it is read even where unused, for an Idempotency-Key is bound to it.
    data = b"" if route.method == "GET" else await request.get_data(cache=False, as_text=False, parse_form_data=False)
    if route.access is not Access.OPEN:
        await refuse_ended_caller(node, who)    # its body may have taken its time
    try:
        body = None if route.body is None or not (data or route.body_required) else _body(request, route.body, data)
    except InvalidRequest as error:
        note_refused_error(node, who, error, action=route.name)
        raise
    once = _once(request, data) if route.effect is Effect.WRITE_ONCE else None
    return Call(
        node=node, who=who, query=query, body=body, path=path, once=once, surface=surface,
        last_event_id=_single(request, "Last-Event-ID") or "",
    )


def _admit(route: Route, node: Node, who: Principal, surface: Surface) -> None:
    """Before the body is read. Raises: QuotaExceeded; Unavailable(writer_busy)."""
    if route.access is Access.OPEN:
        return
    admit_request(node, who, route.name)
    if route.effect is not Effect.READ:
        admit_write(node, who, route.name, surface.settings.request_deadline_s)


def _principal(incoming: Request, node: Node) -> Principal:
    claimed = (_single(incoming, AGENT_HEADER) or "").strip()
    caller: Caller = incoming.scope[CALLER_KEY]  # type: ignore[typeddict-item]  # the guard's own key
    named = caller.agent_id or (rules.agent_id(claimed, field=AGENT_HEADER) if claimed else None)
    return Principal(
        agent_id=named or AgentId(f"anonymous:req-{node.chance.rng.getrandbits(32):08x}"),
        credential=caller.credential, role=caller.role, home=caller.home, key_id=caller.key_id,
        is_anonymous=named is None,
    )


def _single(incoming: Request, name: str) -> str | None:
    """A header that decides what a request means: of two, another reader on the way might have taken the other."""
    values = incoming.headers.getlist(name)
    if len(values) > 1:
        raise InvalidRequest(f"the header {name} is given {len(values)} times; give it once", field=name)
    return values[0] if values else None


def _body(incoming: Request, kind: type[Struct] | UnionType, data: bytes) -> object:
    if not data:
        raise InvalidRequest("this route needs a JSON body", code=Code.MALFORMED_JSON)
    _single(incoming, "Content-Type")
    if incoming.mimetype != JSON_TYPE:
        shown = incoming.mimetype[:64] or "none"
        raise InvalidRequest(
            f"the Content-Type is {shown}; allowed is {JSON_TYPE}",
            code=Code.UNSUPPORTED_MEDIA_TYPE, field="Content-Type",
        )
    if incoming.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise InvalidRequest(
            "compressed bodies are not read; send the JSON as it is",
            code=Code.UNSUPPORTED_MEDIA_TYPE, field="Content-Encoding",
        )
    try:
        # The decoder passes over fields that the type does not have without looking whether they are UTF-8.
        data.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"the body is not UTF-8: {error.reason} at byte {error.start}", code=Code.MALFORMED_JSON
        ) from None
    return decode_body(kind, data)


def _once(incoming: Request, data: bytes) -> Once | None:
    key = _single(incoming, "Idempotency-Key")
    if key is None:
        return None
    # No method or encoded path holds a blank, no path a `?`, no query a line feed: the parts cannot run together.
    head = f"{incoming.method} {incoming.path}?".encode() + incoming.query_string + b"\n"
    return Once(key=rules.idempotency_key(key), request_hash=sha256(head + data).digest())


def _response(reply: Reply | Stream) -> Response:
    if isinstance(reply, Stream):
        # A HEAD is answered by the same view, and has no body to wait for.
        pieces = b"" if request.method == "HEAD" else reply.pieces
        return Response(pieces, 200, content_type=reply.media_type)
    return Response(reply.content, reply.status, dict(reply.headers), content_type=reply.media_type)


def _too_large(limit_bytes: int) -> InvalidRequest:
    return InvalidRequest(
        f"the body is larger than {limit_bytes} bytes; split it", code=Code.BODY_TOO_LARGE, limit_bytes=limit_bytes
    )


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
