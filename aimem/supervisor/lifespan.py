"""The ASGI lifespan, driven once for the process: connections come and go inside it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any  # ASGI messages are dicts of mixed values by specification

import trio
from hypercorn.typing import ASGIFramework, LifespanState

from aimem.errors import Bug, Unavailable

Message = Any
SHUTDOWN_GRACE_S = 5.0


class _Lifespan:
    """What app and server tell each other."""

    def __init__(self) -> None:
        self.state: LifespanState = {}
        self.to_app, self.from_server = trio.open_memory_channel[Message](2)    # startup and shutdown: never full
        self.is_up, self.is_down = trio.Event(), trio.Event()
        self.failure: str | None = None

    async def run(self, app: ASGIFramework) -> None:
        scope: Any = {"type": "lifespan", "asgi": {"spec_version": "2.0", "version": "3.0"}, "state": self.state}
        try:
            await app(scope, self.from_server.receive, self.hear)
        finally:
            if not self.is_up.is_set():
                self.failure = self.failure or "it ended without an answer"
            self.is_up.set()
            self.is_down.set()

    async def hear(self, message: Message) -> None:
        match message["type"]:
            case "lifespan.startup.complete":
                self.is_up.set()
            case "lifespan.shutdown.complete":
                self.is_down.set()
            case "lifespan.startup.failed" | "lifespan.shutdown.failed" as kind:
                self.failure = f"{kind}: {message.get('message', '')}"
                self.is_up.set()
            case kind:
                raise Bug(f"the application sent {kind!r} in its lifespan")


@contextlib.asynccontextmanager
async def open_lifespan(app: ASGIFramework) -> AsyncIterator[LifespanState]:
    """Start the application, and end it with the block.

    Yields: the state that the application filled in; each request's scope carries a copy.
    Raises: Unavailable if the application refuses to start.
    """
    lifespan = _Lifespan()
    with lifespan.to_app, lifespan.from_server:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lifespan.run, app)
            await lifespan.to_app.send({"type": "lifespan.startup"})
            await lifespan.is_up.wait()
            if lifespan.failure is not None:
                raise Unavailable(f"the HTTP application did not start: {lifespan.failure}")
            try:
                yield lifespan.state
            finally:
                with trio.move_on_after(SHUTDOWN_GRACE_S, shield=True):
                    await lifespan.to_app.send({"type": "lifespan.shutdown"})
                    await lifespan.is_down.wait()
                nursery.cancel_scope.cancel()
