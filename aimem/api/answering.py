"""From a request to its answer: what every route has in common, whatever took the request in.

Owns the request's deadline.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

import trio
from msgspec.structs import replace

from aimem.api.exchange import log_failure
from aimem.api.guard import AGENT_HEADER, CALLER_KEY
from aimem.api.headers import heeded, packed, unpacked
from aimem.api.incoming import Incoming
from aimem.api.proving import Hearing
from aimem.api.queries import decode_query, parse_query, percent_decoded
from aimem.api.refusals import JSON_TYPE, Reply, Stream, refusal, status_of
from aimem.api.route import Access, Call, Effect, Route, Surface
from aimem.api.single import single
from aimem.errors import AimemError, Bug, Code, InvalidRequest, Unavailable
from aimem.model import AgentId, Caller, Principal, rules
from aimem.service import (
    Node,
    Once,
    admit_request,
    admit_write,
    note_refused_error,
    refuse_ended_caller,
    refuse_unsigned,
)
from aimem.wire import decode_body, encode


async def answered(
    route: Route, node: Node, surface: Surface, incoming: Incoming, encoded: Mapping[str, str]
) -> Reply | Stream:
    """Carry out a request, and say what came of it.

    Args:
      encoded: the variable parts of the path, as they were sent.
    """
    reply: Reply | Stream
    hearing = Hearing(node)
    try:
        reply = await _within_deadline(route, node, surface, incoming, encoded, hearing)
    except AimemError as error:
        reply = refusal(error)
        if status_of(error) == 500:
            log_failure(error, route=route.path)
    except Exception as error:  # noqa: BLE001  # a door's last line
        log_failure(error, route=route.path)
        reply = refusal(Bug("internal error"))
    reply = hearing.signed(reply) if isinstance(reply, Reply) else reply
    if route.body_limit_bytes is not None and isinstance(reply, Reply):
        reply = _packed(incoming, reply)
    return reply


async def _within_deadline(
    route: Route, node: Node, surface: Surface, incoming: Incoming, encoded: Mapping[str, str], hearing: Hearing
) -> Reply | Stream:
    deadline_s = surface.settings.request_deadline_s
    outcome = {} if route.effect is Effect.READ else {"outcome": "not_applied"}
    try:
        with trio.fail_after(deadline_s):
            call = await _read_call(route, node, surface, incoming, encoded, hearing)
            if outcome:
                # From here on a write may be on its way: whether the deadline came before its commit is not known here.
                outcome = {"outcome": "indeterminate"}
            async with heeded(incoming, node):
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
    route: Route, node: Node, surface: Surface, incoming: Incoming, encoded: Mapping[str, str], hearing: Hearing
) -> Call[object, object]:
    """Decode what the client sent, in the order: path, identity, query, body; a node's signature is over the body."""
    path = {name: percent_decoded(value, field=name) for name, value in encoded.items()}
    who = _principal(incoming, node)
    _admit(route, node, who, surface)
    parameters = parse_query(incoming.query_string)
    query = None if route.query is None else decode_query(route.query, parameters)
    # A GET's body means nothing; of the others it is read even where unused, for an Idempotency-Key is bound to it.
    data = b"" if route.method == "GET" else await incoming.read()
    data = unpacked(incoming, data, own_limit_bytes=route.body_limit_bytes)
    claim = await hearing.heard(incoming, data)
    refuse_unsigned(who, claim)
    if route.access is not Access.OPEN:
        await refuse_ended_caller(node, who)    # its body may have taken its time
    try:
        body = None if route.body is None or not (data or route.body_required) else _body(incoming, route, data)
    except InvalidRequest as error:
        note_refused_error(node, who, error, action=route.name)
        raise
    once = _once(incoming, data) if route.effect is Effect.WRITE_ONCE else None
    return Call(
        node=node, who=who, query=query, body=body, path=path, once=once, surface=surface,
        last_event_id=single(incoming, "Last-Event-ID") or "", claim=claim,
    )


def _admit(route: Route, node: Node, who: Principal, surface: Surface) -> None:
    """Before the body is read. Raises: QuotaExceeded; Unavailable(writer_busy)."""
    if route.access is not Access.KEYED:
        return
    admit_request(node, who, route.name)
    if route.effect is not Effect.READ:
        admit_write(node, who, route.name, surface.settings.request_deadline_s)


def _principal(incoming: Incoming, node: Node) -> Principal:
    claimed = (single(incoming, AGENT_HEADER) or "").strip()
    caller: Caller = incoming.scope[CALLER_KEY]
    named = caller.agent_id or (rules.agent_id(claimed, field=AGENT_HEADER) if claimed else None)
    return Principal(
        agent_id=named or AgentId(f"anonymous:req-{node.chance.rng.getrandbits(32):08x}"),
        credential=caller.credential, role=caller.role, home=caller.home, key_id=caller.key_id,
        is_anonymous=named is None,
    )


def _body(incoming: Incoming, route: Route, data: bytes) -> object:
    if not data or route.body is None:
        raise InvalidRequest("this route needs a JSON body", code=Code.MALFORMED_JSON)
    single(incoming, "Content-Type")
    if incoming.mimetype != JSON_TYPE:
        shown = incoming.mimetype[:64] or "none"
        raise InvalidRequest(
            f"the Content-Type is {shown}; allowed is {JSON_TYPE}",
            code=Code.UNSUPPORTED_MEDIA_TYPE, field="Content-Type",
        )
    try:
        # The decoder passes over fields that the type does not have without looking whether they are UTF-8.
        data.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"the body is not UTF-8: {error.reason} at byte {error.start}", code=Code.MALFORMED_JSON
        ) from None
    return decode_body(route.body if route.read_as is None else route.read_as(data), data)


def _once(incoming: Incoming, data: bytes) -> Once | None:
    key = single(incoming, "Idempotency-Key")
    if key is None:
        return None
    # No method or encoded path holds a blank, no path a `?`, no query a line feed: the parts cannot run together.
    head = f"{incoming.method} {incoming.path}?".encode() + incoming.query_string + b"\n"
    return Once(key=rules.idempotency_key(key), request_hash=sha256(head + data).digest())


def _packed(incoming: Incoming, reply: Reply) -> Reply:
    small = packed(incoming, reply.content)
    if small is None:
        return reply
    return replace(reply, content=small, headers=(*reply.headers, ("Content-Encoding", "gzip")))


def too_large(limit_bytes: int) -> InvalidRequest:
    """What a body beyond its bound is answered with."""
    return InvalidRequest(
        f"the body is larger than {limit_bytes} bytes; split it", code=Code.BODY_TOO_LARGE, limit_bytes=limit_bytes
    )
