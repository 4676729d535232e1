"""The task tree of a node: started from the disk outwards, ended from the network inwards.

lock -> store -> services (touches, indexer, curator) -> HTTP. Each ring stands inside the one before it, so that the
ends of the blocks are the order of the shutdown: listeners close, requests finish, the socket goes, services flush, the
store checkpoints, the lock is released.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import trio
from hypercorn.typing import ASGIFramework
from msgspec import Struct

from aimem.config import ApiConfig
from aimem.store import NodeLock
from aimem.supervisor.children import Child, run_child
from aimem.supervisor.control import Control
from aimem.supervisor.groups import unwrapped
from aimem.supervisor.http import HttpServer
from aimem.supervisor.lifespan import open_lifespan
from aimem.supervisor.listeners import Listener, Scheme, open_tcp, open_unix
from aimem.supervisor.place import Place
from aimem.supervisor.trust import Gate


class Inside(Struct, frozen=True, kw_only=True):
    """What stands on an open store: the services, and the app that leads to them.

    Attributes:
      about: a few words for the readiness line (`semantic recall`).
      watch: is handed the HTTP server, whose connections the node's metrics count.
    """

    app: ASGIFramework
    children: tuple[Child, ...]
    about: str
    watch: Callable[[HttpServer], None]


class Plan(Struct, frozen=True, kw_only=True):
    """A node, before it runs: its store, and how to make the rest once the store is open.

    Attributes:
      still_s: how long the store's writer, at work, has given no sign of life.
    """

    store: Child
    still_s: Callable[[], float]
    furnish: Callable[[], Awaitable[Inside]]


class Running(Struct, frozen=True, kw_only=True):
    """A node that serves.

    Attributes:
      app: for callers in this process.
      urls: where it listens on TCP, with the real port.
      ended: set when the node is gone, its lock released.
    """

    app: ASGIFramework
    urls: tuple[str, ...]
    about: str
    http: HttpServer
    ended: trio.Event


async def run_node(
    plan: Plan, *, lock: NodeLock, place: Place, tcp: ApiConfig | None, grace_s: float, control: Control,
    rng: random.Random, gate: Gate | None = None, task_status: trio.TaskStatus[Running] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run a node until `control.stop` is set and it is drained, then release the lock.

    Args:
      lock: on `place.db`, taken by the caller; released here, whatever happens.
      tcp: where to listen besides the Unix socket, or None for nowhere.
      grace_s: how long requests in progress may take at the end.
      gate: whom TCP is served to, over TLS; without it there is none. The Unix socket is the owner's, as it is.
    Raises: what its first critical failure was; Denied, InvalidRequest or Unavailable if it cannot listen.
    """
    ended = trio.Event()
    try:
        with unwrapped():
            async with _running((plan.store,), control, rng):
                inside = await plan.furnish()
                async with _running(inside.children, control, rng):
                    await _serve(inside, place, tcp, gate, grace_s, control, ended, task_status)
    finally:
        lock.release()
        ended.set()


@contextlib.asynccontextmanager
async def _running(children: tuple[Child, ...], control: Control, rng: random.Random) -> AsyncIterator[None]:
    """Run these children around a block, each started before the next; cancel them when it ends."""
    async with trio.open_nursery() as nursery:
        for child in children:
            await nursery.start(partial(run_child, child, tally=control.tally, rng=rng))
        yield
        nursery.cancel_scope.cancel()


async def _serve(
    inside: Inside, place: Place, tcp: ApiConfig | None, gate: Gate | None, grace_s: float, control: Control,
    ended: trio.Event, task_status: trio.TaskStatus[Running],
) -> None:
    server = HttpServer(inside.app, gate=gate)
    inside.watch(server)
    async with _listening(place, tcp, gate) as listeners, open_lifespan(inside.app) as state:
        urls = tuple(listener.url for listener in listeners[1:])
        async with trio.open_nursery() as serving:
            await serving.start(partial(
                server.run, listeners, stop=control.stop, hurry=control.hurry, grace_s=grace_s, state=state
            ))
            task_status.started(Running(app=inside.app, urls=urls, about=inside.about, http=server, ended=ended))


@contextlib.asynccontextmanager
async def _listening(place: Place, tcp: ApiConfig | None, gate: Gate | None) -> AsyncIterator[tuple[Listener, ...]]:
    """The Unix socket first, then TCP."""
    async with contextlib.AsyncExitStack() as opened:
        local = await opened.enter_async_context(open_unix(place.socket))
        scheme = Scheme.HTTP if gate is None else Scheme.HTTPS
        remote = () if tcp is None else await open_tcp(tcp.host, tcp.port, insecure=tcp.insecure, scheme=scheme)
        for listener in remote:
            opened.push_async_callback(listener.socket.aclose)
        yield (local, *remote)
