"""Nodes joined in one process: real services and senders, over wires that a test cuts."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path

import httpx
import trio

from aimem.api.refusals import refusal, status_of
from aimem.errors import AimemError
from aimem.model import Credential, Dot, Instant, NodeClaim, Principal, Shown
from aimem.ports import Embedder
from aimem.replication import Mesh, MeshSettings, PeerRoad, read_request, run_mesh
from aimem.search import Recaller
from aimem.service import (
    Node,
    Policy,
    admit_claim,
    digest_of,
    embeddings_for,
    exchange,
    health,
    mesh_status,
    refuse_wrong_proof,
    run_indexer,
    snapshot_of,
    trust_node,
)
from aimem.wire import ExchangeRequest, MeshQuery, copies, decode_body, encode, packing, trusting
from tests.nodes import FakeClock, InlineThreads, open_node, principal, seeded_chance

SPEAKER: ContextVar[str] = ContextVar("speaker", default="")
"""The node whose turn it is."""
OPERATOR = Principal(agent_id=principal("ops").agent_id, credential=Credential.SOCKET)
BODY_MAX_BYTES = 4_194_304


class PassingClock(FakeClock):
    """A wall clock on which virtual time passes."""

    def now(self) -> Instant:
        return Instant(super().now() + round(trio.current_time() * 1_000_000))


class World:
    """Nodes by name, and what is wrong between them.

    Attributes:
      cut: (from, to): requests are lost.
      deaf: (from, to): exchanges are lost; other requests are answered.
      mute: (from, to): requests arrive and their answers are lost.
      hung: names of nodes that take requests and never answer.
      garbled: names of nodes that answer nonsense.
      late: name -> seconds before its requests are looked at, with what is known by then.
      asked: who was asked for vectors, and for those of how many texts.
    """

    def __init__(self, nursery: trio.Nursery, folder: Path) -> None:
        self.nodes: dict[str, Node] = {}
        self.clocks: dict[str, FakeClock] = {}
        self.senders: dict[str, trio.CancelScope] = {}
        self.folder, self._lives, self._ended = folder, dict[str, trio.CancelScope](), dict[str, trio.Event]()
        self.cut: set[tuple[str, str]] = set()
        self.deaf: set[tuple[str, str]] = set()
        self.mute: set[tuple[str, str]] = set()
        self.hung: set[str] = set()
        self.garbled: set[str] = set()
        self.late: dict[str, float] = {}
        self.asked: list[tuple[str, int]] = []
        self.nursery = nursery
        self._draws = 0

    def draw(self, name: str) -> int:
        """A seed of its own for each life of each node: none makes the key that another one made."""
        self._draws += 1
        return 1000 * self._draws + sum(name.encode())

    def isolate(self, name: str) -> None:
        """Cut a node off, both ways: an answer that is on its way is lost, too."""
        ways = {(name, other) for other in self.nodes} | {(other, name) for other in self.nodes}
        self.cut |= ways
        self.mute |= ways

    def heal(self) -> None:
        """Mend everything."""
        for faults in (self.cut, self.deaf, self.mute):
            faults.clear()
        self.hung.clear()
        self.garbled.clear()
        self.late.clear()

    async def stop(self, name: str) -> None:
        """End a node; requests to it are lost from then on."""
        self.nodes.pop(name)
        self.senders.pop(name).cancel()
        self._lives[name].cancel()
        await self._ended[name].wait()

    async def start(self, name: str, settings: MeshSettings, policy: Policy | None = None) -> Node:
        """Start a node on the files that are there."""
        self.clocks.setdefault(name, PassingClock())
        await self.nursery.start(self._live, name, policy)
        await join(self, name, settings)
        return self.nodes[name]

    async def _live(self, name: str, policy: Policy | None, *, task_status: trio.TaskStatus[None]) -> None:
        self._ended[name] = trio.Event()
        try:
            with trio.CancelScope() as self._lives[name]:
                db = self.folder / f"{name}.db"
                await _run_node(self, name, db, self.draw(name), policy, task_status=task_status)
        finally:
            self._ended[name].set()

    async def serve(self, name: str, request: httpx.Request) -> httpx.Response:
        """Answer as a node's surface does, as far as peers are concerned."""
        SPEAKER.set(name)
        data = await request.aread()
        if request.headers.get("content-encoding") == "gzip":
            data = packing.unzipped(data, BODY_MAX_BYTES)
        if name in self.nodes and request.url.path.endswith("/health"):
            return httpx.Response(200, content=encode(await health(self.nodes[name])))     # anybody may ask
        node, proof = self.nodes.get(name), read_request(request.headers.get_list)
        if node is None:
            return httpx.Response(503)      # it ended meanwhile
        assert proof is not None
        try:
            refuse_wrong_proof(node, proof, request.method, request.url.raw_path.decode(), data)
            await admit_claim(node, proof, Shown())
            status, content = 200, encode(await self._answer(node, name, request, data, proof.claim))
        except AimemError as error:
            status, content = status_of(error), refusal(error).content
        return httpx.Response(status, content=content, headers=node.trust.answer(proof, status, content))

    async def _answer(self, node: Node, name: str, request: httpx.Request, data: bytes, claim: NodeClaim) -> object:
        path = request.url.path
        if request.method == "GET":
            return await mesh_status(node, OPERATOR, MeshQuery(digest=True))
        if path.endswith("/embeddings"):
            asked = decode_body(copies.EmbeddingsRequest, data)
            self.asked.append((name, len(asked.hashes)))
            return await embeddings_for(node, OPERATOR, asked)
        if path.endswith("/snapshot"):
            return await snapshot_of(node, OPERATOR, decode_body(copies.SnapshotRequest, data))
        if path.endswith("/digests"):
            return await digest_of(node, OPERATOR, decode_body(copies.DigestRequest, data))
        return await exchange(node, OPERATOR, decode_body(ExchangeRequest, data), claim)


class Wire(httpx.AsyncBaseTransport):
    """One node's way to the others; a request runs on in the world's nursery even when its caller gives up."""

    def __init__(self, world: World, name: str) -> None:
        self._world, self._name = world, name

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        world, to = self._world, request.url.host
        is_deaf = (self._name, to) in world.deaf and request.url.path.endswith("/push")
        if (self._name, to) in world.cut or is_deaf or to not in world.nodes:
            raise httpx.ConnectError("cut", request=request)
        answers: list[httpx.Response] = []
        done = trio.Event()

        async def run() -> None:
            answers.append(await world.serve(to, request))
            done.set()

        await trio.sleep(world.late.get(to, 0.0))
        world.nursery.start_soon(run)
        await done.wait()
        if to in world.hung:
            await trio.sleep_forever()
        if (self._name, to) in world.mute:
            raise httpx.ReadError("mute", request=request)
        return httpx.Response(200, content=b'{"vector": 7}') if to in world.garbled else answers[0]


async def wait_settled(world: World) -> None:
    """Wait until all nodes know the same; fails after a minute of virtual time."""
    with trio.fail_after(60):
        for node in world.nodes.values():
            for other in world.nodes.values():
                await node.store.log.wait_covered(
                    [Dot(head.stream, head.seq) for head in other.store.log.heads.values()]
                )


@asynccontextmanager
async def open_world(
    folder: Path, count: int, *, writes: int, timeout_s: float = 2.0, interval_s: float = 30.0,
    policy: Policy | None = None,
) -> AsyncIterator[World]:
    """So many nodes named n0, n1, … that know one another; to be used under a clock that jumps."""
    names = [f"n{number}" for number in range(count)]
    async with trio.open_nursery() as nursery:
        world = World(nursery, folder)
        for name in names:
            world.clocks[name] = PassingClock()
            await world.nursery.start(world._live, name, policy)
        for name in names:
            peers = tuple(f"http://{other}" for other in names if other != name)
            settings = MeshSettings(peers=peers, writes=writes, timeout_s=timeout_s, interval_s=interval_s)
            await join(world, name, settings)
        yield world
        nursery.cancel_scope.cancel()


async def let_embed(world: World, name: str, embedder: Embedder) -> None:
    """Have a node recall by meaning."""
    recaller = Recaller(threads=InlineThreads(), embedder=None)
    world.nodes[name] = replace(world.nodes[name], recaller=recaller)
    await world.nursery.start(run_indexer, world.nodes[name], lambda: embedder)


async def join(world: World, name: str, settings: MeshSettings) -> None:
    """Let a node's senders run; those that it had end."""
    node = world.nodes[name]
    mesh = Mesh(
        settings, node.store, clock=node.clock, rng=random.Random(name), road=PeerRoad(Wire(world, name), node.trust)
    )
    world.nodes[name] = replace(node, mesh=mesh)
    if name in world.senders:
        world.senders[name].cancel()
    world.senders[name] = await world.nursery.start(_run_senders, mesh)


async def _run_senders(mesh: Mesh, *, task_status: trio.TaskStatus[trio.CancelScope]) -> None:
    SPEAKER.set(mesh.store.node_name)
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            await nursery.start(run_mesh, mesh)
            task_status.started(scope)


async def set_up_anew(world: World, name: str, folder: Path) -> Node:
    """Put a node with an empty database and a key of its own in a node's place, as after the loss of its disk.

    On each of the others somebody has said already that whoever comes next under its name is believed.
    """
    old = world.nodes[name]
    assert old.mesh is not None
    await world.nursery.start(_run_node, world, name, folder / f"{name}-anew.db", len(name) + 100, old.policy)
    for other in world.nodes.values():
        if other.store.node_name != name:
            await trust_node(other, OPERATOR, trusting.TrustRequest(node=name))
    await join(world, name, old.mesh.settings)
    return world.nodes[name]


async def _run_node(
    world: World, name: str, db: Path, seed: int, policy: Policy | None,
    *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    SPEAKER.set(name)
    async with open_node(
        db, clock=world.clocks[name], chance=seeded_chance(seed), threads=InlineThreads(), policy=policy, name=name,
    ) as node:
        world.nodes[name] = node
        task_status.started()
        await trio.sleep_forever()
