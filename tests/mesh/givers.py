"""Peers that a test plays: real nodes of this process behind a port; one may alter what it gives, and sign that."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Final

import h11
import httpx
import trio

from aimem.model import Instant, NodeClaim
from aimem.ports import system_clock
from aimem.replication import MeshSettings
from aimem.service import Node
from aimem.store import trimming
from aimem.wire import copies, decode_body
from tests.meshes import World, wait_settled
from tests.nodes import FakeClock
from tests.service.steps import put

BAD, SOUND = "liar", "sound"
RECEIVE_BYTES: Final = 65_536
PAD_CHARS: Final = 8_000
SETTLING_S: Final = 30.0

Alter = Callable[[str, copies.SnapshotRequest, copies.SnapshotAnswer], Awaitable[copies.SnapshotAnswer]]
"""What becomes of an answer to the node of this name before it is signed."""


class Givers(World):
    """Two nodes of one mesh whose logs were trimmed: who comes new gets a snapshot from either.

    Attributes:
      alter: what becomes of snapshots of the one that lies.
      shut: names of those that answer nobody.
      ports: where they listen.
      given: how many answers about snapshots each gave.
    """

    def __init__(self, nursery: trio.Nursery, folder: Path, alter: Alter) -> None:
        super().__init__(nursery, folder)
        self.alter = alter
        self.shut: set[str] = set()
        self.ports: dict[str, int] = {}
        self.given = {BAD: 0, SOUND: 0}

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    async def _answer(self, node: Node, name: str, request: httpx.Request, data: bytes, claim: NodeClaim) -> object:
        answer = await super()._answer(node, name, request, data, claim)
        if isinstance(answer, copies.SnapshotAnswer):
            self.given[name] += 1
            if name == BAD:
                return await self.alter(claim.node, decode_body(copies.SnapshotRequest, data), answer)
        return answer

    async def listen(self, name: str) -> None:
        """Serve a node on a port of its own."""
        serve = partial(trio.serve_tcp, partial(self._connected, name), 0, host="127.0.0.1")
        [listener] = await self.nursery.start(serve)
        self.ports[name] = listener.socket.getsockname()[1]

    async def _connected(self, name: str, stream: trio.SocketStream) -> None:
        """One request, and its answer."""
        connection, parts = h11.Connection(h11.SERVER), list[bytes]()
        head: h11.Request | None = None
        with contextlib.suppress(trio.BrokenResourceError, h11.RemoteProtocolError):
            while True:
                event = connection.next_event()
                if event is h11.NEED_DATA:
                    connection.receive_data(await stream.receive_some(RECEIVE_BYTES))
                elif isinstance(event, h11.Request):
                    head = event
                elif isinstance(event, h11.Data):
                    parts.append(bytes(event.data))
                else:
                    break
            if head is None or name in self.shut:
                return
            target = f"{self.url(name)}{head.target.decode()}"
            answer = await self.serve(name, httpx.Request(
                head.method.decode(), target, headers=list(head.headers), content=b"".join(parts)
            ))
            headers = [*answer.headers.raw, (b"connection", b"close")]
            for sent in (
                h11.Response(status_code=answer.status_code, headers=headers), h11.Data(data=answer.content),
                h11.EndOfMessage(),
            ):
                await stream.send_all(connection.send(sent) or b"")


@contextlib.asynccontextmanager
async def giving(folder: Path, count: int, alter: Alter) -> AsyncIterator[Givers]:
    """Both serve, have so many memories, and nothing in their logs; the sound one answers nobody yet."""
    async with trio.open_nursery() as nursery:
        givers = Givers(nursery, folder, alter)
        for name in (BAD, SOUND):
            givers.clocks[name] = _TrueClock()
            await givers.start(name, _settings(name))
        for number in range(count):
            await put(givers.nodes[SOUND], f"t{number}", f"word w{number} {'-' * PAD_CHARS}")
        await wait_settled(givers)
        with trio.fail_after(SETTLING_S):
            while True:
                if all(node.store.cluster for node in givers.nodes.values()):
                    break
                await trio.sleep(0.1)
        for name in (BAD, SOUND):
            store = givers.nodes[name].store
            bounds = trimming.LogBounds(kept_count=0, most_count=0)
            await store.write(trimming.trim, store.log.vector, await store.read(trimming.log_size), bounds)
            # What was written lately is kept in memory, too: a restart forgets it.
            await givers.stop(name)
            await givers.start(name, _settings(name))
            await givers.listen(name)
        givers.shut.add(SOUND)
        yield givers
        nursery.cancel_scope.cancel()


class _TrueClock(FakeClock):
    """As true as that of the daemons."""

    def now(self) -> Instant:
        return system_clock().now()


def _settings(name: str) -> MeshSettings:
    other = SOUND if name == BAD else BAD
    return MeshSettings(peers=(f"http://{other}",), writes=1, interval_s=1)
