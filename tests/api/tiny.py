"""Routes of the tests' own, which answer with what they were handed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from aimem.api import Call, Effect, Route


class Question(Struct, kw_only=True):
    """A query with every kind of parameter."""

    q: str
    limit: int = 20
    ratio: float = 0.5
    touch: bool = False
    namespace: str | None = None
    min_priority: int | None = None


class Note(Struct, kw_only=True):
    """A body."""

    text: str
    count: int = 1
    metadata: dict[str, object] | None = None


class Echo(Struct, kw_only=True):
    """What a handler was handed."""

    agent_id: str
    credential: str
    query: dict[str, object] | None
    body: dict[str, object] | None
    path: dict[str, str]
    key: str | None
    request_hash: str | None


async def echo(call: Call[Any, Any]) -> Echo:
    """Answer with the call."""
    from aimem.wire import to_builtins

    return Echo(
        agent_id=call.who.agent_id, credential=call.who.credential, query=to_builtins(call.query),
        body=to_builtins(call.body), path=dict(call.path), key=call.once.key if call.once else None,
        request_hash=call.once.request_hash.hex() if call.once else None,
    )


ASK = Route(method="GET", path="/ask", name="ask", handler=echo, query=Question, answer=Echo, summary="Ask.")
NOTE = Route(
    method="POST", path="/notes", name="note", handler=echo, body=Note, answer=Echo, status=201, summary="Note.",
    effect=Effect.WRITE_ONCE,
)
NOTES = Route(method="GET", path="/notes", name="notes", handler=echo, answer=Echo, summary="List.")
ONE = Route(method="GET", path="/notes/{note_id}", name="one", handler=echo, answer=Echo, summary="One.")
POKE = Route(
    method="POST", path="/notes/{note_id}/poke", name="poke", handler=echo, body=Note, body_required=False, answer=Echo,
    summary="Poke.", effect=Effect.WRITE_ONCE,
)


def doing(work: Callable[[], Awaitable[object]], *, effect: Effect = Effect.READ) -> Route:
    """A route POST /do whose handler does this work."""

    async def handler(call: Call[Any, Any]) -> Echo:
        await work()
        return await echo(call)

    return Route(
        method="POST", path="/do", name="do", handler=handler, answer=Echo, summary="Do.", effect=effect
    )
