"""Peers for a node that was put together without them: its own senders, and the exchange before its app."""

from __future__ import annotations

import random
from typing import Any  # ASGI messages

from aimem.errors import AimemError
from aimem.model import AgentId, Credential, Principal
from aimem.replication import Mesh, MeshSettings, PeerRoad, run_mesh
from aimem.service import Node, exchange
from aimem.wire import ExchangeRequest, decode_body, encode, unzipped
from tests.sim.machine import Process

PATH = "/api/v1/sync/push"
OPERATOR = Principal(agent_id=AgentId("ops"), credential=Credential.SOCKET)
MAX_BYTES = 8 << 20


async def join(process: Process, node: Node, rng: random.Random) -> None:
    """Give a node its peers, and let its senders run."""
    machine = process.machine
    peers = tuple(f"http://{name}" for name in machine.peers if name != process.name)
    if not peers:
        return
    settings = MeshSettings(peers=peers, writes=machine.swarm.quorum, timeout_s=2.0, interval_s=5.0)
    mesh = Mesh(
        settings, node.store, clock=node.clock, rng=rng, road=PeerRoad(machine.open_network(process))
    )
    object.__setattr__(node, "mesh", mesh)
    process.spawn(run_mesh, mesh)


async def dress(process: Process, node: Node, app: Any) -> Any:
    """The node's app with the exchange before it."""
    await join(process, node, process.machine.swarm.rng(f"{process.name}/{process.life}/mesh"))

    async def dressed(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] != PATH:
            await app(scope, receive, send)
            return
        data = (await receive())["body"]
        headers = dict(scope["headers"])
        status = 200
        try:
            if headers.get(b"content-encoding") == b"gzip":
                data = unzipped(data, MAX_BYTES)
            content = encode(await exchange(node, OPERATOR, decode_body(ExchangeRequest, data)))
        except AimemError as error:
            status, content = 503, encode({"error": error.message, "code": error.code})
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": content, "more_body": False})

    return dressed
