"""How the command line and MCP reach a node: by its socket if somebody holds the database, else by becoming the holder.

The holder may end at any time. The transport here then looks again: whoever finds the lock free takes it and runs the
node in its own process; the others find its socket.
"""

from __future__ import annotations

import contextlib
import logging
import random
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import httpx
import trio
from msgspec import DecodeError, Struct, json

from aimem.errors import Bug, Code, Unavailable
from aimem.ports import Files, LockHeld
from aimem.store import NodeLock
from aimem.supervisor.children import pause_s
from aimem.supervisor.groups import unwrapped
from aimem.supervisor.inprocess import InProcessTransport
from aimem.supervisor.place import Holder, Place, Role, read_hint, take

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hypercorn.typing import ASGIFramework

    StartNode = Callable[[NodeLock], Awaitable[ASGIFramework]]

log = logging.getLogger(__name__)

PATIENCE_S: Final = 10.0
FIRST_PAUSE_S: Final = 0.02
LONGEST_PAUSE_S: Final = 0.5
ATTEMPTS_MAX: Final = 4
CLOSE_GRACE_S: Final = 1.0
SILENCE_S: Final = 5.0
"""So long a reader waits before it looks whether the node still answers at all; that may take it PATIENCE_S."""

LIMITS: Final = httpx.Limits(max_connections=32, max_keepalive_connections=8)
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
IDEMPOTENCY_KEY: Final = "idempotency-key"


class Road:
    """A way to a node: through a socket, or inside this process."""

    def __init__(self, transport: httpx.AsyncBaseTransport, *, is_holder: bool) -> None:
        self.is_holder = is_holder
        self._transport = transport
        self._travelling_count = 0
        self._is_lost = False

    async def ask(self, request: httpx.Request) -> httpx.Response:
        """Send a request whose body is in memory, and collect the whole answer.

        Raises: httpx.TransportError.
        """
        self._travelling_count += 1
        try:
            answer = await self._transport.handle_async_request(request)
            try:
                content = b"".join([piece async for piece in _stream(answer)])
            finally:
                await answer.aclose()
            return httpx.Response(answer.status_code, headers=answer.headers, content=content)
        finally:
            self._travelling_count -= 1
            await self._close_if_done()

    async def lose(self) -> None:
        """Close it as soon as nobody is under way: a holder that drains still answers what it took."""
        self._is_lost = True
        await self._close_if_done()

    async def _close_if_done(self) -> None:
        if self._is_lost and not self._travelling_count:
            with trio.move_on_after(CLOSE_GRACE_S, shield=True):
                await self._transport.aclose()


def _stream(answer: httpx.Response) -> httpx.AsyncByteStream:
    if not isinstance(answer.stream, httpx.AsyncByteStream):
        raise Bug("an asynchronous transport answered with a blocking stream")
    return answer.stream


class Attachment:
    """Finds the road to a database's node, and finds it again after the node has gone."""

    def __init__(self, *, files: Files, place: Place, role: Role, rng: random.Random, start_node: StartNode) -> None:
        """Prepare; nothing is opened before `road`.

        Args:
          role: what this process writes into the lock if it becomes the holder.
          start_node: runs a node under the lock that it is handed (and then owns) and returns its app.
        """
        self._files, self._place, self._role, self._rng = files, place, role, rng
        self._start_node = start_node
        self._road: Road | None = None
        self._searching = trio.Lock()
        self._holder = Holder(text="")

    @property
    def is_holder(self) -> bool:
        """Whether the node runs in this process."""
        return self._road is not None and self._road.is_holder

    @property
    def hint(self) -> str:
        """Who else holds the database, as the lock file says; empty if nobody does."""
        return "" if self.is_holder else self._holder.text

    async def road(self) -> Road:
        """The road to the node, searched for if there is none.

        Raises: Unavailable if a holder does not answer for 10 s; what the node's start raises.
        """
        async with self._searching:
            if self._road is None:
                found = await self._find()
                if isinstance(found, NodeLock):
                    found = Road(InProcessTransport(await self._start_node(found)), is_holder=True)
                self._road = found
            return self._road

    async def lose(self, road: Road) -> None:
        """Say that a road leads nowhere any more; one that was replaced meanwhile does no harm."""
        if self._road is road:
            self._road = None
            log.info("node.lost")
        await road.lose()

    async def watch(self) -> None:
        """Ask the node of another process how it is, again and again until cancelled.

        Raises: Unavailable if it does not say.
        """
        while True:
            await trio.sleep(SILENCE_S)
            socket = str(self._holder.socket or self._place.socket)
            with trio.move_on_after(PATIENCE_S) as scope, contextlib.suppress(httpx.TransportError):
                # By a connection of its own: those of the road may all be in use.
                async with httpx.AsyncHTTPTransport(uds=socket) as way:
                    await Road(way, is_holder=False).ask(httpx.Request("GET", "http://localhost/api/v1/health"))
            if scope.cancelled_caught:
                raise self._silent()

    def _silent(self) -> Unavailable:
        holder = self._holder
        return Unavailable(
            f"{holder.text} holds {self._place.db} and does not answer on its socket, "
            f"{holder.socket or self._place.socket}; see its log (journalctl -u ai-memory), and if it hangs, end it "
            "and start it anew", holder=holder.text,
        )

    async def aclose(self) -> None:
        """Close connections; the node, if it runs here, is its starter's to end."""
        if self._road is not None:
            await self._road.lose()

    async def _find(self) -> NodeLock | Road:
        attempt = 0
        with trio.move_on_after(PATIENCE_S):
            while True:
                try:
                    return take(self._files, self._place, self._role)
                except LockHeld as error:
                    self._holder = read_hint(error.hint)
                socket = str(self._holder.socket or self._place.socket)
                if await is_served(socket):
                    return Road(httpx.AsyncHTTPTransport(uds=socket, limits=LIMITS), is_holder=False)
                # Nothing tells when another process's lock or socket changes: it is just starting, or just ending.
                attempt += 1
                await trio.sleep(pause_s(attempt, self._rng, first_s=FIRST_PAUSE_S, longest_s=LONGEST_PAUSE_S))
        raise Unavailable(
            f"{self._holder.text} holds {self._place.db} and does not answer on its socket; wait until it has started,"
            " or stop it", holder=self._holder.text,
        )


async def is_served(socket: str) -> bool:
    """Whether somebody listens on a Unix socket."""
    try:
        async with await trio.open_unix_socket(socket):
            return True
    except OSError:
        return False


class NodeTransport(httpx.AsyncBaseTransport):
    """The client's transport: asks the node, wherever it is by now.

    A request that failed before its answer was whole is sent again if that is safe: it was not sent at all, or refused
    by a node on its way out, or it only reads, or it carries an idempotency key.
    """

    def __init__(self, attachment: Attachment) -> None:
        self._attachment = attachment

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Ask. Raises: httpx.TransportError, and what the search for a node raises."""
        await request.aread()
        failure: httpx.TransportError | None = None
        for _ in range(ATTEMPTS_MAX):
            road = await self._attachment.road()
            try:
                answer = await self._ask(road, request)
                if not _is_leaving(answer):
                    return answer
                failure = httpx.ConnectError("the node is shutting down", request=request)
                await self._attachment.lose(road)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:     # nothing was sent
                failure = error
                await self._attachment.lose(road)
            except httpx.TimeoutException:
                raise
            except httpx.TransportError as error:
                # The connection broke. If its node is gone, the next connection says so.
                if not _is_repeatable(request):
                    raise
                failure = error
        raise failure or httpx.ConnectError("no attempt was made", request=request)

    async def _ask(self, road: Road, request: httpx.Request) -> httpx.Response:
        """The answer; to a reader as long as the node shows that it lives: nobody has to know how a read ended."""
        if road.is_holder or request.method not in SAFE_METHODS:
            return await road.ask(request)
        with unwrapped():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._attachment.watch)
                answer = await road.ask(request)
                nursery.cancel_scope.cancel()
        return answer

    async def aclose(self) -> None:
        """Close connections."""
        await self._attachment.aclose()


def _is_repeatable(request: httpx.Request) -> bool:
    return request.method in SAFE_METHODS or IDEMPOTENCY_KEY in request.headers


class _Refusal(Struct, frozen=True):
    code: str = ""


def _is_leaving(answer: httpx.Response) -> bool:
    if answer.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
        return False
    try:
        return json.decode(answer.content, type=_Refusal).code == Code.SHUTTING_DOWN
    except DecodeError:
        return False
